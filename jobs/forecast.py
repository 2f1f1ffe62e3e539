"""Forecasts: for each building and origin of the issue window that has none, one is appended to `forecasts`."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery

from wattcast.forecasting import Span, live_span, wanted_forecasts
from wattcast.job import Job, Run, run
from wattcast.lakehouse import Snapshot
from wattcast_models.champions import current_champions
from wattcast_models.registry import Registry


def forecast(run: Run) -> list[StreamingQuery]:
    """Driven by new hours, and in live operation by a heartbeat, since silence asks for forecasts too."""
    hours = run.lake.stream("hourly_usage").select("building_id")
    if run.settings.forecasting.clock == "wall":
        hours = hours.union(run.lake.heartbeat(run.settings.forecasting.heartbeat_seconds))
    return [
        run.lake.append_wanted(
            "forecasts", on=hours, wanted=lambda batch, existing: live(run, batch, existing), query="forecast"
        )
    ]


def live(run: Run, batch: DataFrame, existing: Snapshot) -> DataFrame | None:
    """What the issue window lacks; None when the batch holds nothing that asks for it."""
    return None if batch.isEmpty() else missing(run, existing)


def missing(run: Run, existing: Snapshot, span: Span | None = None, buildings: Sequence[str] = ()) -> DataFrame | None:
    """The forecasts that `span` lacks, by default the issue window, of `buildings` or all; None while there are no hours."""
    hourly, options = run.lake.snapshot("hourly_usage"), run.settings.forecasting
    newest_hour, as_of = run.lake.newest(hourly, "hour", "as_of")
    if newest_hour is None or as_of is None:
        return None
    now = datetime.now(UTC).replace(tzinfo=None) if options.clock == "wall" else as_of
    clock, max_wait = max(as_of, now, run.close_at or as_of), timedelta(minutes=run.settings.closing.max_wait_minutes)
    span = span or live_span(
        newest_hour=newest_hour, clock=clock, max_wait=max_wait, catch_up_hours=options.catch_up_hours
    )
    if span.hindsight:  # a partition may run ahead of the clock, which is that of the slowest
        weather = run.lake.snapshot("received_weather_forecasts")
        newest = [*run.lake.newest(hourly, "available_at"), *run.lake.newest(weather, "kafka_timestamp")]
        clock = max(clock, *filter(None, newest))
    model = run.settings.model
    registry = Registry(run.settings.tracking_uri, model.registered_name)
    champions = current_champions(model.artifact, models=run.settings.state / "models", registry=registry)
    return wanted_forecasts(
        hourly.frame.where(F.col("building_id").isin(*buildings)) if buildings else hourly.frame, span,
        existing=existing.frame,
        buildings=run.lake.table("buildings"),
        weather=run.lake.table("received_weather_forecasts").where("accepted"),
        model_of=champions.on(options.device),
        clock=clock, max_wait=max_wait, options=options,
    )  # fmt: skip


def reconcile(run: Run) -> int:
    """Append what the issue window lacks now."""
    return run.lake.append("forecasts", lambda existing: missing(run, existing))


FORECAST = Job("forecast", forecast, reconcile)

if __name__ == "__main__":
    run(FORECAST)
