"""What the audit reads of a ledger by Spark, and the records that today's rules would decide differently."""

from collections.abc import Mapping

from pyspark.sql import functions as F

from wattcast.contracts import contract
from wattcast.ingest.ledger import Ledger, PartitionCounts
from wattcast.ingest.quotas import QUOTA_EXCEEDED
from wattcast.ingest.topics import stored_source
from wattcast.ingest.validation import received_rows
from wattcast.lake.offsets import received_ranges
from wattcast.runtime.context import Run

OFFSET_KEY = ["kafka_partition", "kafka_offset"]
DECISION = ["accepted", "rejected_for"]


def spark_ledger(run: Run, table: str, topic: str) -> Ledger:
    """What a table has of a topic."""
    is_of_topic = F.col("kafka_topic") == topic
    # The rows first: an erasure records their offsets before it deletes them.
    rows = run.lake.snapshot(table).frame.where(is_of_topic)
    erasures = run.lake.snapshot("erasures").frame.where(is_of_topic)
    rows.createOrReplaceTempView("audited_rows")
    received_ranges(rows, erasures).createOrReplaceTempView("audited_ranges")
    return Ledger.of(lambda sql: run.spark.sql(sql).collect(), stored_source(run.lake, table, topic))


def decided_differently(
    run: Run, *, table: str, topic: str, rules: str, counts: Mapping[int, PartitionCounts]
) -> dict[int, int]:
    """By partition, how many rows the rules of today, those of the contract `rules`, decide differently when their records are
    read again."""
    logs = {number: log for number, log in run.broker.offsets(topic).items() if number in counts}
    if not logs:
        return {}
    starts, stops = {}, {}
    for number, (log_start, log_end) in logs.items():
        start = min(max(log_start, counts[number].first), log_end)
        starts[str(number)] = start
        stops[str(number)] = max(start, min(counts[number].last + 1, log_end))
    records = run.broker.batch(run.spark, topic, starts=starts, stops=stops)
    metadata = run.lake.table("buildings") if rules == "readings" else None
    again = received_rows(
        records, topic=contract(rules), table=contract(table), metadata=metadata,
        only_known=run.settings.buildings.only_known,
    )  # fmt: skip
    rows = run.lake.snapshot(table).frame.where(F.col("kafka_topic") == topic)
    stored = rows.select(*OFFSET_KEY, *(F.col(name).alias(f"stored_{name}") for name in DECISION))
    is_beyond_quota = F.col("stored_rejected_for") == F.array(F.lit(QUOTA_EXCEEDED))  # by what the device sent before
    is_different = ((F.col("accepted") != F.col("stored_accepted")) & ~is_beyond_quota) | (
        F.when(is_beyond_quota, F.array()).otherwise(F.col("stored_rejected_for")) != F.col("rejected_for")
    )
    different = again.select(*OFFSET_KEY, *DECISION).join(stored, on=OFFSET_KEY, how="inner").where(is_different)
    return {row.kafka_partition: row["count"] for row in different.groupBy("kafka_partition").count().collect()}
