"""Hourly usage: each (building, hour) of `readings` that closed or changed, appended to `hourly_usage`."""

from collections.abc import Sequence
from functools import partial

from pyspark.sql.streaming.query import StreamingQuery

from wattcast.hourly.pending import pending_closed_hours, pending_revisions_of_batch
from wattcast.runtime.context import Run
from wattcast.runtime.job import Job, run


def aggregate(run: Run) -> list[StreamingQuery]:
    """Triggered by accepted readings: appends revisions of the hours that a batch touches, and of the hours that it closes."""
    received = run.streams.read_stream("received_readings").where("accepted")
    return [
        run.streams.append_pending(
            "hourly_usage", trigger=received, pending=partial(pending_revisions_of_batch, run), query="aggregate"
        )
    ]


def reconcile(run: Run) -> int:
    """At the end of a run with --once: append the hours that closed without new readings."""
    return run.lake.append("hourly_usage", partial(pending_closed_hours, run))


AGGREGATE = Job("aggregate", aggregate, reconcile)


def main(argv: Sequence[str] | None = None) -> None:
    run(AGGREGATE, name="aggregate", argv=argv)


if __name__ == "__main__":
    main()
