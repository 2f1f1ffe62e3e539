"""The provenance of a model: the config of its artifact records the training options, the data and the commit."""

import hashlib
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from wattcast_models.artifact.weights import weights_bytes
from wattcast_models.data.readings import Building, late_share
from wattcast_models.training.loop import TrainedModel
from wattcast_models.training.options import TrainingOptions


def model_entries(trained: TrainedModel, options: TrainingOptions) -> dict[str, Any]:
    """The config entries for what the network reads and forecasts, and how it was trained. The version is from the weights."""
    return {
        "version": hashlib.sha256(weights_bytes(trained.network)).hexdigest()[:12],
        "network": options.network,
        "inputs": trained.inputs,
        "quantiles": list(options.quantiles),
        "context_hours": options.context_hours,
        "lead_hours": options.lead_hours,
        "calibration": trained.calibration,
        "bias_days": options.bias_days,
        "seed": options.seed,
        "training": asdict(options),
        "metrics": trained.metrics,
    }


def data_entries(data: Path, version: int | None, buildings: Sequence[Building]) -> dict[str, Any]:
    """The config entries for the data: a table and its version, or a file and its sha256, and the hours used for training."""
    source: dict[str, object]
    if version is None:
        with data.open("rb") as file:
            source = {"file": data.name, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
    else:
        is_hindsight = all(building.revisions is None for building in buildings)
        source = {"table": data.name, "version": version, "hindsight": is_hindsight}
    first = min(building.start for building in buildings)
    last = max(building.start + building.hours - 1 for building in buildings)
    from_hour, to_hour = (str(np.datetime64(hour, "h").astype("datetime64[s]")) + "Z" for hour in (first, last))
    measured_hours = sum(int(np.isfinite(building.values[:, 0]).sum()) for building in buildings)
    return {
        "data": source | {"rows": measured_hours, "from": from_hour, "to": to_hour},
        "training_building_ids": [building.building_id for building in buildings],
    }


def origin_entries() -> dict[str, str]:
    """The config entries for the commit and the time of the training."""
    return {"git_commit": git_commit(), "created_at": datetime.now(UTC).isoformat(timespec="seconds")}


def git_commit() -> str:
    """The commit of the checkout that contains this file; "unknown" outside of a checkout."""
    command = ["git", "-C", str(Path(__file__).resolve().parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def data_remarks(buildings: Sequence[Building]) -> Iterator[str]:
    """Sentences for the user about unknown or late values in the training data."""
    if unknown := sum(not building.metadata["timezone"] for building in buildings):
        yield f"{unknown} of {len(buildings)} buildings have no time zone; they count as UTC."
    if (late := late_share(buildings)) > 0.5:
        yield (
            f"{late:.0%} of the hours became known long after they ended, for example because history was loaded later. "
            "Contexts lack these hours; --hindsight trains on hours as they are known now."
        )
