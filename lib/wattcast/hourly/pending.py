"""The revisions that `hourly_usage` lacks, read from the tables of the lake."""

from datetime import datetime, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from wattcast.contracts import contract
from wattcast.hourly.selection import ClosingRules, HourlyTables, hours_of, pending_revision_rows
from wattcast.lake.tables import Snapshot
from wattcast.runtime.context import Run


def pending_revisions(
    run: Run,
    touched: DataFrame,
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
    since, newest_available = run.lake.newest_times(existing, "as_of", "available_at")
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
    ((until,),) = received.agg(F.max("kafka_timestamp")).collect()
    return None if until is None else pending_revisions(run, hours_of(received), existing, until=until)


def pending_closed_hours(run: Run, existing: Snapshot) -> DataFrame | None:
    """The revisions of hours that closed without new readings. Only here, when the batches are done, does the closing time of a
    replay count: an hour would else close without the readings of a later batch."""
    no_hours = existing.frame.select("building_id", "hour").limit(0)
    return pending_revisions(run, no_hours, existing, close_at=run.close_at)
