"""A lake with months of hours, for trainings: written here, since a pipeline would take hours to receive them."""

from pathlib import Path

import pandas as pd
from tests.lib.serving.lake import append


def write_history(lake: Path, readings: Path) -> None:
    """Write the tables `hourly_usage` and `buildings` of `lake` from hourly simulated readings and their metadata."""
    usage = pd.read_parquet(readings).rename(columns={"timestamp": "hour"}).astype({"building_id": str})
    closed = usage["hour"] + pd.Timedelta(hours=1)
    usage = usage.assign(
        available_at=closed, as_of=closed, revision=1, readings_seen=1, readings_expected=1, coverage=1.0
    )
    append(lake, "hourly_usage", usage.assign(quality_flags=[[]] * len(usage)))
    append(lake, "buildings", pd.read_csv(readings.with_suffix(".buildings.csv")))
