"""Which model forecasts now.

In this order: the artifact that the settings name, the artifact pinned on this machine, the champions of the registry, the model
shipped with the package.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Self

from wattcast_models.artifact.folder import CONFIG, shipped_artifact
from wattcast_models.artifact.predictor import Predictor
from wattcast_models.data.closing import ClosingRules, closing_mismatch
from wattcast_models.files import write_atomically
from wattcast_models.registry.follower import ChampionFollower
from wattcast_models.registry.registry import Registry
from wattcast_models.registry.scopes import ALL, Scope

log = logging.getLogger("wattcast.models")

PIN = "current"  # the file in the folder of the models that names the pinned artifact


@dataclass(frozen=True)
class Champions:
    """The model of every building: its own champion, else the champion of its site, else that of all buildings. Picklable."""

    overall: Predictor | None
    by_scope: Mapping[Scope, Predictor] = field(default_factory=dict)

    def __call__(self, building_id: str, site: str) -> Predictor | None:
        scopes = (Scope("building", building_id), Scope("site", site))
        return next((self.by_scope[scope] for scope in scopes if scope in self.by_scope), self.overall)

    def on(self, device: str) -> "Champions":
        """The same models, to forecast on this torch device."""
        by_scope = {scope: replace(predictor, device=device) for scope, predictor in self.by_scope.items()}
        return Champions(self.overall and replace(self.overall, device=device), by_scope)


class ChampionSource:
    """The models that forecast now. A job or a server creates one source when it starts and calls `current` before each batch.

    A source reads each version of a model once. It logs a failure once: without the named or pinned artifact the jobs use their
    fallbacks; without the registry they go on with the last known champions, which are cached in `cache` (default: `models`).
    """

    def __init__(
        self,
        registry: Registry,
        *,
        models: Path,
        artifact: str = "",
        cache: Path | None = None,
        device: str = "cpu",
        closing: ClosingRules | None = None,
    ) -> None:
        self._registry, self._models, self._cache = registry, models, cache or models
        self._artifact, self._device = artifact, device
        self._loaded: tuple[Path, int, Predictor] | None = None  # folder, time of its last change, model
        self._last_error = ""
        self._closing = closing
        self._checked: set[tuple[str, str]] = set()  # name and version of the models whose rules have been compared

    @classmethod
    def configured(
        cls,
        *,
        artifact: str,
        state: Path,
        tracking_uri: str,
        registered_name: str,
        device: str = "cpu",
        closing: Mapping[str, int],
    ) -> Self:
        """The source that the settings describe, with the models of a state folder."""
        registry, rules = Registry(tracking_uri, registered_name), ClosingRules(**closing)
        return cls(registry, models=state / "models", artifact=artifact, device=device, closing=rules)

    def current(self) -> Champions:
        """Raises OSError where the folder of the models cannot be read. Logs a warning, once per version of a model, if the model
        was trained under other closing rules than the current ones."""
        champions = self._champions()
        for predictor in filter(None, (champions.overall, *champions.by_scope.values())):
            self._check_closing(predictor)
        return champions.on(self._device)

    def _check_closing(self, predictor: Predictor) -> None:
        version = (predictor.name, predictor.version)
        if self._closing is None or version in self._checked:
            return
        self._checked.add(version)
        if mismatch := closing_mismatch(predictor.config, self._closing):
            log.warning(
                "Model %s %s was trained under %s: its forecasts may be worse than in the backtest. Train it again under the "
                "current settings.", *version, mismatch,
            )  # fmt: skip

    def _champions(self) -> Champions:
        folder = pinned_artifact(self._artifact, models=self._models)
        if folder:
            return Champions(self._read(folder))
        champions = self._follower.champions()
        return Champions(champions.pop(ALL, None) or self._read(shipped_artifact()), champions)

    @cached_property
    def _follower(self) -> ChampionFollower:
        return ChampionFollower(self._cache, self._registry)

    def _read(self, folder: Path) -> Predictor | None:
        """The model in this folder, read again only when its config changes; None where it cannot be used."""
        try:
            changed_ns = (folder / CONFIG).stat().st_mtime_ns
            if self._loaded is None or self._loaded[:2] != (folder, changed_ns):
                self._loaded = (folder, changed_ns, Predictor.read(folder))
        except (OSError, ValueError) as error:
            message = f"The model in {folder} cannot be used, forecasts use their fallbacks: {error}"
            if message != self._last_error:
                log.error("%s", message)
            self._last_error = message
            return None
        self._last_error = ""
        return self._loaded[2]


def pin_artifact(folder: Path, *, models: Path) -> Predictor:
    """Make the artifact in `folder` forecast on this machine instead of any champion; jobs load it with their next batch.

    Raises:
        ArtifactError: the artifact cannot be used; the artifact that was pinned before stays pinned.
    """
    predictor = Predictor.read(folder)
    write_atomically(models / PIN, str(folder.resolve()).encode())
    return predictor


def unpin_artifact(*, models: Path) -> None:
    """Let the champions forecast on this machine again."""
    (models / PIN).unlink(missing_ok=True)


def pinned_artifact(artifact: str, *, models: Path) -> Path | None:
    """The folder `artifact` of the settings, else the pinned one; None where the champions forecast."""
    pin = models / PIN
    if artifact:
        return Path(artifact)
    return Path(pin.read_text(encoding="utf-8")) if pin.is_file() else None
