"""The revisions that `hourly_usage` lacks, read from the tables of the lake."""

from datetime import datetime, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from wattcast.contracts import contract
from wattcast.hourly.closing_rules import ClosingRules
from wattcast.hourly.selection import HourlyTables, Touched, pending_revision_rows
from wattcast.lake.tables import Snapshot
from wattcast.runtime.context import Run


def pending_revisions(
    run: Run,
    touched: Touched | None,
    existing: Snapshot,
    *,
    until: datetime | None = None,
    close_at: datetime | None = None,
) -> DataFrame | None:
    """The revisions that the touched hours, and the hours closed since the last batch, lack; None while nothing has arrived.

    Readings that arrived after `until` are not used, by default all are. Readings that existing revisions contain are used in
    any case, also where the batch brings older arrivals of a Kafka partition that lags: otherwise a new revision would undo
    them. Hours that would close by `close_at` close now.
    """
    since, newest_available = _newest_times(run, existing)
    until = None if until is None else max(until, newest_available or until)
    tables = HourlyTables(
        received=run.lake.snapshot("received_readings").frame,
        existing=existing.frame,
        buildings=run.lake.table("buildings"),
    )
    tolerance = timedelta(minutes=contract("readings").properties["futureToleranceMinutes"])
    rules = ClosingRules.from_settings(run.settings.closing, future_tolerance=tolerance)
    return pending_revision_rows(tables, touched=touched, rules=rules, since=since, until=until, close_at=close_at)


def pending_revisions_of_batch(run: Run, received: DataFrame, existing: Snapshot) -> DataFrame | None:
    """The revisions that follow from a batch of accepted readings, by what had arrived with it; None for an empty batch."""
    arrival = F.col("kafka_timestamp")
    ((oldest, newest),) = received.agg(F.min(arrival), F.max(arrival)).collect()
    if newest is None:
        return None
    since, _ = _newest_times(run, existing)
    # What arrived since the last batch is touched anyway. Older arrivals are those of a Kafka partition that lags.
    touched = Touched.by(received) if since and oldest < since else None
    return pending_revisions(run, touched, existing, until=newest)


def pending_closed_hours(run: Run, existing: Snapshot) -> DataFrame | None:
    """The revisions of hours that closed without new readings. Only here, when the batches are done, does the closing time of a
    replay count: an hour would else close without the readings of a later batch."""
    return pending_revisions(run, None, existing, close_at=run.close_at)


def _newest_times(run: Run, existing: Snapshot) -> list[datetime | None]:
    return run.lake.newest_times(existing, "as_of", "available_at")
