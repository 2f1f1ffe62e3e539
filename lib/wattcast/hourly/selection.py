"""Hourly usage from readings: which revisions of which hours `hourly_usage` lacks. The Spark side.

Spark selects the rows that matter; `wattcast.hourly.revisions` computes the revisions from them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import pandas as pd
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from wattcast.hourly.closing_rules import ClosingRules
from wattcast.hourly.recent_arrivals import recent_arrivals
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
from wattcast.times import HOUR, duration_us, epoch_us

HOUR_KEY = ["building_id", "hour"]
BUCKET = "bucket"
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
class Touched:
    """Hours (building_id, hour) that may lack revisions, and the UTC days that they are on."""

    hours: DataFrame
    days: Sequence[datetime]

    @classmethod
    def by(cls, readings: DataFrame) -> Self:
        """The hours of the accepted ones of `readings`."""
        hours = hours_of(readings)
        return cls(hours, days_of(hours, "hour"))


def pending_revision_rows(
    tables: HourlyTables,
    *,
    touched: Touched | None,
    rules: ClosingRules,
    since: datetime | None,
    until: datetime | None = None,
    close_at: datetime | None = None,
) -> DataFrame | None:
    """The rows that `hourly_usage` lacks, from tables that were read before: for the hours of `touched`, and for all that arrived
    or closed since `since`, the newest `as_of` of `hourly_usage`; None while nothing has arrived.

    Nothing that arrived after `until` is used, so that a batch does not run ahead of its stream: each appended row then holds
    everything that was available at its `as_of`. `close_at` ends a replay: what would close by then closes now.
    """
    received = tables.received
    if until is not None:
        received = received.where(F.col("kafka_timestamp") <= F.lit(max(until, since or until)))
    recent = recent_arrivals(received, since=since, rules=rules)
    clock = max(filter(None, (recent.low_watermark, since, close_at)), default=None)
    if clock is None:
        return None
    arrived = received if since is None else received.where(F.col("kafka_timestamp") >= F.lit(since))
    hours, days = hours_of(arrived), recent.touched_days
    if touched is not None:
        hours, days = hours.union(touched.hours).distinct(), [*days, *touched.days]
    recent_from = None if since is None else rules.recent_from(since)
    readings = _readings(received, hours, tables.buildings, days, recent_from)
    existing = tables.existing
    if recent_from is not None:
        is_near = F.col("hour") >= F.lit(recent_from - HOUR)
        existing = existing.where(is_near | is_in_ranges("hour", [*days, *recent.late_days], length=DAY))
    closing = Closing(duration_us(rules.grace), duration_us(rules.max_wait), epoch_us(clock), rules.max_readings)

    def pending(new: pd.DataFrame, old: pd.DataFrame) -> pd.DataFrame:
        return revisions(new, old, closing)

    new_rows = _first_readings(readings, rules.max_readings).groupBy(BUCKET)
    existing_rows = by_building_bucket(_existing_revisions(existing))
    return _hourly_rows(new_rows.cogroup(existing_rows).applyInPandas(pending, UDF_SCHEMA), clock)


def hours_of(readings: DataFrame) -> DataFrame:
    """The distinct (building_id, hour) of accepted readings."""
    return (
        readings.where("accepted").select("building_id", F.date_trunc("hour", "measured_at").alias("hour")).distinct()
    )


def by_building_bucket(rows: DataFrame) -> Any:  # GroupedData has no public type that fits cogroup
    """Rows grouped by bucket of buildings, a bucket per shuffle partition, so that a call of pandas processes many buildings."""
    return rows.groupBy(_building_bucket(rows).alias(BUCKET))


def _building_bucket(rows: DataFrame) -> Column:
    buckets = int(rows.sparkSession.conf.get("spark.sql.shuffle.partitions") or 1)
    return F.pmod(F.hash("building_id"), F.lit(buckets))


def _readings(
    received: DataFrame, hours: DataFrame, buildings: DataFrame, days: Iterable[datetime], recent_from: datetime | None
) -> DataFrame:  # fmt: skip
    """Accepted readings of the touched `hours`, and all that arrived from `recent_from` on, in the columns of `revisions`."""
    is_recent = F.lit(True) if recent_from is None else F.col("kafka_timestamp") >= F.lit(recent_from)
    is_on_days = is_in_ranges("measured_at", days, length=DAY)
    marks = hours.select(*HOUR_KEY, F.lit(True).alias("is_touched"))
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


def _first_readings(readings: DataFrame, max_readings: int) -> DataFrame:
    """The first `max_readings` of a device in an hour, with their bucket: all others would have to fit in memory."""
    in_order = Window.partitionBy(BUCKET, "building_id", "device_id", "hour_us").orderBy(*ARRIVAL)
    # Distributed by bucket once, for the window and for the groups.
    distributed = readings.withColumn(BUCKET, _building_bucket(readings)).repartition(BUCKET)
    return distributed.withColumn("number", F.row_number().over(in_order)).where(F.col("number") <= max_readings)


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
