"""Follows the champions of a registry and caches their artifacts, so that forecasts continue while the registry is away."""

import json
import logging
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wattcast_models.artifact.folder import ArtifactError
from wattcast_models.artifact.predictor import Predictor
from wattcast_models.files import write_atomically
from wattcast_models.registry.registry import Registry, Version, read_checked
from wattcast_models.registry.scopes import Scope
from wattcast_models.tracking.mlflow_store import StoreError, redact

log = logging.getLogger("wattcast.models")

RETRY_SECONDS = 30  # after a failure of the registry, and for a version that was refused
UNKNOWN_NUMBER = (
    0  # of a champion from champions.json: a registry that was set up again may number its versions differently
)


@dataclass(frozen=True)
class LoadedChampion:
    """A champion in memory: the number of its version, the sha256 of its config, the model."""

    number: int
    config_sha256: str
    predictor: Predictor


class ChampionFollower:
    """The champions of `registry`. Their artifacts are cached in `models`/cache/<sha256>; `models`/champions.json lists them, so
    that a restarted process knows them without the registry."""

    def __init__(self, models: Path, registry: Registry) -> None:
        self._registry, self._cache, self._list_file = registry, models / "cache", models / "champions.json"
        self._loaded = self._cached_champions()
        self._retry_version_at: dict[int, float] = {}  # by the number of a version that was refused
        self._retry_registry_at: float | None = None  # None while the registry answers
        self._is_list_written = True  # at the last attempt

    def champions(self) -> dict[Scope, Predictor]:
        """The current champions by scope. Every call asks the registry, except for a while after a failure.

        A failure is logged once and leaves the champions as they are.
        """
        if self._retry_registry_at is None or time.monotonic() >= self._retry_registry_at:
            try:
                self._update(self._aliases())
            except StoreError as error:
                if self._retry_registry_at is None:
                    log.warning("Forecasts continue with the last known champions: %s", error)
                self._retry_registry_at = time.monotonic() + RETRY_SECONDS
            else:
                if self._retry_registry_at is not None:
                    log.info("The model registry answers again")
                self._retry_registry_at = None
        return {scope: champion.predictor for scope, champion in self._loaded.items()}

    def _aliases(self) -> dict[str, int]:
        """An empty registry after there were champions is a failure: its database was lost or is not mounted."""
        aliases = self._registry.aliases()
        if not aliases and self._loaded and not self._registry.versions():
            raise StoreError(
                f"The model registry at {redact(self._registry.uri)} is empty, but it had champions before."
            )
        return aliases

    def _update(self, aliases: Mapping[str, int]) -> None:
        """Load the champions of these aliases and write their list if it changed."""
        before = self._loaded
        parsed = [(Scope.of(alias), number) for alias, number in aliases.items()]
        numbers = {role_scope[1]: number for role_scope, number in parsed if role_scope and role_scope[0] == "champion"}
        champions = {scope: self._champion(scope, number) for scope, number in numbers.items()}
        self._loaded = {scope: champion for scope, champion in champions.items() if champion}
        if self._loaded != before:
            self._write_list()

    def _write_list(self) -> None:
        """Write champions.json. Without it the champions are followed as well, but a restarted process does not know them."""
        hashes = {scope.alias("champion"): champion.config_sha256 for scope, champion in self._loaded.items()}
        try:
            write_atomically(self._list_file, (json.dumps(hashes, indent=2) + "\n").encode())
        except OSError as error:
            if self._is_list_written:
                log.warning("The list of champions cannot be written to %s: %s", self._list_file, error.strerror)
            self._is_list_written = False
        else:
            self._is_list_written = True

    def _champion(self, scope: Scope, number: int) -> LoadedChampion | None:
        """The version with this number; the champion before it where the version cannot be loaded."""
        before = self._loaded.get(scope)
        if (before and before.number == number) or time.monotonic() < self._retry_version_at.get(number, 0.0):
            return before
        try:
            version = self._registry.version(number)
            champion = LoadedChampion(number, version.config_sha256, self._predictor(version))
        except (StoreError, ArtifactError, OSError) as error:
            if number not in self._retry_version_at:
                log.error(
                    "Version %s cannot be the champion of %s, forecasts continue as before: %s", number, scope, error
                )
            self._retry_version_at[number] = time.monotonic() + RETRY_SECONDS
            return before
        self._retry_version_at.pop(number, None)
        log.info("The champion of %s is now %s", scope, version)
        return champion

    def _predictor(self, version: Version) -> Predictor:
        """The model of a version from memory, else from the cache, else from the registry."""
        for champion in self._loaded.values():
            if champion.config_sha256 == version.config_sha256:
                return champion.predictor
        folder = self._cache / version.config_sha256
        if folder.is_dir():
            try:
                return read_checked(folder, version.config_sha256)
            except ArtifactError:
                shutil.rmtree(folder)  # it was damaged in the cache: fetch it again
        return self._registry.fetch(version, folder)

    def _cached_champions(self) -> dict[Scope, LoadedChampion]:
        """The champions in champions.json whose artifacts can be read from the cache."""
        try:
            hashes = json.loads(self._list_file.read_bytes())
        except (OSError, ValueError):
            return {}
        champions = {}
        for alias, sha256 in hashes.items():
            try:
                predictor = read_checked(self._cache / sha256, sha256)
            except ArtifactError as error:
                log.warning("The cached %s cannot be used: %s", alias, error)
                continue
            if role_scope := Scope.of(alias):
                champions[role_scope[1]] = LoadedChampion(UNKNOWN_NUMBER, sha256, predictor)
        return champions
