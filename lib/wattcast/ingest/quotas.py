"""Limits on what a device may send in a minute, and on the buildings without metadata that may appear in a day.

Records count by their arrival, those of a device in their order in Kafka. What earlier batches stored counts, too, so that the
decision does not depend on how the records were cut into batches.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import Window as W
from pyspark.sql import functions as F

from wattcast.setting_sections import QuotaSettings

QUOTA_EXCEEDED = "quota_exceeded"
DEVICE_MINUTE = ["building_id", "device_id", "minute"]
BUILDING_DAY = ["building_id", "day"]


def with_quotas(checked: DataFrame, *, stored: DataFrame, metadata: DataFrame, quotas: QuotaSettings) -> DataFrame:
    """`checked` with the reason `quota_exceeded` in `rejected_for` of the records that fulfil every other rule and are beyond a
    quota.

    `checked` is a batch with the columns of the table and `is_known`; `stored` has the rows of the table that arrived on the same
    days, or in the same minutes if no quota is by day.
    """
    arrival = F.col("kafka_timestamp")
    times = {"minute": F.date_trunc("minute", arrival), "day": F.date_trunc("day", arrival)}
    rows = checked.withColumns(times).withColumn("is_candidate", _is_candidate())
    earlier = stored.where(_is_candidate()).withColumns(times)
    is_beyond = F.lit(False)
    if quotas.records_per_minute or quotas.kilobytes_per_minute:
        rows = _with_use_of_device(rows, earlier)
        is_beyond |= _is_above("used_records", quotas.records_per_minute)
        is_beyond |= _is_above("used_bytes", quotas.kilobytes_per_minute * 1024)
    if quotas.unknown_buildings_per_day:
        rows = _with_number_of_building(rows, earlier.where("accepted"), metadata)
        is_beyond |= _is_above("number", quotas.unknown_buildings_per_day)
    reasons = F.when(F.col("is_candidate") & is_beyond, F.array(F.lit(QUOTA_EXCEEDED)))
    return rows.withColumn("rejected_for", F.coalesce(reasons, "rejected_for"))


def _is_candidate() -> Column:
    """Whether a record fulfils every rule but the quotas."""
    return (F.size("rejected_for") == 0) | (F.col("rejected_for") == F.array(F.lit(QUOTA_EXCEEDED)))


def _is_above(column: str, limit: int) -> Column:
    return F.coalesce(F.col(column) > limit, F.lit(False)) if limit else F.lit(False)


def _with_use_of_device(rows: DataFrame, earlier: DataFrame) -> DataFrame:
    """Adds `used_records` and `used_bytes`, of the device in the minute, up to and with each record."""
    of_minute = earlier.groupBy(*DEVICE_MINUTE).agg(
        F.count("*").alias("earlier_records"), F.sum("payload_bytes").alias("earlier_bytes")
    )
    in_order = W.partitionBy(*DEVICE_MINUTE, "is_candidate").orderBy("kafka_partition", "kafka_offset")
    until_this = in_order.rowsBetween(W.unboundedPreceding, W.currentRow)
    return rows.join(of_minute, on=DEVICE_MINUTE, how="left").withColumns(
        {
            "used_records": F.coalesce("earlier_records", F.lit(0)) + F.count("*").over(until_this),
            "used_bytes": F.coalesce("earlier_bytes", F.lit(0)) + F.sum("payload_bytes").over(until_this),
        }
    )


def _with_number_of_building(rows: DataFrame, earlier: DataFrame, metadata: DataFrame) -> DataFrame:
    """Adds `number`, of the building among those without metadata that have accepted readings on the day, by their first record;
    null for a building with metadata or with readings that were accepted before."""
    unknown = earlier.join(F.broadcast(metadata), on="building_id", how="left_anti").select(*BUILDING_DAY).distinct()
    of_day = unknown.groupBy("day").agg(F.count("*").alias("earlier_buildings"))
    marked = rows.join(unknown.withColumn("is_admitted", F.lit(True)), on=BUILDING_DAY, how="left").join(
        F.broadcast(of_day), on="day", how="left"
    )
    is_new = F.col("is_candidate") & F.col("is_known").isNull() & F.col("is_admitted").isNull()
    place = F.struct("kafka_timestamp", "kafka_partition", "kafka_offset")
    first = F.min(F.when(F.col("is_new"), place)).over(W.partitionBy(*BUILDING_DAY))
    new_before = F.dense_rank().over(W.partitionBy("day", "is_new").orderBy("first"))
    number = F.coalesce("earlier_buildings", F.lit(0)) + new_before
    return (
        marked.withColumn("is_new", is_new)
        .withColumn("first", first)
        .withColumn("number", F.when(F.col("is_new"), number))
    )
