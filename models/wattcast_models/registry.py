"""Which artifact forecasts now: the one named, else the one that was set, else the one that comes with the package."""

import logging
import os
from pathlib import Path

from wattcast_models.artifact import CONFIG, shipped_artifact
from wattcast_models.predictor import Predictor

log = logging.getLogger("wattcast.models")

_read: dict[tuple[Path, int], Predictor | None] = {}  # the artifact in use, by its folder and when it was written


def use(folder: Path, *, models: Path) -> Predictor:
    """Set the artifact in `folder` for the forecasts from now on; running jobs take it up with their next batch.

    Raises:
        ArtifactError: it cannot be used; what was set stays.
    """
    predictor = Predictor.read(folder)
    models.mkdir(parents=True, exist_ok=True)
    written = models / f"current.{os.getpid()}"
    written.write_text(str(folder.resolve()), encoding="utf-8")
    written.replace(models / "current")
    return predictor


def current_artifact(named: str, *, models: Path) -> Path:
    """The folder of the artifact that forecasts now."""
    pointer = models / "current"
    if named:
        return Path(named)
    return Path(pointer.read_text(encoding="utf-8")) if pointer.is_file() else shipped_artifact()


def current_predictor(named: str, *, models: Path) -> Predictor | None:
    """The model that forecasts now, read once per version; None, with the reason logged, where it cannot be used."""
    folder = current_artifact(named, models=models)
    try:
        key = (folder, (folder / CONFIG).stat().st_mtime_ns)
        if key not in _read:
            _read.clear()
            _read[key] = Predictor.read(folder)
        return _read[key]
    except (OSError, ValueError) as error:
        log.error("The model in %s cannot be used, forecasts step down: %s", folder, error)
        return None
