"""What the recent arrivals say about the hours, by one query: up to when the readings are complete, and which days they touch."""

from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from wattcast.hourly.closing_rules import ClosingRules
from wattcast.hourly.fleet_clock import ArrivalHour, low_watermark_of
from wattcast.times import HOUR

SOURCE = ["kafka_topic", "kafka_partition", "arrival_hour"]


@dataclass(frozen=True)
class RecentArrivals:
    """`low_watermark`: the arrival up to which the readings are complete, that is the oldest of the newest arrivals of the Kafka
    partitions, without partitions that are idle behind the newest one, and without records that only a few buildings stamped
    far ahead of the others; None without recent records. `touched_days`: the UTC days of accepted readings that arrived since
    the last batch. `late_days`: those of accepted readings that were measured long before the hours that can be open."""

    low_watermark: datetime | None
    touched_days: list[datetime]
    late_days: list[datetime]


def recent_arrivals(received: DataFrame, *, since: datetime | None, rules: ClosingRules) -> RecentArrivals:
    """Of all records of `received` if `since`, the time of the last batch, is None."""
    rows = _grouped(_marked(received, since, rules)).collect()
    arrivals = [
        ArrivalHour(row.arrival_hour, (row.kafka_topic, row.kafka_partition), row.newest, row.buildings, row.a_building)
        for row in rows
        if row.is_source and row.newest is not None
    ]
    days = [row for row in rows if not row.is_source and row.day is not None]
    return RecentArrivals(
        low_watermark_of(arrivals, rules.idle_partition),
        touched_days=[row.day for row in days if row.is_touched],
        late_days=[row.day for row in days if row.is_late],
    )


def _marked(received: DataFrame, since: datetime | None, rules: ClosingRules) -> DataFrame:
    """The records that matter; `arrival` and `building` are null where they do not count for the watermark."""
    arrival, accepted = F.col("kafka_timestamp"), F.col("accepted")
    is_watched, is_touched, is_late = F.lit(True), accepted, F.lit(False)
    if since is not None:
        first_hour = (since - rules.idle_partition).replace(minute=0, second=0, microsecond=0)
        recent_from = rules.recent_from(since)
        received = received.where(arrival >= F.lit(min(first_hour, recent_from)))
        is_watched = arrival >= F.lit(first_hour)
        is_touched = accepted & (arrival >= F.lit(since))
        is_late = accepted & (arrival >= F.lit(recent_from)) & (F.col("measured_at") < F.lit(recent_from - HOUR))
    return received.select(
        "kafka_topic",
        "kafka_partition",
        F.date_trunc("hour", arrival).alias("arrival_hour"),
        F.date_trunc("day", "measured_at").alias("day"),
        F.when(is_watched, arrival).alias("arrival"),
        F.when(is_watched & accepted, F.col("building_id")).alias("building"),
        is_touched.alias("is_touched"),
        is_late.alias("is_late"),
    )


def _grouped(records: DataFrame) -> DataFrame:
    """A row for each hour of arrival of each Kafka partition (is_source), and one for each day."""
    groups = records.groupingSets([[F.col(name) for name in SOURCE], [F.col("day")]], *SOURCE, "day")
    return groups.agg(
        F.max("arrival").alias("newest"),
        F.approx_count_distinct("building").alias("buildings"),
        F.min("building").alias("a_building"),
        F.max("is_touched").alias("is_touched"),
        F.max("is_late").alias("is_late"),
        F.grouping("day").alias("is_source"),
    )
