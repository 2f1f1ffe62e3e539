"""Hourly usage: each (building, hour) of `readings` that closed or changed, appended to `hourly_usage`."""

from pyspark.sql import DataFrame
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
            wanted=lambda batch, existing: missing_hours(run, hours_of(batch), existing),
        )
    ]  # fmt: skip


def missing_hours(run: Run, touched: DataFrame, existing: Snapshot) -> DataFrame | None:
    return wanted_hours(
        run.lake.snapshot("received_readings").frame,
        touched=touched, existing=existing.frame, buildings=run.lake.table("buildings"),
        closing=run.settings.closing, since=run.lake.newest(existing, "as_of")[0], close_at=run.close_at,
    )  # fmt: skip


def reconcile(run: Run) -> int:
    """Append what closed without new readings."""
    existing = run.lake.snapshot("hourly_usage")
    nothing_new = existing.frame.select("building_id", "hour").limit(0)
    return run.lake.append("hourly_usage", missing_hours(run, nothing_new, existing), after=existing)


AGGREGATE = Job("aggregate", aggregate, reconcile)

if __name__ == "__main__":
    run(AGGREGATE)
