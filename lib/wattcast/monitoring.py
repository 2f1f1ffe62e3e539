"""What the monitor measures now: here Spark finds the rows that matter; `vitals`, `residuals` and `drift` say what follows.

Each look reads windows alone: two days of records, a day of hours, and once in `slow_minutes` five weeks of hours and scores.
What is silent for longer is known from the measurements before.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.window import Window as W

from wattcast import drift, residuals, vitals
from wattcast.alerts import FIRING, HISTORY, Moment, Rule, whose_past_counts
from wattcast.lakehouse import Lakehouse
from wattcast.measures import OF_MACHINE, OF_QUERIES, ROW, SLOW, together

LONG = timedelta(days=2)
CHECKED = "contract_failures"
MOST_BUILDINGS = 1000  # whose hours stand for the fleet's in the drift of inputs
RECORDS = ["building_id", "device_id", "measured_at", "kafka_timestamp", "accepted", "energy_usage_kwh"]
THING = ["measure", "scope", "subject"]
MADE = "measure string, scope string, subject string, value double, samples double, details string"
SUMMED = "building_id string, model string, " + ", ".join(f"{name} double" for name in residuals.COLUMNS[2:])
PER_THING = ("building", "device")


@dataclass(frozen=True)
class Look:
    """One look at a lake. `now` is this machine's time. `newest` holds, of what grows or is carried on, the newest row of each
    measure and subject in the HISTORY of `health`, as `history` has it."""

    lake: Lakehouse
    as_of: datetime
    now: datetime
    newest: pd.DataFrame

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
    carried = history(lake, as_of, now).where(F.col("measure").isin(*vitals.AGES, *SLOW, *OF_MACHINE))
    last = F.max(F.struct("as_of", "measured_at", "value", "samples", "details")).alias("last")
    return Look(lake, as_of, now, carried.groupBy(*THING).agg(last).select(*THING, "last.*").toPandas())


def history(lake: Lakehouse, as_of: datetime, now: datetime) -> DataFrame:
    """The rows of `health` of the HISTORY before and of the last check of contracts. Those with this machine's time are put on
    the arrival clock, as long before `as_of` as they are before `now`."""
    checked = HISTORY + timedelta(hours=lake.settings.monitoring.contracts_hours)
    is_of_machine, is_of_contracts = F.col("measure").isin(*OF_MACHINE), F.col("measure") == CHECKED
    is_recent = (
        (~is_of_machine & _between("as_of", as_of - HISTORY, as_of))
        | (is_of_machine & _between("as_of", now - HISTORY, now))
        | (is_of_contracts & _between("as_of", now - checked, now))
    )
    by_arrival = F.when(is_of_machine, F.col("as_of") + F.lit(as_of - now)).otherwise(F.col("as_of"))
    return lake.table("health").where(is_recent).withColumn("as_of", by_arrival)


def values(each: Look, reference: drift.Reference | None) -> pd.DataFrame:
    """All that is measured now, in ROW; what is slow to change is taken from the measurements before until it is due."""
    heard = together([_devices(each), _forecast_ages(each), _check_ins(each)])
    forget_days = each.lake.settings.forecasting.heard_within_days
    ages = together([heard, vitals.grown(each.newest, heard, each.at, forget_days=forget_days)])
    buildings = ages.loc[ages["measure"] == "freshness_minutes", "subject"]
    day = vitals.completeness(_closed_day(each), buildings)
    fleet = together([vitals.of_fleet(ages), _never_forecast(each, ages)])
    slow = _slow(each, reference) if is_slow_due(each) else _carried(each, *SLOW)
    return together([ages, fleet, day, _rejected(each), _carried(each, *OF_QUERIES, CHECKED), slow])


def is_slow_due(each: Look) -> bool:
    """Whether what is slow to change is measured now."""
    done = _carried(each, *SLOW, columns=["as_of"])["as_of"]
    return bool(done.empty or each.at - done.max() >= pd.Timedelta(minutes=each.lake.settings.monitoring.slow_minutes))


def moment(each: Look, found: pd.DataFrame, rules: tuple[Rule, ...]) -> Moment:
    """What the alert rules look at."""
    opened = open_alerts(each.lake)
    return Moment(each.at, found, _past(each, rules, whose_past_counts(rules, found, opened)), opened)


def _past(each: Look, rules: tuple[Rule, ...], subjects: set[str]) -> pd.DataFrame:
    """What the rules were measured by before now, of these subjects."""
    past = history(each.lake, each.as_of, each.now).where(F.col("as_of") < F.lit(each.as_of))
    mine = past.where(F.col("measure").isin(*{rule.measure for rule in rules})).select("as_of", *THING, "value")
    wanted = each.lake.spark.createDataFrame([(name,) for name in sorted(subjects)], "subject string")
    return mine.join(F.broadcast(wanted), on="subject", how="left_semi").toPandas()


def open_alerts(lake: Lakehouse) -> pd.DataFrame:
    """The alerts that fire, in the columns of their table."""
    newest = F.row_number().over(W.partitionBy("alert_id").orderBy(F.col("changed_at").desc(), F.col("state").desc()))
    rows = lake.table("alerts").withColumn("newest", newest).where(f"newest = 1 AND state = '{FIRING}'")
    return rows.drop("newest").toPandas()


def worth_keeping(each: Look, found: pd.DataFrame, rules: tuple[Rule, ...], changed: pd.DataFrame) -> pd.DataFrame:
    """The rows for `health`, with their as_of: once an hour all, in between those of the fleet and what is beyond a limit or
    changed; never what was taken from there."""
    is_of_machine = found["measure"].isin(OF_MACHINE)
    found = found.assign(as_of=pd.Series(each.at, found.index).mask(is_of_machine, pd.Timestamp(each.now)))
    ages = _carried(each, "meter_silent_minutes", columns=["as_of"])["as_of"]
    is_new = ~found["measure"].isin([*OF_QUERIES, CHECKED, *(() if is_slow_due(each) else SLOW)])
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
    last = _carried(each, "freshness_minutes", columns=["as_of"])["as_of"].max()
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


def _check_ins(each: Look) -> pd.DataFrame:
    """Of the queries whose progress was written in the HISTORY."""
    return vitals.check_ins(_carried(each, "batch_seconds", columns=["subject", "measured_at"]), pd.Timestamp(each.now))


def _slow(each: Look, reference: drift.Reference | None) -> pd.DataFrame:
    lake, start = each.lake, each.as_of - (drift.WINDOW + drift.LEVEL).to_pytimedelta()
    hours = newest_hours(lake.table("hourly_usage"), start, each.as_of)
    sites = {row.building_id: row.site or "" for row in lake.table("buildings").select("building_id", "site").collect()}
    day = hours.where(F.col("hour") >= F.lit(each.as_of - timedelta(days=1)))
    parts = [drift.off_site(day.select("building_id", "hour", "temperature_c").toPandas(), sites, each.at)]
    if reference is not None:
        some = sampled(hours).select("building_id", "hour", *drift.FEATURES).toPandas()
        parts.append(drift.input_drift(some, reference, each.at))
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


def _carried(each: Look, *measures: str, columns: list[str] = ROW) -> pd.DataFrame:
    """Of these measures what was measured before, the newest of each subject."""
    rows: pd.DataFrame = each.newest.loc[each.newest["measure"].isin(measures), columns]
    return rows


def _between(column: str, after: datetime, until: datetime) -> Column:
    return (F.col(column) > F.lit(after)) & (F.col(column) <= F.lit(until))


def _applied(measure: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """As Spark takes it, which counts the arguments of what it calls."""

    def apply(part: pd.DataFrame) -> pd.DataFrame:
        return measure(part)

    return apply
