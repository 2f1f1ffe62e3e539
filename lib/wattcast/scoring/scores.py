"""Forecast scores: the hours of forecasts next to their actual energy, less the scores that exist.

Spark selects the forecasts and hours that matter; the scores are computed in pandas, by buckets of buildings. The scores of a
forecast hour are a function of the revisions of its actual energy: one for each complete revision whose energy differs from
that of the complete one before it. So a crash, another cut into batches or a rebuild from nothing gives the same rows.

Times in pandas are int64 microseconds since 1970 UTC.
"""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from wattcast.forecast.columns import MODEL_COLUMNS
from wattcast.forecast.quantiles import QUANTILES
from wattcast.hourly.selection import HOUR_KEY, by_building_bucket
from wattcast.hourly.time_ranges import is_in_ranges
from wattcast.quality_flags import usable_energy
from wattcast.times import HOUR, HOUR_US

DAY_HOURS, WEEK_HOURS = 24, 168
FORECAST_COLUMNS = ["forecast_id", "building_id", "purpose", "method", *MODEL_COLUMNS]
SCORE_KEY = ["forecast_id", "lead_hours", "available_at"]
BASELINES = ["last_day_kwh", "last_week_kwh"]
UDF_SCHEMA = ", ".join(
    [
        *(f"{name} string" for name in FORECAST_COLUMNS),
        *(f"{name} bigint" for name in ("origin_us", "issued_us", "hour_us", "available_us", "lead_hours", "local_hour")),
        *(f"{name} double" for name in [*QUANTILES, "actual_kwh", "error_kwh", "pinball_kwh", *BASELINES]),
        "in_interval boolean",
    ]
)  # fmt: skip
UDF_COLUMNS = [field.split()[0] for field in UDF_SCHEMA.split(", ")]


@dataclass(frozen=True)
class ScoringTables:
    """One snapshot of each table that scores are computed from; `existing` is `forecast_scores`."""

    forecasts: DataFrame
    hourly: DataFrame
    existing: DataFrame
    buildings: DataFrame


def pending_score_rows(tables: ScoringTables, *, touched: DataFrame, lead_hours: int) -> DataFrame | None:
    """The rows that `forecast_scores` lacks for the (building_id, hour) of `touched`; None where `touched` is empty.

    Only forecasts whose origin lies less than `lead_hours` before a touched hour are read, and only the touched hours and the
    hours that the baselines repeat.
    """
    touched = touched.select(*HOUR_KEY).distinct()
    hours = sorted(row.hour for row in touched.select("hour").distinct().collect())
    if not hours:
        return None
    is_recent_origin = is_in_ranges("origin", hours, length=HOUR, before=(lead_hours - 1) * HOUR)
    forecast_hours = _forecast_hours(tables.forecasts.where(is_recent_origin), touched, tables.buildings)
    is_needed = is_in_ranges("hour", hours, length=HOUR)
    for hours_back in [WEEK_HOURS, *range(DAY_HOURS, lead_hours + DAY_HOURS, DAY_HOURS)]:
        repeated = [hour - timedelta(hours=hours_back) for hour in hours]
        is_needed |= is_in_ranges("hour", repeated, length=HOUR)
    buildings = F.broadcast(touched.select("building_id").distinct())
    actuals = _actuals(tables.hourly.where(is_needed).join(buildings, on="building_id", how="semi"))
    cogrouped = by_building_bucket(forecast_hours).cogroup(by_building_bucket(actuals))
    scored = tables.existing.where(is_in_ranges("target_hour", hours, length=HOUR)).select(*SCORE_KEY)
    return _score_rows(cogrouped.applyInPandas(scores, UDF_SCHEMA)).join(scored, on=SCORE_KEY, how="left_anti")


def scores(forecast_hours: pd.DataFrame, actuals: pd.DataFrame) -> pd.DataFrame:
    """The scores of forecast hours, in UDF_COLUMNS.

    `forecast_hours` has a row per forecast and hour: FORECAST_COLUMNS, origin_us, issued_us, hour_us, lead_hours, QUANTILES,
    timezone. `actuals` has all revisions of these hours and of those that the baselines repeat: building_id, hour_us,
    available_us and actual_kwh, which is NaN where readings are missing. `pinball_kwh` is the mean over the quantiles.
    """
    actuals = actuals.sort_values("available_us", ignore_index=True)
    lead = forecast_hours["lead_hours"]
    forecast_hours = forecast_hours.assign(
        last_day_kwh=_energy_hours_before(forecast_hours, actuals, -(-lead // DAY_HOURS) * DAY_HOURS),
        last_week_kwh=_energy_hours_before(forecast_hours, actuals, -(-lead // WEEK_HOURS) * WEEK_HOURS),
        local_hour=_local_hours(forecast_hours),
    )
    complete = actuals[actuals["actual_kwh"].notna()]
    is_change = complete["actual_kwh"].ne(complete.groupby(["building_id", "hour_us"])["actual_kwh"].shift())
    rows = forecast_hours.merge(complete[is_change], on=["building_id", "hour_us"])
    actual = rows["actual_kwh"].to_numpy()
    losses = [pinball(actual, rows[column].to_numpy(), level) for column, level in QUANTILES.items()]
    rows["error_kwh"] = rows["p50_kwh"] - actual
    rows["in_interval"] = (rows["p10_kwh"] <= actual) & (actual <= rows["p90_kwh"])
    rows["pinball_kwh"] = np.mean(losses, axis=0)
    return rows[UDF_COLUMNS]


def pinball(actual: NDArray[np.float64], quantile: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    """The quantile loss: `level` for each kWh of actual energy above the quantile, 1 - `level` for each kWh below it."""
    above = actual - quantile
    return np.maximum(level * above, (level - 1) * above)


def _energy_hours_before(
    forecast_hours: pd.DataFrame, actuals: pd.DataFrame, hours_back: pd.Series
) -> NDArray[np.float64]:
    """(forecast_hours,): the energy `hours_back` before each forecast hour, of the newest revision available when the forecast
    was issued; NaN where there was none or it was partial. `actuals` are sorted by availability."""
    lookups = forecast_hours[["building_id", "issued_us"]].assign(
        hour_us=forecast_hours["hour_us"] - hours_back * HOUR_US, row=range(len(forecast_hours))
    )
    repeated = pd.merge_asof(
        lookups.sort_values("issued_us"), actuals,
        left_on="issued_us", right_on="available_us", by=["building_id", "hour_us"],
    )  # fmt: skip
    return repeated.sort_values("row")["actual_kwh"].to_numpy(np.float64)


def _local_hours(forecast_hours: pd.DataFrame) -> NDArray[np.int64]:
    """(forecast_hours,): the hour of the day where the building is. In pandas, since Java may lack a zone that Python has."""
    hours = pd.DatetimeIndex(pd.to_datetime(forecast_hours["hour_us"], unit="us", utc=True))
    local = np.zeros(len(forecast_hours), dtype=np.int64)
    for zone, rows in forecast_hours.groupby("timezone").indices.items():
        local[rows] = hours[rows].tz_convert(str(zone)).hour
    return local


def _forecast_hours(forecasts: DataFrame, touched: DataFrame, buildings: DataFrame) -> DataFrame:
    """A row per touched hour of each forecast, in the columns that `scores` takes."""
    zones = buildings.select("building_id", "timezone")
    exploded = F.posexplode(F.arrays_zip("target_hour", *QUANTILES)).alias("position", "forecast_hour")
    return (
        forecasts.select(*FORECAST_COLUMNS, "origin", "issued_at", exploded)
        .withColumn("hour", F.col("forecast_hour.target_hour"))
        .join(F.broadcast(touched), on=HOUR_KEY, how="semi")
        .join(F.broadcast(zones), on="building_id", how="left")
        .select(
            *FORECAST_COLUMNS, F.unix_micros("origin").alias("origin_us"), F.unix_micros("issued_at").alias("issued_us"),
            F.unix_micros("hour").alias("hour_us"), (F.col("position") + 1).cast("bigint").alias("lead_hours"),
            *(F.col(f"forecast_hour.{name}").alias(name) for name in QUANTILES),
            F.coalesce("timezone", F.lit("UTC")).alias("timezone"),
        )
    )  # fmt: skip


def _actuals(hourly: DataFrame) -> DataFrame:
    return hourly.select(
        "building_id", F.unix_micros("hour").alias("hour_us"), F.unix_micros("available_at").alias("available_us"),
        usable_energy().alias("actual_kwh"),
    )  # fmt: skip


def _score_rows(rows: DataFrame) -> DataFrame:
    """In the columns of `forecast_scores`."""
    times = {"origin": "origin_us", "issued_at": "issued_us", "target_hour": "hour_us", "available_at": "available_us"}
    return rows.select(
        *FORECAST_COLUMNS, *(F.timestamp_micros(micros).alias(name) for name, micros in times.items()),
        F.col("lead_hours").cast("int").alias("lead_hours"), F.col("local_hour").cast("int").alias("local_hour"),
        *QUANTILES, "actual_kwh", "error_kwh", "pinball_kwh", "in_interval",
        *(F.nanvl(name, F.lit(None).cast("double")).alias(name) for name in BASELINES),
        F.current_timestamp().alias("scored_at"),
    )  # fmt: skip
