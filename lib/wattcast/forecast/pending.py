"""The forecasts that `forecasts` lacks, read from the tables of the lake."""

from collections.abc import Sequence
from datetime import timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from wattcast.forecast.context import ModelOf
from wattcast.forecast.origins import OriginSpan, live_span
from wattcast.forecast.selection import ForecastTables, pending_forecast_rows
from wattcast.lake.tables import Snapshot
from wattcast.runtime.context import Run
from wattcast.times import now_utc


def pending_forecasts(
    run: Run, existing: Snapshot, model_of: ModelOf, span: OriginSpan | None = None, buildings: Sequence[str] = ()
) -> DataFrame | None:
    """The forecasts that `span` lacks, by default the issue window, of `buildings` or all; None while there are no hours."""
    hourly, options = run.lake.snapshot("hourly_usage"), run.settings.forecasting
    newest_hour, as_of = run.lake.newest_times(hourly, "hour", "as_of")
    if newest_hour is None or as_of is None:
        return None
    now = now_utc() if options.clock == "wall" else as_of
    clock, max_wait = max(as_of, now, run.close_at or as_of), timedelta(minutes=run.settings.closing.max_wait_minutes)
    span = span or live_span(
        newest_hour=newest_hour, clock=clock, max_wait=max_wait, catch_up_hours=options.catch_up_hours
    )
    if span.hindsight:  # a Kafka partition may be ahead of the clock, which is that of the slowest one
        weather = run.lake.snapshot("received_weather_forecasts")
        newest = [*run.lake.newest_times(hourly, "available_at"), *run.lake.newest_times(weather, "kafka_timestamp")]
        clock = max(clock, *filter(None, newest))
    tables = ForecastTables(
        hourly=hourly.frame.where(F.col("building_id").isin(*buildings)) if buildings else hourly.frame,
        existing=existing.frame,
        buildings=run.lake.table("buildings"),
        weather=run.lake.table("received_weather_forecasts").where("accepted"),
    )
    return pending_forecast_rows(tables, span, model_of=model_of, clock=clock, max_wait=max_wait, options=options)
