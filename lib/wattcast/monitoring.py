"""What the monitor measures now: here Spark finds the rows that matter; `vitals`, `residuals` and `drift` say what follows.

Each look reads windows alone: two days of records, a day of hours, and once in `slow_minutes` five weeks of hours and scores.
What is silent for longer is known from the measurements before.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.window import Window as W

from wattcast import drift, residuals, vitals
from wattcast.alerts import FIRING, HISTORY, Moment, Rule
from wattcast.lakehouse import Lakehouse
from wattcast.measures import ROW, SLOW, together

LONG = timedelta(days=2)
MOST_BUILDINGS = 1000  # whose hours stand for the fleet's in the drift of inputs
RECORDS = ["building_id", "device_id", "measured_at", "kafka_timestamp", "accepted", "energy_usage_kwh"]
MADE = "measure string, scope string, subject string, value double, samples double, details string"
SUMMED = "building_id string, model string, " + ", ".join(f"{name} double" for name in residuals.COLUMNS[2:])
OF_QUERIES = ("stream_lag_records", "batch_seconds", "rows_per_second")
PER_THING = ("building", "device")


@dataclass(frozen=True)
class Look:
    """One look at a lake. `before` holds the rows of `health` of the day before `as_of`; `now` is this machine's."""

    lake: Lakehouse
    as_of: datetime
    now: datetime
    before: pd.DataFrame

    @property
    def at(self) -> pd.Timestamp:
        return pd.Timestamp(self.as_of)


def arrival_clock(lake: Lakehouse, now: datetime) -> datetime | None:
    """The newest arrival of a record; with the wall clock this machine's time. None while nothing has arrived."""
    newest = [lake.newest(lake.snapshot(name), "kafka_timestamp")[0] for name in
              ("received_readings", "received_weather_forecasts")]  # fmt: skip
    arrived = max(filter(None, newest), default=None)
    if lake.settings.forecasting.clock == "wall":
        return max(now, arrived or now)
    return arrived


def look(lake: Lakehouse, as_of: datetime, now: datetime) -> Look:
    rows = lake.table("health").where(
        (F.col("as_of") > F.lit(as_of - HISTORY)) | (F.col("measured_at") > F.lit(now - HISTORY))
    )
    return Look(lake, as_of, now, rows.select("as_of", "measured_at", *ROW).toPandas())


def values(each: Look, reference: Mapping[str, Any] | None) -> pd.DataFrame:
    """All that is measured now, in ROW; what is slow to change is taken from the measurements before until it is due."""
    settings = each.lake.settings
    ages = together([_devices(each), _forecast_ages(each)])
    newest = _newest(each.before[each.before["as_of"] <= each.at])
    ages = together([ages, vitals.grown(newest, ages, each.at, forget_days=settings.forecasting.heard_within_days)])
    buildings = ages.loc[ages["measure"] == "freshness_minutes", "subject"]
    day = vitals.completeness(_closed_day(each), buildings)
    slow = _slow(each, reference) if is_slow_due(each) else newest[newest["measure"].isin(SLOW)]
    contracts = newest[newest["measure"] == "contract_failures"]
    fleet = together([vitals.of_fleet(ages), _never_forecast(each, ages)])
    return together([ages, fleet, day, _rejected(each), _queries(each), slow[ROW], contracts[ROW]])


def is_slow_due(each: Look) -> bool:
    """Whether what is slow to change is measured now."""
    done = each.before.loc[each.before["measure"].isin(SLOW), "as_of"]
    return bool(done.empty or each.at - done.max() >= pd.Timedelta(minutes=each.lake.settings.monitoring.slow_minutes))


def moment(each: Look, found: pd.DataFrame, rules: tuple[Rule, ...]) -> Moment:
    """What the alert rules look at."""
    waiting = {rule.measure for rule in rules if rule.for_minutes}
    opened = open_alerts(each.lake)
    is_kept = each.before["measure"].isin(waiting) | each.before["subject"].isin(set(opened["subject"]))
    past = each.before[is_kept & (each.before["as_of"] > each.at - HISTORY) & (each.before["as_of"] < each.at)]
    return Moment(each.at, found, past, opened)


def open_alerts(lake: Lakehouse) -> pd.DataFrame:
    """The alerts that fire, in the columns of their table."""
    newest = F.row_number().over(W.partitionBy("alert_id").orderBy(F.col("changed_at").desc(), F.col("state").desc()))
    rows = lake.table("alerts").withColumn("newest", newest).where(f"newest = 1 AND state = '{FIRING}'")
    return rows.drop("newest").toPandas()


def worth_keeping(each: Look, found: pd.DataFrame, rules: tuple[Rule, ...], changed: pd.DataFrame) -> pd.DataFrame:
    """The rows for `health`: once an hour all, in between those of the fleet and what is beyond a limit or changed; never what
    was taken from there."""
    ages = each.before.loc[each.before["measure"] == "meter_silent_minutes", "as_of"]
    is_new = ~found["measure"].isin([*OF_QUERIES, "contract_failures", *(() if is_slow_due(each) else SLOW)])
    if ages.empty or is_slow_due(each) or ages.max().floor("h") < each.at.floor("h"):
        return found[is_new]
    is_told = ~found["scope"].isin(PER_THING)
    for rule in rules:
        is_its = (found["measure"] == rule.measure) & (found["scope"] == rule.scope)
        is_told |= is_its & ~found["value"].map(rule.is_clear).astype(bool)
    subjects = set(changed["subject"]) if len(changed) else set()
    return found[is_new & (is_told | found["subject"].isin(subjects))]


def _devices(each: Look) -> pd.DataFrame:
    settings = each.lake.settings
    last = each.before.loc[each.before["measure"].isin(vitals.AGES), "as_of"].max()
    longest = timedelta(days=settings.forecasting.heard_within_days)
    start = each.as_of - (longest if pd.isna(last) else max(LONG, each.as_of - last.to_pydatetime()))
    interval = each.lake.table("buildings").select(
        "building_id", F.col("reading_interval_minutes").alias("interval_minutes")
    )
    rows = (
        each.lake.table("received_readings")
        .where(_between("kafka_timestamp", start, each.as_of))
        .select(*RECORDS)
        .join(F.broadcast(interval), on="building_id", how="left")
    )
    of_devices = partial(vitals.of_devices, as_of=each.at, grace_minutes=settings.closing.grace_minutes)
    buckets = int(each.lake.spark.conf.get("spark.sql.shuffle.partitions") or 1)
    by_bucket = rows.groupBy(F.pmod(F.hash("building_id"), F.lit(buckets)).alias("bucket"))
    return by_bucket.applyInPandas(_applied(of_devices), MADE).toPandas()


def _forecast_ages(each: Look) -> pd.DataFrame:
    live = each.lake.table("forecasts").where(
        (F.col("purpose") == "live") & (F.col("origin") > F.lit(each.as_of - LONG))
    )
    return vitals.forecast_ages(live.groupBy("building_id").agg(F.max("origin").alias("origin")).toPandas(), each.at)


def _never_forecast(each: Look, ages: pd.DataFrame) -> pd.DataFrame:
    """Of a fleet whose hours are there, but no forecast."""
    if (ages["measure"] == "forecast_age_minutes").any():
        return together([])
    row = each.lake.table("hourly_usage").agg(F.min("hour").alias("first")).first()
    return together([]) if row is None or row.first is None else vitals.never_forecast(pd.Timestamp(row.first), each.at)


def _closed_day(each: Look) -> pd.DataFrame:
    start, end = vitals.closed_day(each.at, max_wait_minutes=each.lake.settings.closing.max_wait_minutes)
    rows = newest_hours(each.lake.table("hourly_usage"), start.to_pydatetime(), end.to_pydatetime())
    return rows.select("building_id", "hour", "coverage").toPandas()


def _rejected(each: Look) -> pd.DataFrame:
    today = each.lake.table("received_readings").where(
        _between("kafka_timestamp", each.as_of - timedelta(days=1), each.as_of)
    )
    bad = today.where(~F.col("accepted"))
    by_rule = bad.select(F.explode("rejected_for").alias("rule")).groupBy("rule").count().toPandas()
    return vitals.rejected_shares(today.count(), bad.count(), by_rule.set_index("rule")["count"])


def _queries(each: Look) -> pd.DataFrame:
    """The newest progress of each query of the day, and how long ago it was written."""
    told = each.before[each.before["measure"].isin(OF_QUERIES)]
    batches = told[told["measure"] == "batch_seconds"]
    newest = batches.groupby("subject")["measured_at"].max().reset_index()
    return together([_newest(told)[ROW], vitals.check_ins(newest, pd.Timestamp(each.now))])


def _slow(each: Look, reference: Mapping[str, Any] | None) -> pd.DataFrame:
    lake, start = each.lake, each.as_of - (drift.WINDOW + drift.LEVEL).to_pytimedelta()
    hours = newest_hours(lake.table("hourly_usage"), start, each.as_of)
    sites = {row.building_id: row.site or "" for row in lake.table("buildings").select("building_id", "site").collect()}
    day = hours.where(F.col("hour") >= F.lit(each.as_of - timedelta(days=1)))
    parts = [drift.off_site(day.select("building_id", "hour", "temperature_c").toPandas(), sites, each.at)]
    if reference is not None:
        some = sampled(hours).select("building_id", "hour", *drift.FEATURES).toPandas()
        parts.append(drift.input_drift(some, drift.Reference.of(reference), each.at))
    sums = partial(residuals.sums, as_of=each.at)
    scored = newest_scores(lake.table("forecast_scores"), start, each.as_of)
    parts.append(residuals.accuracy(scored.groupBy("building_id").applyInPandas(_applied(sums), SUMMED).toPandas()))
    return together(parts)


def newest_hours(hourly: DataFrame, start: datetime, end: datetime) -> DataFrame:
    """The newest revision of each hour from `start` to before `end`."""
    newest = F.row_number().over(W.partitionBy("building_id", "hour").orderBy(F.col("available_at").desc()))
    rows = hourly.where((F.col("hour") >= F.lit(start)) & (F.col("hour") < F.lit(end))).withColumn("newest", newest)
    return rows.where("newest = 1").drop("newest")


def newest_scores(scores: DataFrame, start: datetime, end: datetime) -> DataFrame:
    """The newest revision of each live forecast hour from `start` to before `end`."""
    newest = F.row_number().over(W.partitionBy("forecast_id", "lead_hours").orderBy(F.col("available_at").desc()))
    is_near = (
        (F.col("target_hour") >= F.lit(start)) & (F.col("target_hour") < F.lit(end)) & (F.col("purpose") == "live")
    )
    return scores.where(is_near).withColumn("newest", newest).where("newest = 1").drop("newest")


def sampled(hours: DataFrame) -> DataFrame:
    """The hours of about MOST_BUILDINGS buildings, always the same."""
    count = hours.select("building_id").distinct().count()
    return hours.where(F.pmod(F.xxhash64("building_id"), F.lit(max(1, -(-count // MOST_BUILDINGS)))) == 0)


def _newest(rows: pd.DataFrame) -> pd.DataFrame:
    """The newest row of each measure and subject."""
    return rows.sort_values("as_of", kind="stable").drop_duplicates(["measure", "scope", "subject"], keep="last")


def _between(column: str, after: datetime, until: datetime) -> Column:
    return (F.col(column) > F.lit(after)) & (F.col(column) <= F.lit(until))


def _applied(measure: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """As Spark takes it, which counts the arguments of what it calls."""

    def apply(part: pd.DataFrame) -> pd.DataFrame:
        return measure(part)

    return apply
