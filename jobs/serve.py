"""Serve the REST API and the dashboard over the tables of the lake."""

import logging
import multiprocessing
import signal
import sys
import tempfile
import threading
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path
from typing import Annotated

import typer

from wattcast import program
from wattcast.ladder import Predictor
from wattcast.logs import configure_logging
from wattcast.ports import listening
from wattcast.serving.app import Forecaster, Registered, app
from wattcast.serving.keys import Keys, KeysError
from wattcast.serving.server import needs_keys, server
from wattcast.settings import Settings, cache_folder, settings
from wattcast_models.champions import Champions, current_champions
from wattcast_models.mlflow_store import StoreError
from wattcast_models.registry import Registry, Version
from wattcast_models.scopes import Scope

log = logging.getLogger("wattcast")

FOLLOW_SECONDS, LEAVE_SECONDS = 10, 20
SWITCH_SECONDS = 0.0005  # requests do not wait long for the thread that refreshes


class Following:
    """The champions and the registered versions as they were last heard of, by a thread that asks for them; and the process
    that forecasts, in which torch and the network of the champion stay."""

    def __init__(self, current: Settings) -> None:
        self._settings = current
        self._registry = Registry(current.tracking_uri, current.model.registered_name)
        self._champions = Champions(None)
        self._registered: list[Registered] | None = None
        self._process: ProcessPoolExecutor | None = None
        self._can_ask = True  # as far as is known
        self._stop, self._asked = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._follow, name="models", daemon=True)

    def __enter__(self) -> "Following":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(LEAVE_SECONDS)  # to end while it imports torch aborts the process
        if self._process:
            self._process.shutdown(wait=False, cancel_futures=True)

    def forecaster(self) -> Forecaster:
        return Forecaster(self._model_of, self._executor, lambda: self._registered, self._end)

    def _model_of(self, building_id: str, site: str) -> Predictor | None:
        self._asked.wait(timeout=FOLLOW_SECONDS)  # for the first answer
        return self._champions(building_id, site)

    def _executor(self) -> Executor:
        """One process, another one where it has died."""
        if self._process is None or self._process._broken:
            self._process = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        return self._process

    def _end(self) -> None:
        """End the process with whatever it does: what nobody waits for would keep the next forecast waiting."""
        for each in list((self._process._processes or {}).values() if self._process else ()):
            each.terminate()

    def _follow(self) -> None:
        kept = kept_in(self._settings.state / "models")
        while not self._stop.is_set():
            self._ask(kept)
            self._asked.set()
            try:
                self._registered = registered(self._registry)
            except StoreError as error:
                if self._registered is not None:
                    log.warning("The registry of models does not answer: %s", error)
                self._registered = None
            self._stop.wait(FOLLOW_SECONDS)

    def _ask(self, kept: Path) -> None:
        """Those that were known go on where the folder of the models cannot be read; that is said once."""
        named, models = self._settings.model.artifact, self._settings.state / "models"
        try:
            self._champions = current_champions(named, models=models, registry=self._registry, kept=kept)
        except OSError as error:
            if self._can_ask:
                log.error("Which model forecasts cannot be found out, forecasts go on as before: %s", error)
            self._can_ask = False
        else:
            self._can_ask = True


def kept_in(models: Path) -> Path:
    """The folder for the champions that are followed: `models` or, where that can only be read, one of this user's own."""
    try:
        models.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=models):
            return models
    except OSError:
        return cache_folder("models")


def registered(registry: Registry) -> list[Registered]:
    """What the registry says of every version. Raises StoreError where it does not answer."""
    aliases = registry.aliases()
    return [_registered(version, [alias for alias, number in aliases.items() if number == version.number])
            for version in registry.versions()]  # fmt: skip


def _registered(version: Version, aliases: list[str]) -> Registered:
    scopes = [found[1] for alias in aliases if (found := Scope.of(alias)) and found[0] == "champion"]
    figures = next((event.figures for event in reversed(version.events) if event.figures), {})
    scope = ", ".join(map(str, scopes)) or None
    return Registered(
        version.model_name, version.model_version, tuple(sorted(aliases)), scope, version.registered_at, dict(figures)
    )


def main(
    host: Annotated[
        str | None, typer.Option(help="Address to listen at; default: that of the settings, 127.0.0.1.")
    ] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Default: that of the settings, 8080.")] = None,
) -> None:
    """Serve the REST API and the dashboard until Ctrl-C or SIGTERM."""
    configure_logging()
    changes: dict[str, object] = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    current = settings().with_changes(serving=changes)
    options, auth = current.serving, needs_keys(current.serving)
    sys.setswitchinterval(SWITCH_SECONDS)
    for number in (signal.SIGTERM, signal.SIGINT):  # which uvicorn raises anew when it has ended
        signal.signal(number, lambda *_: sys.exit(0))
    with listening("The API", options.host, options.port) as place, Following(current) as following:
        serving = server(app(current, following.forecaster(), auth=auth), options)
        at, to = place.getsockname()[1], " to keys" if auth else ""
        log.info("http://%s:%s serves %s%s", options.host, at, current.lake_uri, to)
        if auth and not has_keys(current):
            log.warning("No key is valid: requests are refused until `wattcast keys create NAME` has made one.")
        serving.run([place])


def has_keys(current: Settings) -> bool:
    """Whether any request can be allowed; true where that cannot be told, which the server says itself."""
    try:
        return any(key.revoked_at is None for key in Keys.of(current).all())
    except KeysError:
        return True


if __name__ == "__main__":
    program.run(main, "serve")
