"""Hourly usage: each (building, hour) of `readings` that closed or changed, appended to `hourly_usage`."""

from datetime import datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery

from wattcast.hourly import hours_of, wanted_hours
from wattcast.job import Job, Run, run
from wattcast.lakehouse import Snapshot


def aggregate(run: Run) -> list[StreamingQuery]:
    """Each batch of received readings touches some hours: the revisions that these and the hours just closed lack."""
    received = run.lake.stream("received_readings").where("accepted")
    return [
        run.lake.append_wanted(
            "hourly_usage", on=received, query="aggregate",
            wanted=lambda batch, existing: of_batch(run, batch, existing),
        )
    ]  # fmt: skip


def of_batch(run: Run, batch: DataFrame, existing: Snapshot) -> DataFrame | None:
    """What follows from the readings of one batch; None where it has none that were accepted."""
    ((until,),) = batch.agg(F.max("kafka_timestamp")).collect()
    return None if until is None else missing_hours(run, hours_of(batch), existing, until)


def missing_hours(run: Run, touched: DataFrame, existing: Snapshot, until: datetime | None = None) -> DataFrame | None:
    """The revisions that the touched hours, and those since the last batch, lack by what had arrived at `until`, or by now.

    What revisions hold already counts too, also where the batch brings older arrivals of a Kafka partition that lags: otherwise
    they would be taken back."""
    since, known = run.lake.newest(existing, "as_of", "available_at")
    until = None if until is None else max(until, known or until)
    return wanted_hours(
        run.lake.snapshot("received_readings").frame,
        touched=touched, existing=existing.frame, buildings=run.lake.table("buildings"),
        closing=run.settings.closing, since=since, until=until, close_at=run.close_at,
    )  # fmt: skip


def reconcile(run: Run) -> int:
    """Append what closed without new readings."""

    def closed(existing: Snapshot) -> DataFrame | None:
        return missing_hours(run, existing.frame.select("building_id", "hour").limit(0), existing)

    return run.lake.append("hourly_usage", closed)


AGGREGATE = Job("aggregate", aggregate, reconcile)

if __name__ == "__main__":
    run(AGGREGATE)
