"""Follows the champions and the model registry while the server runs, and owns the process that forecasts."""

import logging
import multiprocessing
import tempfile
import threading
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path
from typing import Self

from wattcast.forecast.context import Predictor
from wattcast.serving.on_demand.forecaster import Forecaster, RegisteredModel
from wattcast.settings import Settings, cache_folder
from wattcast_models.data.closing import ClosingRules
from wattcast_models.registry.champions import Champions, ChampionSource
from wattcast_models.registry.registry import Registry, Version
from wattcast_models.registry.scopes import Scope
from wattcast_models.tracking.mlflow_store import StoreError

log = logging.getLogger("wattcast")

POLL_SECONDS, STOP_SECONDS = 10, 20


class ModelFollower:
    """The champions and the registered versions at the last poll, by a thread; and the one process in which torch is loaded and
    the network of the champion stays in memory."""

    def __init__(self, current: Settings) -> None:
        self._settings = current
        self._registry = Registry(current.tracking_uri, current.model.registered_name)
        self._champions = Champions(None)
        self._registered: list[RegisteredModel] | None = None
        self._process: ProcessPoolExecutor | None = None
        self._is_readable = True  # the folder of the models, at the last poll
        self._stop, self._first_poll_done = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="models", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(STOP_SECONDS)  # a process that exits while this thread imports torch aborts
        if self._process:
            self._process.shutdown(wait=False, cancel_futures=True)

    def forecaster(self) -> Forecaster:
        return Forecaster(self._model_of, self._executor, lambda: self._registered, self._terminate)

    def _model_of(self, building_id: str, site: str) -> Predictor | None:
        self._first_poll_done.wait(timeout=POLL_SECONDS)
        return self._champions(building_id, site)

    def _executor(self) -> Executor:
        """The forecasting process; a new one where it has died."""
        if self._process is None or self._process._broken:
            self._process = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        return self._process

    def _terminate(self) -> None:
        """End the forecasting process: a forecast whose request timed out would delay the next one."""
        for process in list((self._process._processes or {}).values() if self._process else ()):
            process.terminate()

    def _run(self) -> None:
        models = self._settings.state / "models"
        source = ChampionSource(
            self._registry,
            models=models,
            artifact=self._settings.model.artifact,
            cache=writable_model_cache(models),
            closing=ClosingRules(**self._settings.closing_rules),
        )
        while not self._stop.is_set():
            self._poll_champions(source)
            self._first_poll_done.set()
            try:
                self._registered = registered_models(self._registry)
            except StoreError as error:
                if self._registered is not None:
                    log.warning("The model registry does not answer: %s", error)
                self._registered = None
            self._stop.wait(POLL_SECONDS)

    def _poll_champions(self, source: ChampionSource) -> None:
        """Where the folder of the models cannot be read, keep the last champions and log that once."""
        try:
            self._champions = source.current()
        except OSError as error:
            if self._is_readable:
                log.error("The models cannot be read; forecasts continue with the last champions: %s", error)
            self._is_readable = False
        else:
            self._is_readable = True


def writable_model_cache(models: Path) -> Path:
    """The folder in which champions are cached: `models`, or the user's cache folder where `models` is read-only."""
    try:
        models.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=models):
            return models
    except OSError:
        return cache_folder("models")


def registered_models(registry: Registry) -> list[RegisteredModel]:
    """Every version in the registry; raises StoreError where the registry does not answer."""
    aliases = registry.aliases()
    return [
        _registered_model(version, [alias for alias, number in aliases.items() if number == version.number])
        for version in registry.versions()
    ]


def _registered_model(version: Version, aliases: list[str]) -> RegisteredModel:
    scopes = [parsed[1] for alias in aliases if (parsed := Scope.of(alias)) and parsed[0] == "champion"]
    metrics = next((event.figures for event in reversed(version.events) if event.figures), {})
    scope = ", ".join(map(str, scopes)) or None
    return RegisteredModel(
        version.model_name, version.model_version, tuple(sorted(aliases)), scope, version.registered_at, dict(metrics)
    )
