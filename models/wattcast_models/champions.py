"""Which model forecasts now: the artifact that is named, else the one that was set here, else the champions of the registry,
else the one that comes with the package."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from wattcast_models.artifact import CONFIG, shipped_artifact
from wattcast_models.following import Following, write
from wattcast_models.predictor import Predictor
from wattcast_models.registry import Registry
from wattcast_models.scopes import ALL, Scope

log = logging.getLogger("wattcast.models")

_read: dict[tuple[Path, int], Predictor | None] = {}  # the artifact in use, by its folder and when it was written


@dataclass(frozen=True)
class Champions:
    """A model for every building: its own champion, else that of its site, else that of all. Picklable."""

    overall: Predictor | None
    own: Mapping[Scope, Predictor] = field(default_factory=dict)

    def __call__(self, building_id: str, site: str) -> Predictor | None:
        scopes = (Scope("building", building_id), Scope("site", site))
        return next((self.own[scope] for scope in scopes if scope in self.own), self.overall)

    def on(self, device: str) -> "Champions":
        """The same models, to forecast on this device of torch."""
        own = {scope: replace(predictor, device=device) for scope, predictor in self.own.items()}
        return Champions(self.overall and replace(self.overall, device=device), own)


def use(folder: Path, *, models: Path) -> Predictor:
    """Set the artifact in `folder` for all forecasts from now on, before any champion; running jobs take it up with their
    next batch.

    Raises:
        ArtifactError: it cannot be used; what was set stays.
    """
    predictor = Predictor.read(folder)
    write(models / "current", str(folder.resolve()))
    return predictor


def use_champions(*, models: Path) -> None:
    """Undo `use`."""
    (models / "current").unlink(missing_ok=True)


def set_artifact(named: str, *, models: Path) -> Path | None:
    """The folder that is named or was set by `use`; None where the champions forecast."""
    pointer = models / "current"
    if named:
        return Path(named)
    return Path(pointer.read_text(encoding="utf-8")) if pointer.is_file() else None


def current_champions(named: str, *, models: Path, registry: Registry, kept: Path | None = None) -> Champions:
    """The models that forecast now; to be asked before each batch. What cannot be used, or not be heard of, is logged once:
    of a set artifact the forecasts step down, of the registry they go on with the champions that were known. Those are kept in
    the folder `kept`, by default `models`."""
    folder = set_artifact(named, models=models)
    if folder:
        return Champions(_artifact(folder))
    champions = _followed(kept or models, registry).champions()
    return Champions(champions.pop(ALL, None) or _artifact(shipped_artifact()), champions)


def _artifact(folder: Path) -> Predictor | None:
    """The model in this folder, read once per version; None, with the reason logged, where it cannot be used."""
    try:
        key = (folder, (folder / CONFIG).stat().st_mtime_ns)
        if key not in _read:
            _read.clear()
            _read[key] = Predictor.read(folder)
        return _read[key]
    except (OSError, ValueError) as error:
        log.error("The model in %s cannot be used, forecasts step down: %s", folder, error)
        return None


@cache
def _followed(models: Path, registry: Registry) -> Following:
    return Following(models, registry)
