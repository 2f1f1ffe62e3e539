"""Hourly usage from readings: which revisions of which hours `hourly_usage` lacks. The Spark side.

Spark selects the rows that matter; `wattcast.hourly.revisions` computes the revisions from them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

import pandas as pd
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from wattcast.hourly.fleet_clock import ArrivalHour, low_watermark_of
from wattcast.hourly.revisions import ARRIVAL, Closing, revisions
from wattcast.hourly.time_ranges import DAY, days_of, is_in_ranges
from wattcast.hourly.values import COUNTS, IS_CAPPED, MEASURED
from wattcast.quality_flags import (
    CAPPED,
    IMPLAUSIBLE,
    INTERVAL_UNKNOWN,
    MAX_PLAUSIBLE_KWH,
    PARTIAL,
    SURPLUS,
)
from wattcast.setting_sections import ClosingSettings
from wattcast.times import HOUR, duration_us, epoch_us

HOUR_KEY = ["building_id", "hour"]
UDF_SCHEMA = (
    "building_id string, hour_us bigint, available_us bigint, revision bigint, energy_usage_kwh double, temperature_c double, "
    "humidity_pct double, occupancy double, readings_seen double, readings_expected double, is_capped double"
)


@dataclass(frozen=True)
class HourlyTables:
    """One snapshot of each table that hourly usage is computed from; `existing` is `hourly_usage`."""

    received: DataFrame
    existing: DataFrame
    buildings: DataFrame


@dataclass(frozen=True)
class ClosingRules:
    """When hours close, and `future_tolerance`: how far a reading may be stamped after its own arrival. A reading stamped
    later is rejected, so that no accepted reading arrives earlier than this before its hour. Of the readings of one device in
    one hour the first `max_readings` are used, so that a device with a stopped clock costs a bounded amount."""

    grace: timedelta
    max_wait: timedelta
    idle_partition: timedelta
    future_tolerance: timedelta
    max_readings: int

    @classmethod
    def from_settings(cls, settings: ClosingSettings, *, future_tolerance: timedelta) -> Self:
        return cls(
            grace=timedelta(minutes=settings.grace_minutes),
            max_wait=timedelta(minutes=settings.max_wait_minutes),
            idle_partition=timedelta(minutes=settings.idle_partition_minutes),
            future_tolerance=future_tolerance,
            max_readings=settings.max_readings_per_device_hour,
        )

    def recent_from(self, since: datetime) -> datetime:
        """The arrival from which on a reading can belong to an hour that closes after `since`."""
        longest_open = max(self.max_wait + HOUR + self.future_tolerance, self.grace)
        return since - longest_open - self.future_tolerance


def pending_revision_rows(
    tables: HourlyTables,
    *,
    touched: DataFrame,
    rules: ClosingRules,
    since: datetime | None,
    until: datetime | None = None,
    close_at: datetime | None = None,
) -> DataFrame | None:
    """The rows that `hourly_usage` lacks for the (building_id, hour) of `touched`, and for all that arrived or closed since
    `since`, the newest `as_of` of `hourly_usage`; None while nothing has arrived.

    Nothing that arrived after `until` is used, so that a batch does not run ahead of its stream: each appended row then holds
    everything that was available at its `as_of`. `close_at` ends a replay: what would close by then closes now.
    """
    received = tables.received
    if until is not None:
        received = received.where(F.col("kafka_timestamp") <= F.lit(max(until, since or until)))
    watermark = low_watermark(received, since=since, idle=rules.idle_partition)
    clock = max(filter(None, (watermark, since, close_at)), default=None)
    if clock is None:
        return None
    arrived = received if since is None else received.where(F.col("kafka_timestamp") >= F.lit(since))
    touched = touched.select(*HOUR_KEY).union(hours_of(arrived)).distinct()
    days = days_of(touched, "hour")
    recent_from = None if since is None else rules.recent_from(since)
    is_near = F.lit(True) if recent_from is None else _may_be_needed(received, days, recent_from)
    readings = _readings(received, touched, tables.buildings, days, recent_from)
    readings = by_building_bucket(_without_excess(readings, rules.max_readings))
    existing = by_building_bucket(_existing_revisions(tables.existing.where(is_near)))
    closing = Closing(duration_us(rules.grace), duration_us(rules.max_wait), epoch_us(clock), rules.max_readings)

    def pending(new: pd.DataFrame, old: pd.DataFrame) -> pd.DataFrame:
        return revisions(new, old, closing)

    return _hourly_rows(readings.cogroup(existing).applyInPandas(pending, UDF_SCHEMA), clock)


def low_watermark(received: DataFrame, *, since: datetime | None, idle: timedelta) -> datetime | None:
    """The arrival up to which `received` is complete: the oldest of the newest arrivals of the Kafka partitions, without
    partitions that are `idle` behind the newest one, and without records that only a few buildings stamped more than `idle`
    ahead of the others. None without records after `since` - `idle`."""
    first_hour = None if since is None else (since - idle).replace(minute=0, second=0, microsecond=0)
    recent = received if first_hour is None else received.where(F.col("kafka_timestamp") >= F.lit(first_hour))
    building = F.when(F.col("accepted"), F.col("building_id"))
    by_hour = recent.groupBy(
        "kafka_topic", "kafka_partition", F.date_trunc("hour", "kafka_timestamp").alias("hour")
    ).agg(F.max("kafka_timestamp"), F.approx_count_distinct(building), F.min(building))
    return low_watermark_of(
        [ArrivalHour(hour, (topic, partition), *values) for topic, partition, hour, *values in by_hour.collect()], idle
    )


def hours_of(readings: DataFrame) -> DataFrame:
    """The distinct (building_id, hour) of accepted readings."""
    return (
        readings.where("accepted").select("building_id", F.date_trunc("hour", "measured_at").alias("hour")).distinct()
    )


def by_building_bucket(rows: DataFrame) -> Any:  # GroupedData has no public type that fits cogroup
    """Rows grouped by bucket of buildings, one bucket per shuffle partition, so that one call processes many buildings."""
    buckets = int(rows.sparkSession.conf.get("spark.sql.shuffle.partitions") or 1)
    return rows.groupBy(F.pmod(F.hash("building_id"), F.lit(buckets)).alias("bucket"))


def _may_be_needed(received: DataFrame, days: Iterable[datetime], recent_from: datetime) -> Column:
    """Whether an hour can be a touched hour, or an hour of the readings that arrived from `recent_from` on, however late."""
    long_past = F.lit(recent_from - HOUR)
    is_late = F.col("accepted") & (F.col("kafka_timestamp") >= F.lit(recent_from)) & (F.col("measured_at") < long_past)
    late_days = days_of(received.where(is_late), "measured_at")
    return is_in_ranges("hour", [*days, *late_days], length=DAY) | (F.col("hour") >= long_past)


def _readings(
    received: DataFrame, touched: DataFrame, buildings: DataFrame, days: Iterable[datetime], recent_from: datetime | None
) -> DataFrame:  # fmt: skip
    """Accepted readings of the touched hours, and all that arrived from `recent_from` on, in the columns of `revisions`."""
    is_recent = F.lit(True) if recent_from is None else F.col("kafka_timestamp") >= F.lit(recent_from)
    is_on_days = is_in_ranges("measured_at", days, length=DAY)
    marks = touched.select(*HOUR_KEY, F.lit(True).alias("is_touched"))
    interval = F.col("reading_interval_minutes").cast("double").alias("interval_minutes")
    return (
        received.where(F.col("accepted") & (is_on_days | is_recent))
        .withColumn("hour", F.date_trunc("hour", "measured_at"))
        .join(F.broadcast(marks), on=HOUR_KEY, how="left")
        .where(F.col("is_touched") | is_recent)
        .join(F.broadcast(buildings.select("building_id", interval)), on="building_id", how="left")
        .select(
            "building_id", "device_id", F.unix_micros("hour").alias("hour_us"), F.unix_micros("measured_at").alias("measured_us"),
            F.unix_micros("kafka_timestamp").alias("arrival_us"), *ARRIVAL[1:], *MEASURED, "interval_minutes",
            F.coalesce("is_touched", F.lit(False)).alias("is_touched"),
        )
    )  # fmt: skip


def _without_excess(readings: DataFrame, max_readings: int) -> DataFrame:
    """`readings` without those after the first `max_readings` of a device in an hour, which would have to fit in memory."""
    device_hour = ["building_id", "device_id", "hour_us"]
    counts = readings.groupBy(*device_hour).agg(F.count("*").alias("readings"))
    excessive = counts.where(F.col("readings") > max_readings).drop("readings")
    if excessive.isEmpty():
        return readings
    in_order = Window.partitionBy(*device_hour).orderBy(*ARRIVAL)
    first = (
        readings.join(excessive, on=device_hour, how="left_semi")
        .withColumn("number", F.row_number().over(in_order))
        .where(F.col("number") <= max_readings)
        .drop("number")
    )
    return readings.join(excessive, on=device_hour, how="left_anti").unionByName(first)


def _existing_revisions(hourly: DataFrame) -> DataFrame:
    return hourly.select(
        "building_id", F.unix_micros("hour").alias("hour_us"), F.unix_micros("available_at").alias("available_us"), "revision",
        *MEASURED, *(F.col(name).cast("double").alias(name) for name in COUNTS),
        F.array_contains("quality_flags", CAPPED).cast("double").alias(IS_CAPPED),
    )  # fmt: skip


def _hourly_rows(pending: DataFrame, clock: datetime) -> DataFrame:
    """In the columns of `hourly_usage`."""
    is_unknown = F.col("readings_expected").isNull()
    # `least` alone leaves nulls out, so that an unknown coverage would read as full.
    coverage = F.when(~is_unknown, F.least(F.lit(1.0), F.col("readings_seen") / F.col("readings_expected")))
    flags = F.array_compact(
        F.array(
            F.when(coverage < 1, F.lit(PARTIAL)),
            F.when(is_unknown, F.lit(INTERVAL_UNKNOWN)),
            F.when(F.col("readings_seen") > F.col("readings_expected"), F.lit(SURPLUS)),
            F.when(F.col(IS_CAPPED) > 0, F.lit(CAPPED)),
            F.when(F.abs("energy_usage_kwh") > MAX_PLAUSIBLE_KWH, F.lit(IMPLAUSIBLE)),
        )
    )
    with_nulls = pending.select(
        "building_id", "hour_us", "available_us", "revision",
        *(F.nanvl(name, F.lit(None).cast("double")).alias(name) for name in [*MEASURED, *COUNTS]), IS_CAPPED,
    )  # fmt: skip
    return with_nulls.select(
        "building_id",
        F.timestamp_micros("hour_us").alias("hour"),
        F.timestamp_micros("available_us").alias("available_at"),
        "revision", *MEASURED, *COUNTS,
        coverage.alias("coverage"),
        flags.alias("quality_flags"),
        F.lit(clock).alias("as_of"),
    )  # fmt: skip
