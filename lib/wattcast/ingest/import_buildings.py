"""Import of the metadata of buildings."""

from pathlib import Path

from wattcast.ingest.buildings import buildings_from_csv
from wattcast.runtime.context import opened


def import_buildings(file: Path, default_interval_minutes: int | None = None) -> int:
    """Replace the table `buildings` by the rows of a CSV file; returns their number."""
    rows = buildings_from_csv(file, default_interval_minutes=default_interval_minutes)
    with opened(with_broker=False, name="buildings-import") as run:
        run.lake.replace("buildings", run.lake.frame("buildings", rows))
    return len(rows)
