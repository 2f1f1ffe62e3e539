"""Hourly usage from readings: which revisions of which hours should exist, less those that do.

Here Spark finds the rows that matter; `wattcast.revisions` says what follows from them.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from wattcast.revisions import ARRIVAL, COUNTS, MEASURED, Closing, revisions
from wattcast.settings import ClosingSettings

HOUR = timedelta(hours=1)
STAMP_TOLERANCE = timedelta(
    minutes=10
)  # readings.odcs.yaml rejects a later stamp, so no reading arrives earlier than this
PAIR = ["building_id", "hour"]
MOST_RANGES = 32
MADE = (
    "building_id string, hour_us bigint, available_us bigint, revision bigint, energy_usage_kwh double, temperature_c double, "
    "humidity_pct double, occupancy double, readings_seen double, readings_expected double"
)


def wanted_hours(
    received: DataFrame,
    *,
    touched: DataFrame,
    existing: DataFrame,
    buildings: DataFrame,
    closing: ClosingSettings,
    since: datetime | None,
    until: datetime | None = None,
    close_at: datetime | None = None,
) -> DataFrame | None:
    """The rows that `hourly_usage` (`existing`) lacks, for the pairs (building_id, hour) of `touched`, and for all that arrived
    or closed since `since`, the newest `as_of` of `existing`.

    `received` is one snapshot of `received_readings`. Of it nothing that arrived after `until` is used, so that a batch does not
    run ahead of its stream: what is appended then always holds all that was known at its `as_of`. `close_at` ends a replay: what
    would close by then closes now. None while nothing has arrived."""
    if until is not None:
        received = received.where(F.col("kafka_timestamp") <= F.lit(max(until, since or until)))
    clock = arrival_clock(received, since=since, idle=timedelta(minutes=closing.idle_partition_minutes))
    clock = max(filter(None, (clock, since, close_at)), default=None)
    if clock is None:
        return None
    max_wait, grace = timedelta(minutes=closing.max_wait_minutes), timedelta(minutes=closing.grace_minutes)
    recent_from = None if since is None else since - max(max_wait + HOUR + STAMP_TOLERANCE, grace) - STAMP_TOLERANCE
    arrived = received if since is None else received.where(F.col("kafka_timestamp") >= F.lit(since))
    touched = touched.select(*PAIR).union(hours_of(arrived)).distinct()
    days = _days(touched, "hour")
    readings = _readings(received, touched, buildings, days, recent_from)
    near = F.lit(True) if recent_from is None else _is_near(received, days, recent_from)
    rules = Closing(_micros(grace), _micros(max_wait), _micros(clock - datetime(1970, 1, 1)))

    def missing(new: pd.DataFrame, old: pd.DataFrame) -> pd.DataFrame:
        return revisions(new, old, rules)

    made = by_bucket(readings).cogroup(by_bucket(_existing(existing.where(near)))).applyInPandas(missing, MADE)
    return _rows(made, clock)


def arrival_clock(received: DataFrame, *, since: datetime | None, idle: timedelta) -> datetime | None:
    """The arrival before which everything is in `received`: the oldest of the newest arrivals of the Kafka partitions, of
    those that had one within `idle` of the newest. None without records after `since` - `idle`."""
    recent = received if since is None else received.where(F.col("kafka_timestamp") >= F.lit(since - idle))
    by_partition = recent.groupBy("kafka_topic", "kafka_partition").agg(F.max("kafka_timestamp").alias("newest"))
    newest = [row.newest for row in by_partition.collect()]
    return min((each for each in newest if each >= max(newest) - idle), default=None)


def hours_of(readings: DataFrame) -> DataFrame:
    """The pairs (building_id, hour) of accepted readings."""
    return (
        readings.where("accepted").select("building_id", F.date_trunc("hour", "measured_at").alias("hour")).distinct()
    )


def within(column: str, days: Iterable[date]) -> Column:
    """Whether a time lies on one of the days, as few ranges that Delta can skip files by."""
    runs: list[list[date]] = []
    for day in sorted(days):
        if runs and day - runs[-1][1] <= timedelta(days=1):
            runs[-1][1] = day
        else:
            runs.append([day, day])
    if len(runs) > MOST_RANGES:
        runs = [[runs[0][0], runs[-1][1]]]
    condition = F.lit(False)
    for first, last in runs:
        end = F.lit(last + timedelta(days=1)).cast("timestamp")
        condition |= (F.col(column) >= F.lit(first).cast("timestamp")) & (F.col(column) < end)
    return condition


def _is_near(received: DataFrame, days: Iterable[date], recent_from: datetime) -> Column:
    """Whether an hour can be one of the touched hours or of the readings that arrived from `recent_from` on, however late."""
    long_past = F.lit(recent_from - HOUR)
    arrived = F.col("accepted") & (F.col("kafka_timestamp") >= F.lit(recent_from)) & (F.col("measured_at") < long_past)
    return within("hour", [*days, *_days(received.where(arrived), "measured_at")]) | (F.col("hour") >= long_past)


def _days(rows: DataFrame, column: str) -> list[date]:
    return [row.day for row in rows.select(F.to_date(column).alias("day")).distinct().collect()]


def _readings(
    received: DataFrame, touched: DataFrame, buildings: DataFrame, days: Iterable[date], recent_from: datetime | None
) -> DataFrame:
    """Accepted readings of the touched hours, and all that arrived from `recent_from` on, in the columns of `revisions`."""
    is_recent = F.lit(True) if recent_from is None else F.col("kafka_timestamp") >= F.lit(recent_from)
    marks = touched.select(*PAIR, F.lit(True).alias("is_touched"))
    interval = buildings.select(
        "building_id", F.col("reading_interval_minutes").cast("double").alias("interval_minutes")
    )
    return (
        received.where(F.col("accepted") & (within("measured_at", days) | is_recent))
        .withColumn("hour", F.date_trunc("hour", "measured_at"))
        .join(F.broadcast(marks), on=PAIR, how="left")
        .where(F.col("is_touched") | is_recent)
        .join(F.broadcast(interval), on="building_id", how="left")
        .select(
            "building_id", "device_id", F.unix_micros("hour").alias("hour_us"), F.unix_micros("measured_at").alias("measured_us"),
            F.unix_micros("kafka_timestamp").alias("arrival_us"), *ARRIVAL[1:], *MEASURED, "interval_minutes",
            F.coalesce("is_touched", F.lit(False)).alias("is_touched"),
        )
    )  # fmt: skip


def _existing(existing: DataFrame) -> DataFrame:
    return existing.select(
        "building_id", F.unix_micros("hour").alias("hour_us"), F.unix_micros("available_at").alias("available_us"), "revision",
        *MEASURED, *(F.col(name).cast("double").alias(name) for name in COUNTS),
    )  # fmt: skip


def by_bucket(rows: DataFrame) -> Any:  # GroupedData has no public type that fits cogroup
    """Rows in groups of buildings, one a shuffle partition, so that a call has many buildings at a time."""
    buckets = int(rows.sparkSession.conf.get("spark.sql.shuffle.partitions") or 1)
    return rows.groupBy(F.pmod(F.hash("building_id"), F.lit(buckets)).alias("bucket"))


def _rows(made: DataFrame, clock: datetime) -> DataFrame:
    """In the columns of `hourly_usage`."""
    is_unknown = F.col("readings_expected").isNull()
    # `least` alone leaves nulls out, so that an unknown coverage would read as full.
    coverage = F.when(~is_unknown, F.least(F.lit(1.0), F.col("readings_seen") / F.col("readings_expected")))
    flags = F.array_compact(
        F.array(
            F.when(coverage < 1, F.lit("partial")),
            F.when(is_unknown, F.lit("interval_unknown")),
            F.when(F.col("readings_seen") > F.col("readings_expected"), F.lit("surplus")),
        )
    )
    known = made.select(
        "building_id", "hour_us", "available_us", "revision",
        *(F.nanvl(name, F.lit(None).cast("double")).alias(name) for name in [*MEASURED, *COUNTS]),
    )  # fmt: skip
    return known.select(
        "building_id",
        F.timestamp_micros("hour_us").alias("hour"),
        F.timestamp_micros("available_us").alias("available_at"),
        "revision", *MEASURED, *COUNTS,
        coverage.alias("coverage"),
        flags.alias("quality_flags"),
        F.lit(clock).alias("as_of"),
    )  # fmt: skip


def _micros(duration: timedelta) -> int:
    return duration // timedelta(microseconds=1)
