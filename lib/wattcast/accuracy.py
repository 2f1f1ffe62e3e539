"""Scores that should exist, less those that do: hours of forecasts beside the energy that was used in them.

Here Spark finds the forecasts and the hours that matter; what follows from them is pandas, by buckets of buildings. The scores
of a forecast hour are a function of the revisions of its actual energy: one for each complete revision whose energy differs
from that of the complete one before it. So a crash, another cut into batches or a rebuild from nothing gives the same rows.

Times in pandas are int64 microseconds since 1970 UTC.
"""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from wattcast.forecasting import LEVELS, MODEL
from wattcast.hourly import PAIR, by_bucket
from wattcast.revisions import HOUR_US

DAY_HOURS, WEEK_HOURS = 24, 168
MOST_RANGES = 32
QUANTILES = {f"{level}_kwh": int(level[1:]) / 100 for level in LEVELS}
FORECAST = ["forecast_id", "building_id", "purpose", "method", *MODEL]
KEY = ["forecast_id", "lead_hours", "available_at"]
MADE = ", ".join(
    [
        *(f"{name} string" for name in FORECAST),
        *(f"{name} bigint" for name in ("origin_us", "issued_us", "hour_us", "available_us", "lead_hours", "local_hour")),
        *(f"{name} double" for name in [*QUANTILES, "actual_kwh", "error_kwh", "pinball_kwh", "last_day_kwh", "last_week_kwh"]),
        "in_interval boolean",
    ]
)  # fmt: skip


def wanted_scores(
    forecasts: DataFrame,
    *,
    touched: DataFrame,
    hourly: DataFrame,
    existing: DataFrame,
    buildings: DataFrame,
    lead_hours: int,
) -> DataFrame | None:
    """The rows that `forecast_scores` (`existing`) lacks for the pairs (building_id, hour) of `touched`; None where it is empty.

    `forecasts` and `hourly` are snapshots of these tables. Only forecasts whose origin lies less than `lead_hours` before a
    touched hour are read, and only the touched hours and those that the baselines repeat."""
    touched = touched.select(*PAIR).distinct()
    hours = sorted(row.hour for row in touched.select("hour").distinct().collect())
    if not hours:
        return None
    pairs = _pairs(forecasts.where(_within("origin", hours, reach_hours=lead_hours)), touched, buildings)
    repeated = [WEEK_HOURS, *range(DAY_HOURS, lead_hours + DAY_HOURS, DAY_HOURS)]
    needed = _within("hour", hours)
    for back in repeated:
        needed |= _within("hour", [hour - timedelta(hours=back) for hour in hours])
    of_touched = hourly.where(needed).join(F.broadcast(touched.select("building_id").distinct()), "building_id", "semi")
    made = by_bucket(pairs).cogroup(by_bucket(_actuals(of_touched))).applyInPandas(scores, MADE)
    scored = existing.where(_within("target_hour", hours)).select(*KEY)
    return _rows(made).join(scored, on=KEY, how="left_anti")


def scores(pairs: pd.DataFrame, hours: pd.DataFrame) -> pd.DataFrame:
    """The scores of forecast hours, in the columns of MADE, by what was used in them.

    `pairs` has a row per forecast hour: FORECAST, origin_us, issued_us, hour_us, lead_hours, QUANTILES, timezone. `hours` has
    all revisions of these hours and of those that the baselines repeat: building_id, hour_us, available_us and actual_kwh,
    which is NaN where readings are missing. Pinball is the mean over the quantiles."""
    known = hours.sort_values("available_us", ignore_index=True)
    lead = pairs["lead_hours"]
    pairs = pairs.assign(
        last_day_kwh=_repeated(pairs, known, -(-lead // DAY_HOURS) * DAY_HOURS),
        last_week_kwh=_repeated(pairs, known, -(-lead // WEEK_HOURS) * WEEK_HOURS),
        local_hour=_local_hours(pairs),
    )
    complete = known[known["actual_kwh"].notna()]
    is_change = complete["actual_kwh"].ne(complete.groupby(["building_id", "hour_us"])["actual_kwh"].shift())
    made = pairs.merge(complete[is_change], on=["building_id", "hour_us"])
    actual = made["actual_kwh"].to_numpy()
    made["error_kwh"] = made["p50_kwh"] - actual
    made["in_interval"] = (made["p10_kwh"] <= actual) & (actual <= made["p90_kwh"])
    made["pinball_kwh"] = np.mean([pinball(actual, made[name].to_numpy(), q) for name, q in QUANTILES.items()], axis=0)
    return made[[part.split()[0] for part in MADE.split(", ")]]


def pinball(actual: NDArray[np.float64], quantile: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    """The quantile loss: `level` a kWh that was used above the quantile, 1 - `level` a kWh below."""
    above = actual - quantile
    return np.maximum(level * above, (level - 1) * above)


def _repeated(pairs: pd.DataFrame, known: pd.DataFrame, back_hours: pd.Series) -> NDArray[np.float64]:
    """(pairs,): the energy so many hours before each forecast hour by the newest revision known when it was issued; NaN where
    there was none or it was partial. `known` is in the order of knowledge."""
    asked = pairs[["building_id", "issued_us"]].assign(
        hour_us=pairs["hour_us"] - back_hours * HOUR_US, at=range(len(pairs))
    )
    found = pd.merge_asof(
        asked.sort_values("issued_us"), known,
        left_on="issued_us", right_on="available_us", by=["building_id", "hour_us"],
    )  # fmt: skip
    return found.sort_values("at")["actual_kwh"].to_numpy(np.float64)


def _local_hours(pairs: pd.DataFrame) -> NDArray[np.int64]:
    """(pairs,): the hour of the day where the building is. Here and not in Spark, since Java may lack a zone that Python has."""
    hours = pd.DatetimeIndex(pd.to_datetime(pairs["hour_us"], unit="us", utc=True))
    local = np.zeros(len(pairs), dtype=np.int64)
    for zone, at in pairs.groupby("timezone").indices.items():
        local[at] = hours[at].tz_convert(str(zone)).hour
    return local


def _pairs(forecasts: DataFrame, touched: DataFrame, buildings: DataFrame) -> DataFrame:
    """A row per touched hour of each forecast, as `scores` wants it."""
    zones = buildings.select("building_id", "timezone")
    hours = F.posexplode(F.arrays_zip("target_hour", *QUANTILES)).alias("lead", "of_hour")
    return (
        forecasts.select(*FORECAST, "origin", "issued_at", hours)
        .withColumn("hour", F.col("of_hour.target_hour"))
        .join(F.broadcast(touched), on=PAIR, how="semi")
        .join(F.broadcast(zones), on="building_id", how="left")
        .select(
            *FORECAST, _micros("origin").alias("origin_us"), _micros("issued_at").alias("issued_us"),
            _micros("hour").alias("hour_us"), (F.col("lead") + 1).cast("bigint").alias("lead_hours"),
            *(F.col(f"of_hour.{name}").alias(name) for name in QUANTILES),
            F.coalesce("timezone", F.lit("UTC")).alias("timezone"),
        )
    )  # fmt: skip


def _actuals(hourly: DataFrame) -> DataFrame:
    is_complete = F.coalesce(F.col("coverage"), F.lit(1.0)) >= 1
    return hourly.select(
        "building_id", _micros("hour").alias("hour_us"), _micros("available_at").alias("available_us"),
        F.when(is_complete, F.col("energy_usage_kwh")).alias("actual_kwh"),
    )  # fmt: skip


def _rows(made: DataFrame) -> DataFrame:
    """In the columns of `forecast_scores`."""
    times = {"origin": "origin_us", "issued_at": "issued_us", "target_hour": "hour_us", "available_at": "available_us"}
    return made.select(
        *FORECAST, *(F.timestamp_micros(micros).alias(name) for name, micros in times.items()),
        F.col("lead_hours").cast("int").alias("lead_hours"), F.col("local_hour").cast("int").alias("local_hour"),
        *QUANTILES, "actual_kwh", "error_kwh", "pinball_kwh", "in_interval",
        *(F.nanvl(name, F.lit(None).cast("double")).alias(name) for name in ("last_day_kwh", "last_week_kwh")),
        F.current_timestamp().alias("scored_at"),
    )  # fmt: skip


def _within(column: str, hours: list[datetime], *, reach_hours: int = 1) -> Column:
    """Whether a time is one of the hours or less than `reach_hours` before it, as few ranges that Delta can skip files by."""
    back, runs = timedelta(hours=reach_hours - 1), list[list[datetime]]()
    for hour in hours:
        if runs and hour - back <= runs[-1][1] + timedelta(hours=1):
            runs[-1][1] = hour
        else:
            runs.append([hour - back, hour])
    if len(runs) > MOST_RANGES:
        runs = [[runs[0][0], runs[-1][1]]]
    condition = F.lit(False)
    for first, last in runs:
        condition |= F.col(column).between(F.lit(first), F.lit(last))
    return condition


def _micros(column: str) -> Column:
    return F.unix_micros(column)
