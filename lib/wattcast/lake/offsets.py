"""Offsets of Kafka records as ranges: of the rows that a ledger has, and of those that were erased."""

from pyspark.sql import DataFrame
from pyspark.sql import Window as W
from pyspark.sql import functions as F

PARTITION = ["kafka_topic", "kafka_partition"]


def received_ranges(rows: DataFrame, erasures: DataFrame) -> DataFrame:
    """The offsets that a ledger has received: kafka_topic, kafka_partition, first_offset and last_offset of each of its `rows`,
    and of each range of rows that were erased. The ranges overlap where an erasure was interrupted."""
    offset = F.col("kafka_offset")
    of_rows = rows.select(*PARTITION, offset.alias("first_offset"), offset.alias("last_offset"))
    return of_rows.unionByName(erasures.select(*of_rows.columns))


def consecutive_ranges(rows: DataFrame) -> DataFrame:
    """The offsets of `rows` as the fewest ranges: kafka_topic, kafka_partition, first_offset, last_offset."""
    in_order = W.partitionBy(*PARTITION).orderBy("kafka_offset")
    offsets = rows.select(*PARTITION, "kafka_offset").distinct()
    numbered = offsets.withColumn("range", F.col("kafka_offset") - F.row_number().over(in_order))  # equal in a range
    first, last = F.min("kafka_offset").alias("first_offset"), F.max("kafka_offset").alias("last_offset")
    return numbered.groupBy(*PARTITION, "range").agg(first, last).drop("range")
