"""The champions of a registry as they were last heard of: kept on this machine, so that forecasts go on without it."""

import json
import logging
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wattcast_models.artifact import ArtifactError
from wattcast_models.mlflow_store import StoreError, shown
from wattcast_models.predictor import Predictor
from wattcast_models.registry import Registry, Version, read_checked
from wattcast_models.scopes import Scope

log = logging.getLogger("wattcast.models")

ASK_AGAIN_SECONDS = 30  # after no answer, and for a version that was refused
UNKNOWN = 0  # what was kept from before is looked up once in the registry: it may have been made anew since


@dataclass(frozen=True)
class Held:
    """A champion at hand: the number of its version, the sha256 of its config, the model."""

    number: int
    config_sha256: str
    predictor: Predictor


class Following:
    """Follows the champions of `registry`. `models`/cache/<sha256> holds their artifacts, `models`/champions.json who they
    were."""

    def __init__(self, models: Path, registry: Registry) -> None:
        self._registry, self._cache, self._memory = registry, models / "cache", models / "champions.json"
        self._held = self._remembered()
        self._refused: dict[int, float] = {}  # by the number of the version: when to try it again
        self._silent_until: float | None = None
        self._is_kept = True  # as far as is known

    def champions(self) -> dict[Scope, Predictor]:
        """The champions now, asked for at each call but after a failure; a failure is logged once and changes nothing."""
        if self._silent_until is None or time.monotonic() >= self._silent_until:
            try:
                self._take(self._aliases())
            except StoreError as error:
                if self._silent_until is None:
                    log.warning("Forecasts go on with the champions that were known: %s", error)
                self._silent_until = time.monotonic() + ASK_AGAIN_SECONDS
            else:
                if self._silent_until is not None:
                    log.info("The model registry answers again")
                self._silent_until = None
        return {scope: held.predictor for scope, held in self._held.items()}

    def _aliases(self) -> dict[str, int]:
        """An empty registry, where there were champions, is none: its database was lost or is not mounted."""
        aliases = self._registry.aliases()
        if not aliases and self._held and not self._registry.versions():
            raise StoreError(f"The model registry at {shown(self._registry.uri)} holds nothing any more.")
        return aliases

    def _take(self, aliases: Mapping[str, int]) -> None:
        before = self._held
        found = [(Scope.of(alias), number) for alias, number in aliases.items()]
        wanted = {of[1]: number for of, number in found if of and of[0] == "champion"}
        taken = {scope: self._champion(scope, number) for scope, number in wanted.items()}
        self._held = {scope: held for scope, held in taken.items() if held}
        if self._held != before:
            known = {scope.alias("champion"): held.config_sha256 for scope, held in self._held.items()}
            self._keep(json.dumps(known, indent=2) + "\n")

    def _keep(self, known: str) -> None:
        """Where it cannot be written, forecasts follow the champions all the same, but do not know them after a restart."""
        try:
            write(self._memory, known)
        except OSError as error:
            if self._is_kept:
                log.warning("The champions are followed, but cannot be kept in %s: %s", self._memory, error.strerror)
            self._is_kept = False
        else:
            self._is_kept = True

    def _champion(self, scope: Scope, number: int) -> Held | None:
        """The version of this number, or, where it cannot be had or used, the champion before it."""
        before = self._held.get(scope)
        if (before and before.number == number) or time.monotonic() < self._refused.get(number, 0.0):
            return before
        try:
            version = self._registry.version(number)
            held = Held(number, version.config_sha256, self._predictor(version))
        except (StoreError, ArtifactError, OSError) as error:
            if number not in self._refused:
                log.error(
                    "Version %s is refused as champion of %s, forecasts go on as before: %s", number, scope, error
                )
            self._refused[number] = time.monotonic() + ASK_AGAIN_SECONDS
            return before
        self._refused.pop(number, None)
        log.info("From now on %s is the champion of %s", version, scope)
        return held

    def _predictor(self, version: Version) -> Predictor:
        """From what is held, else from the cache, else from the registry."""
        for held in self._held.values():
            if held.config_sha256 == version.config_sha256:
                return held.predictor
        folder = self._cache / version.config_sha256
        if folder.is_dir():
            try:
                return read_checked(folder, version.config_sha256)
            except ArtifactError:
                shutil.rmtree(folder)  # damaged since
        return self._registry.fetch(version, folder)

    def _remembered(self) -> dict[Scope, Held]:
        """What was followed when this machine last looked, as far as it can still be read."""
        try:
            known = json.loads(self._memory.read_bytes())
        except (OSError, ValueError):
            return {}
        held = {}
        for alias, sha256 in known.items():
            try:
                predictor = read_checked(self._cache / sha256, sha256)
            except ArtifactError as error:
                log.warning("The cached %s cannot be used: %s", alias, error)
                continue
            if of := Scope.of(alias):
                held[of[1]] = Held(UNKNOWN, sha256, predictor)
        return held


def write(file: Path, text: str) -> None:
    """In one piece, whoever reads it meanwhile."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f"{file.name}.{os.getpid()}")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(file)
