"""Which forecasts `forecasts` lacks, from hourly usage, metadata and weather forecasts: the Spark side.

Live forecasts, catching up after an outage and backfills are this one function over different spans of origins. What
happens to one building is in `wattcast.forecast.udf`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf

from wattcast.forecast.columns import METADATA_COLUMNS, MODEL_COLUMNS, USAGE_COLUMNS, WEATHER_COLUMNS
from wattcast.forecast.context import ModelOf
from wattcast.forecast.origins import OriginSpan
from wattcast.forecast.quantiles import QUANTILE_COLUMNS
from wattcast.forecast.udf import UDF_SCHEMA, ForecastUdf
from wattcast.quality_flags import usable_energy
from wattcast.setting_sections import ForecastingSettings
from wattcast.times import duration_us, epoch_us


@dataclass(frozen=True)
class ForecastTables:
    """The tables that forecasts are computed from; `weather` has the accepted rows of `received_weather_forecasts`."""

    hourly: DataFrame
    existing: DataFrame
    buildings: DataFrame
    weather: DataFrame


def pending_forecast_rows(
    tables: ForecastTables,
    span: OriginSpan,
    *,
    model_of: ModelOf,
    clock: datetime,
    max_wait: timedelta,
    options: ForecastingSettings,
) -> DataFrame:
    """The rows of `forecasts` that `tables.existing` lacks in `span`.

    An origin is issued once per building and purpose, and in a backfill once per model version. Nothing that arrived after
    `clock` is due. Spark sends `model_of` to the Python workers.
    """
    in_span = F.col("origin").between(F.lit(span.first), F.lit(span.last))
    issued = tables.existing.where((F.col("purpose") == span.purpose) & in_span)
    rows = _building_rows(tables, issued, span, options)
    udf = ForecastUdf(model_of, span, options, epoch_us(clock), duration_us(max_wait))
    forecasts_of = pandas_udf(udf.forecasts, UDF_SCHEMA)  # type: ignore[call-overload]  # the stubs lack an iterator of frames
    return _forecast_rows(
        rows.select("building_id", forecasts_of(F.struct("*")).alias("forecasts")), span.purpose, options.lead_hours
    )


def _building_rows(
    tables: ForecastTables, issued: DataFrame, span: OriginSpan, options: ForecastingSettings
) -> DataFrame:
    """One row per building with hours near the span: its hours as arrays, the origins issued and by which model, metadata and
    weather forecasts."""
    metadata = tables.buildings.select("building_id", "site", *METADATA_COLUMNS, F.lit(True).alias("has_metadata"))
    return (
        _usage_by_building(tables.hourly, span, options)
        .join(_issued_by_building(issued), on="building_id", how="left")
        .join(F.broadcast(metadata), on="building_id", how="left")
        .join(F.broadcast(_weather_by_site(tables.weather, span, options)), on="site", how="left")
        .select(
            "building_id", "site", *METADATA_COLUMNS, "has_metadata",
            *(F.col(f"issued.{name}").alias(f"issued_{name}") for name in ["origin", *MODEL_COLUMNS]),
            *(F.col(f"weather.{name}").alias(f"weather_{name}") for name in ["hour", "available_us", *WEATHER_COLUMNS]),
            *(F.col(f"usage.{name}").alias(name) for name in ["hour", "available_us", *USAGE_COLUMNS]),
        )
    )  # fmt: skip


def _usage_by_building(hourly: DataFrame, span: OriginSpan, options: ForecastingSettings) -> DataFrame:
    """`usage`: the revisions of the hours before and in the span, sorted; without the energy of incomplete and unusable hours."""
    back = timedelta(hours=max(options.context_hours, 24 * options.heard_within_days))
    is_near = (F.col("hour") >= F.lit(span.first - back)) & (F.col("hour") < F.lit(span.last))
    energy, *others = USAGE_COLUMNS
    revision = F.struct(
        _hours_since_1970("hour").alias("hour"), F.unix_micros("available_at").alias("available_us"),
        usable_energy().cast("double").alias(energy),
        *(F.col(name).cast("double").alias(name) for name in others),
    )  # fmt: skip
    return hourly.where(is_near).groupBy("building_id").agg(F.sort_array(F.collect_list(revision)).alias("usage"))


def _issued_by_building(issued: DataFrame) -> DataFrame:
    forecast = F.struct(_hours_since_1970("origin").alias("origin"), *MODEL_COLUMNS)
    return issued.groupBy("building_id").agg(F.collect_set(forecast).alias("issued"))


def _weather_by_site(weather: DataFrame, span: OriginSpan, options: ForecastingSettings) -> DataFrame:
    """`weather`: the weather forecasts of the hours ahead, sorted so that of one hour the newest issued comes last."""
    end = F.lit(span.last + timedelta(hours=options.lead_hours))
    is_ahead = (F.col("target_hour") >= F.lit(span.first)) & (F.col("target_hour") < end)
    row = F.struct(
        _hours_since_1970("target_hour").alias("hour"), F.unix_micros("issued_at").alias("issued_us"),
        F.unix_micros("kafka_timestamp").alias("available_us"),
        *(F.col(name).cast("double").alias(name) for name in WEATHER_COLUMNS),
    )  # fmt: skip
    return weather.where(is_ahead).groupBy("site").agg(F.sort_array(F.collect_list(row)).alias("weather"))


def _forecast_rows(by_building: DataFrame, purpose: str, lead_hours: int) -> DataFrame:
    """One row per forecast, in the columns of `forecasts`, from one row per building.

    The forecasts are cut out of the building's arrays before the explode: after it, every forecast would carry all of
    them, which for a catch-up of n origins is n copies of n forecasts.
    """

    def one_forecast(origin_hour: Column, index: Column) -> Column:
        hours = F.lit(lead_hours)
        return F.struct(
            origin_hour.alias("origin_hour"),
            *(F.col(f"forecasts.{name}")[index].alias(name) for name in ("issued_us", "method", "warnings")),
            *(F.slice(F.col(f"forecasts.{name}"), index * hours + 1, hours).alias(name) for name in QUANTILE_COLUMNS),
        )

    exploded = F.explode(F.transform("forecasts.origin", one_forecast)).alias("forecast")
    model = [F.col(f"forecasts.{name}") for name in MODEL_COLUMNS]
    rows = by_building.select("building_id", *model, exploded).select("building_id", *MODEL_COLUMNS, "forecast.*")
    origin = F.timestamp_seconds(F.col("origin_hour") * 3600)
    identity = F.concat_ws("|", "building_id", F.unix_seconds(origin), F.lit(purpose), *MODEL_COLUMNS)
    target_hours = F.transform(
        F.sequence(F.lit(0), F.lit(lead_hours - 1)),
        lambda lead: F.timestamp_seconds((F.col("origin_hour") + lead) * 3600),
    )
    return rows.select(
        F.substring(F.sha2(identity, 256), 1, 32).alias("forecast_id"),
        "building_id",
        origin.alias("origin"),
        F.lit(purpose).alias("purpose"),
        F.timestamp_micros("issued_us").alias("issued_at"),
        target_hours.alias("target_hour"),
        *QUANTILE_COLUMNS,
        "method",
        *MODEL_COLUMNS,
        "warnings",
        F.current_timestamp().alias("created_at"),
    )


def _hours_since_1970(column: str) -> Column:
    return F.floor(F.unix_seconds(column) / 3600)
