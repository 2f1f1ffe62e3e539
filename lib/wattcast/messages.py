"""Rows of a table as JSON messages of a Kafka topic."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from wattcast.contracts import Contract

TIMESTAMP_FORMAT = "yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'"


def messages(rows: DataFrame, contract: Contract, *, key: str = "building_id") -> DataFrame:
    """(key, value) in bytes: each row as a JSON message of the topic's contract, keyed by the column `key`."""
    body = rows.withColumn("schema_version", F.lit(contract.major)).select(*contract.column_names)
    value = F.to_json(F.struct("*"), {"timestampFormat": TIMESTAMP_FORMAT, "ignoreNullFields": "false"})
    return body.select(F.col(key).cast("binary").alias("key"), value.cast("binary").alias("value"))
