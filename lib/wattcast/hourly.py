"""Hourly usage from readings: which revisions of which hours should exist, less those that do.

An hour of a building closes at an arrival time that depends on its readings alone, never on how they were cut into batches:
when its last expected reading arrives; when the building's own newest reading is `grace` past the hour; or `max_wait` after
the hour's end. An hour that is heard of only after `max_wait` closes when it is complete or `grace` after its first reading.
From then on each arrival that changes a value makes a revision, which is known from that arrival on. So a crash, a retry or
a rebuild from nothing gives the same rows.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import Window as W

from wattcast.settings import ClosingSettings

HOUR = timedelta(hours=1)
STAMP_TOLERANCE = timedelta(minutes=10)  # readings.odcs.yaml rejects a later stamp, so no reading arrives earlier than this
PAIR = ["building_id", "hour"]
ARRIVAL = ["kafka_timestamp", "kafka_partition", "kafka_offset"]
VALUES = [
    "energy_usage_kwh", "temperature_c", "humidity_pct", "occupancy",
    "readings_seen", "readings_expected", "coverage", "quality_flags",
]  # fmt: skip
MOST_RANGES = 32


def wanted_hours(
    received: DataFrame,
    *,
    touched: DataFrame,
    existing: DataFrame,
    buildings: DataFrame,
    closing: ClosingSettings,
    since: datetime | None,
    close_at: datetime | None = None,
) -> DataFrame | None:
    """The rows that `hourly_usage` (`existing`) lacks, for the pairs (building_id, hour) of `touched` and for hours that have
    closed since `since`, the newest `as_of` of `existing`. `received` is one snapshot of `received_readings`; `close_at` ends a
    replay: what would close by then closes now. None while nothing has arrived."""
    clock = arrival_clock(received, since=since, idle=timedelta(minutes=closing.idle_partition_minutes))
    clock = max(filter(None, (clock, since, close_at)), default=None)
    if clock is None:
        return None
    readings = received.where("accepted").withColumn("hour", F.date_trunc("hour", "measured_at"))
    return _wanted(readings, touched, existing, buildings, closing, clock, since)


def arrival_clock(received: DataFrame, *, since: datetime | None, idle: timedelta) -> datetime | None:
    """The arrival before which everything is in `received`: the oldest of the newest arrivals of the Kafka partitions, of
    those that had one within `idle` of the newest. Null without records after `since` - `idle`."""
    recent = received if since is None else received.where(F.col("kafka_timestamp") >= F.lit(since - idle))
    newest = [row.newest for row in recent.groupBy("kafka_topic", "kafka_partition").agg(F.max("kafka_timestamp").alias("newest")).collect()]
    return min((each for each in newest if each >= max(newest) - idle), default=None)


def hours_of(readings: DataFrame) -> DataFrame:
    """The pairs (building_id, hour) of accepted readings."""
    return readings.where("accepted").select("building_id", F.date_trunc("hour", "measured_at").alias("hour")).distinct()


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
        condition |= F.col(column).between(F.lit(first).cast("timestamp"), F.lit(last + timedelta(days=1)).cast("timestamp"))
    return condition


def _wanted(
    readings: DataFrame, touched: DataFrame, existing: DataFrame, buildings: DataFrame,
    closing: ClosingSettings, clock: datetime, since: datetime | None,
) -> DataFrame:  # fmt: skip
    max_wait, grace = timedelta(minutes=closing.max_wait_minutes), timedelta(minutes=closing.grace_minutes)
    window = max(max_wait + HOUR + STAMP_TOLERANCE, grace) + STAMP_TOLERANCE
    recent = readings if since is None else readings.where(F.col("kafka_timestamp") > F.lit(since - window))
    candidates = touched.select(*PAIR).union(recent.select(*PAIR)).distinct().persist()
    days = [row.day for row in candidates.select(F.to_date("hour").alias("day")).distinct().collect()]
    interval = buildings.select("building_id", F.col("reading_interval_minutes").alias("interval"))
    of_pairs = (
        readings.where(within("measured_at", days))
        .join(candidates, on=PAIR, how="left_semi")
        .join(F.broadcast(interval), on="building_id", how="left")
        .repartition(*PAIR)
    )
    last = _newest(existing.where(within("hour", days)).join(candidates, on=PAIR, how="left_semi"))
    with_last = of_pairs.join(last, on=PAIR, how="left")
    is_known = F.col("last_at").isNotNull()
    bases = with_last.where(is_known).select(*PAIR, F.col("last_at").alias("base")).distinct()
    closed = _closings(with_last.where(~is_known), recent, grace, max_wait, clock)
    return _revisions(of_pairs, bases.union(closed), last, clock)


def _newest(existing: DataFrame) -> DataFrame:
    """Of each pair the newest revision: last_at, last_revision, last_values."""
    newest = F.max_by(F.struct("available_at", "revision", F.struct(*VALUES).alias("values")), "available_at")
    return existing.groupBy(*PAIR).agg(newest.alias("n")).select(
        *PAIR, F.col("n.available_at").alias("last_at"), F.col("n.revision").alias("last_revision"), F.col("n.values").alias("last_values")
    )  # fmt: skip


def _closings(readings: DataFrame, recent: DataFrame, grace: timedelta, max_wait: timedelta, clock: datetime) -> DataFrame:
    """(building_id, hour, base): when the hours closed that have no row yet; only those that have."""
    by_arrival = W.partitionBy(*PAIR).orderBy(*ARRIVAL)
    is_first_of_time = F.row_number().over(W.partitionBy(*PAIR, "device_id", "measured_at").orderBy(*ARRIVAL)) == 1
    is_first_of_device = F.row_number().over(W.partitionBy(*PAIR, "device_id").orderBy(*ARRIVAL)) == 1
    counted = readings.withColumns({"is_new": is_first_of_time.cast("int"), "is_device": is_first_of_device.cast("int")})
    is_full = F.sum("is_new").over(by_arrival) * F.col("interval") >= F.sum("is_device").over(by_arrival) * 60
    pairs = counted.withColumn("is_full", is_full).groupBy(*PAIR).agg(
        F.min("kafka_timestamp").alias("first"), F.min(F.when(F.col("is_full"), F.col("kafka_timestamp"))).alias("full")
    )  # fmt: skip
    hour_end = F.col("hour") + F.expr("INTERVAL 1 HOUR")
    timed = _own_clock(pairs, recent, hour_end + F.lit(grace))
    waited = hour_end + F.lit(max_wait)
    is_late = F.col("first") >= waited
    closes = F.when(is_late, F.least("full", F.col("first") + F.lit(grace))).otherwise(
        F.greatest("first", F.least("full", "own", waited))
    )
    has_closed = F.col("base") <= F.greatest(F.lit(clock), F.col("frontier"))
    return timed.withColumn("base", closes).where(has_closed).select(*PAIR, "base")


def _own_clock(pairs: DataFrame, recent: DataFrame, passed: Column) -> DataFrame:
    """With `own`, the first arrival of a reading measured at `passed` or later, and `frontier`, the building's newest arrival."""
    marks = pairs.select("building_id", passed.alias("at"), F.lit(None).cast("timestamp").alias("arrival"), F.struct("hour", "first", "full").alias("pair"))
    kind = marks.schema["pair"].dataType
    heard = recent.select("building_id", F.col("measured_at").alias("at"), F.col("kafka_timestamp").alias("arrival"), F.lit(None).cast(kind).alias("pair"))
    from_here_on = W.partitionBy("building_id").orderBy(F.col("at").desc())
    everything = W.partitionBy("building_id")
    timed = marks.union(heard).withColumns(
        {"own": F.min("arrival").over(from_here_on), "frontier": F.max("arrival").over(everything)}
    )
    return timed.where(F.col("pair").isNotNull()).select("building_id", "pair.*", "own", "frontier")


def _revisions(readings: DataFrame, bases: DataFrame, last: DataFrame, clock: datetime) -> DataFrame:
    """The state of each pair at its base and at each later arrival, where it differs from the state before."""
    based = readings.join(bases, on=PAIR, how="inner").withColumn("at", F.greatest("base", "kafka_timestamp"))
    states = _states(based, based.select(*PAIR, "at").distinct()).join(last, on=PAIR, how="left")
    in_time = W.partitionBy(*PAIR).orderBy("at")
    values = F.struct(*VALUES)
    is_unlike_last = (F.col("at") == F.col("last_at")) & ~values.eqNullSafe(F.col("last_values"))
    compared = states.withColumn("values", values).withColumns(
        {
            "before": F.coalesce(F.lag("values").over(in_time), "last_values"),
            "has_diverged": F.coalesce(F.max(is_unlike_last).over(W.partitionBy(*PAIR)), F.lit(False)),
            "is_final": F.lead("at").over(in_time).isNull(),
        }
    )
    is_change = ~F.col("values").eqNullSafe(F.col("before"))
    is_correction = F.col("is_final") & ~F.col("values").eqNullSafe(F.col("last_values"))
    changed = compared.where(F.when(F.col("has_diverged"), is_correction).otherwise(is_change))
    # A record with an older timestamp than what had been used: what it changes is known only from now on.
    known_at = F.when(
        F.col("has_diverged"), F.greatest("at", F.lit(clock), F.col("last_at") + F.expr("INTERVAL 1 MILLISECOND"))
    ).otherwise(F.col("at"))
    return changed.select(
        *PAIR,
        known_at.alias("available_at"),
        (F.coalesce("last_revision", F.lit(0)) + F.row_number().over(in_time)).alias("revision"),
        *VALUES,
        F.lit(clock).alias("as_of"),
    )


def _states(readings: DataFrame, times: DataFrame) -> DataFrame:
    """The values of each (building_id, hour) as they were known at each `at`: the newest reading of each device and time wins.

    Sums are exact decimals, so that they do not depend on the order of the rows.
    """
    measured = F.struct("energy_usage_kwh", "temperature_c", "humidity_pct", "occupancy", "interval")
    known = readings.drop("at").join(times, on=PAIR, how="inner").where(F.col("kafka_timestamp") <= F.col("at"))
    winners = known.groupBy(*PAIR, "at", "device_id", "measured_at").agg(F.max_by(measured, F.struct(*ARRIVAL)).alias("m"))
    summed = winners.groupBy(*PAIR, "at").agg(
        _exact_sum("m.energy_usage_kwh").alias("energy_usage_kwh"),
        *((_exact_sum(f"m.{name}") / F.count(f"m.{name}")).alias(name) for name in VALUES[1:4]),
        F.count("*").cast("int").alias("readings_seen"),
        (F.count_distinct("device_id") * 60 / F.max("m.interval")).cast("int").alias("readings_expected"),
    )
    coverage = F.least(F.lit(1.0), F.col("readings_seen") / F.col("readings_expected"))
    flags = F.array_compact(
        F.array(
            F.when(F.col("coverage") < 1, F.lit("partial")),
            F.when(F.col("readings_expected").isNull(), F.lit("interval_unknown")),
            F.when(F.col("readings_seen") > F.col("readings_expected"), F.lit("surplus")),
        )
    )
    return summed.withColumn("coverage", coverage).withColumn("quality_flags", flags)


def _exact_sum(column: str) -> Column:
    return F.sum(F.col(column).cast("decimal(24,9)")).cast("double")
