"""The measurements of one evaluation. Spark selects the rows; `meter_health`, `forecast_errors` and `drift` compute from them.

Each evaluation reads windows only: two days of records, a day of hours and, once in `slow_minutes`, five weeks of hours and
scores. The age of what has been silent for longer is continued from the measurements before.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from wattcast.hourly.selection import by_building_bucket
from wattcast.lake.newest import newest_rows
from wattcast.measurements import QUERY_MEASURES, SLOW_MEASURES, combined
from wattcast.monitoring.context import CONTRACT_FAILURES, MonitoringContext, is_between
from wattcast.monitoring.measures import drift, forecast_errors, meter_health
from wattcast.quality_flags import is_usable

RECORD_WINDOW = timedelta(days=2)
MAX_BUILDINGS = 1000  # whose hours are the sample of the fleet for the drift of inputs
RECORD_COLUMNS = ["building_id", "device_id", "measured_at", "kafka_timestamp", "accepted", "energy_usage_kwh"]
UDF_SCHEMA = "measure string, scope string, subject string, value double, samples double, details string"
ERROR_SUMS_SCHEMA = "building_id string, model string, " + ", ".join(
    f"{name} double" for name in forecast_errors.COLUMNS[2:]
)


def compute(ctx: MonitoringContext, reference: drift.TrainingReference | None) -> pd.DataFrame:
    """All measurements of this evaluation, in MEASUREMENT_COLUMNS; SLOW_MEASURES are those before until they are due again."""
    seen = combined([_device_measurements(ctx), _forecast_ages(ctx), _check_in_ages(ctx)])
    forget_days = ctx.lake.settings.forecasting.heard_within_days
    ages = combined([seen, meter_health.age_unseen(ctx.latest, seen, ctx.at, forget_days=forget_days)])
    buildings = ages.loc[ages["measure"] == "freshness_minutes", "subject"]
    completeness = meter_health.completeness(_last_closed_day(ctx), buildings)
    unusable = meter_health.unusable_hours(_unusable_hours(ctx), buildings)
    fleet = combined([meter_health.fleet_ages(ages), _missing_forecast_age(ctx, ages)])
    slow = _slow_measurements(ctx, reference) if ctx.is_slow_due else ctx.previous(*SLOW_MEASURES)
    previous = ctx.previous(*QUERY_MEASURES, CONTRACT_FAILURES)
    return combined([ages, fleet, completeness, unusable, _rejected_shares(ctx), previous, slow])


def _device_measurements(ctx: MonitoringContext) -> pd.DataFrame:
    settings = ctx.lake.settings
    interval = ctx.lake.table("buildings").select(
        "building_id", F.col("reading_interval_minutes").alias("interval_minutes")
    )
    records = (
        ctx.lake.table("received_readings")
        .where(is_between("kafka_timestamp", _records_since(ctx), ctx.as_of))
        .select(*RECORD_COLUMNS)
        .join(F.broadcast(interval), on="building_id", how="left")
    )
    measurements = partial(meter_health.device_measurements, as_of=ctx.at, grace_minutes=settings.closing.grace_minutes)
    rows: pd.DataFrame = by_building_bucket(records).applyInPandas(_one_argument(measurements), UDF_SCHEMA).toPandas()
    return rows


def _records_since(ctx: MonitoringContext) -> datetime:
    """RECORD_WINDOW ago, or the evaluation before if that is longer ago; in the first one all that is not yet forgotten."""
    last = ctx.previous("freshness_minutes", columns=["as_of"])["as_of"].max()
    if pd.isna(last):
        window = timedelta(days=ctx.lake.settings.forecasting.heard_within_days)
    else:
        window = max(RECORD_WINDOW, ctx.as_of - last.to_pydatetime())
    return ctx.as_of - window


def _forecast_ages(ctx: MonitoringContext) -> pd.DataFrame:
    is_recent = (F.col("purpose") == "live") & (F.col("origin") > F.lit(ctx.as_of - RECORD_WINDOW))
    origins = ctx.lake.table("forecasts").where(is_recent).groupBy("building_id").agg(F.max("origin").alias("origin"))
    return meter_health.forecast_ages(origins.toPandas(), ctx.at)


def _missing_forecast_age(ctx: MonitoringContext, ages: pd.DataFrame) -> pd.DataFrame:
    """The age of a fleet that has hours but no forecast."""
    if (ages["measure"] == "forecast_age_minutes").any():
        return combined([])
    row = ctx.lake.table("hourly_usage").agg(F.min("hour").alias("first")).first()
    if row is None or row.first is None:
        return combined([])
    return meter_health.missing_forecast_age(pd.Timestamp(row.first), ctx.at)


def _last_closed_day(ctx: MonitoringContext) -> pd.DataFrame:
    start, end = meter_health.closed_day(ctx.at, max_wait_minutes=ctx.lake.settings.closing.max_wait_minutes)
    rows = newest_hours(ctx.lake.table("hourly_usage"), start.to_pydatetime(), end.to_pydatetime())
    return rows.select("building_id", "hour", "coverage").toPandas()


def _unusable_hours(ctx: MonitoringContext) -> pd.DataFrame:
    """The hours whose revisions of the last day have a flag that keeps forecasts from using them."""
    is_of_last_day = is_between("available_at", ctx.as_of - timedelta(days=1), ctx.as_of)
    hours = ctx.lake.table("hourly_usage").where(~is_usable() & is_of_last_day)
    return hours.select("building_id", "hour").distinct().toPandas()


def _rejected_shares(ctx: MonitoringContext) -> pd.DataFrame:
    is_of_last_day = is_between("kafka_timestamp", ctx.as_of - timedelta(days=1), ctx.as_of)
    records = ctx.lake.table("received_readings").where(is_of_last_day)
    rejected = records.where(~F.col("accepted"))
    by_rule = rejected.select(F.explode("rejected_for").alias("rule")).groupBy("rule").count().toPandas()
    return meter_health.rejected_shares(records.count(), rejected.count(), by_rule.set_index("rule")["count"])


def _check_in_ages(ctx: MonitoringContext) -> pd.DataFrame:
    """Of the queries whose progress is in the history."""
    progress = ctx.previous("batch_seconds", columns=["subject", "measured_at"])
    return meter_health.check_in_ages(progress, pd.Timestamp(ctx.now))


def _slow_measurements(ctx: MonitoringContext, reference: drift.TrainingReference | None) -> pd.DataFrame:
    lake, start = ctx.lake, ctx.as_of - (drift.WINDOW + drift.LEVEL).to_pytimedelta()
    hours = newest_hours(lake.table("hourly_usage"), start, ctx.as_of)
    sites = {row.building_id: row.site or "" for row in lake.table("buildings").select("building_id", "site").collect()}
    last_day = hours.where(F.col("hour") >= F.lit(ctx.as_of - timedelta(days=1)))
    temperatures = last_day.select("building_id", "hour", "temperature_c").toPandas()
    parts = [drift.temperature_off_site(temperatures, sites, ctx.at)]
    if reference is not None:
        sample = building_sample(hours).select("building_id", "hour", *drift.FEATURES).toPandas()
        parts.append(drift.input_drift(sample, reference, ctx.at))
    scores = newest_scores(lake.table("forecast_scores"), start, ctx.as_of)
    error_sums = _one_argument(partial(forecast_errors.error_sums, as_of=ctx.at))
    sums = scores.groupBy("building_id").applyInPandas(error_sums, ERROR_SUMS_SCHEMA).toPandas()
    parts.append(forecast_errors.accuracy_measurements(sums))
    return combined(parts)


def newest_hours(hourly: DataFrame, start: datetime, end: datetime) -> DataFrame:
    """The newest revision of each hour from `start` to before `end`."""
    is_in_window = (F.col("hour") >= F.lit(start)) & (F.col("hour") < F.lit(end))
    return newest_rows(hourly.where(is_in_window), key=["building_id", "hour"], order=[F.col("available_at").desc()])


def newest_scores(scores: DataFrame, start: datetime, end: datetime) -> DataFrame:
    """The newest revision of each live forecast hour from `start` to before `end`."""
    is_in_window = (F.col("target_hour") >= F.lit(start)) & (F.col("target_hour") < F.lit(end))
    live = scores.where(is_in_window & (F.col("purpose") == "live"))
    return newest_rows(live, key=["forecast_id", "lead_hours"], order=[F.col("available_at").desc()])


def building_sample(hours: DataFrame) -> DataFrame:
    """The hours of about MAX_BUILDINGS buildings, the same ones each time."""
    count = hours.select("building_id").distinct().count()
    return hours.where(F.pmod(F.xxhash64("building_id"), F.lit(max(1, -(-count // MAX_BUILDINGS)))) == 0)


def _one_argument(function: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """A partial function as Spark accepts it: Spark counts the arguments of what it calls."""

    def apply(part: pd.DataFrame) -> pd.DataFrame:
        return function(part)

    return apply
