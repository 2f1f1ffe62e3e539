"""Import of the metadata of buildings."""

import logging
from pathlib import Path

from wattcast.ingest.buildings import buildings_from_csv
from wattcast.lake.replacement import OnlySpark, replace_rows
from wattcast.settings import settings

log = logging.getLogger("wattcast.lake")


def import_buildings(file: Path, default_interval_minutes: int | None = None) -> int:
    """Replace the table `buildings` by the rows of a CSV file; returns their number."""
    rows = buildings_from_csv(file, default_interval_minutes=default_interval_minutes)
    try:
        replace_rows(settings(), "buildings", rows)
    except OnlySpark as reason:
        log.info("Spark imports the buildings, which takes longer: %s.", reason)
        from wattcast.runtime.context import opened  # takes seconds to import

        with opened(with_broker=False, name="buildings-import") as run:
            run.lake.replace("buildings", run.lake.frame("buildings", rows))
    return len(rows)
