"""The proof that nothing was lost: every committed Kafka record is one row of its table of received records.

Transaction markers and aborted records leave offsets without a record, so a gap is a loss only if a read_committed consumer
that goes there receives a record inside it. What lies before the broker's first offset can no longer be verified.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from kafka import KafkaConsumer, TopicPartition
from pyspark.sql import DataFrame
from pyspark.sql import Window as W
from pyspark.sql import functions as F

from wattcast.broker import Broker
from wattcast.contracts import contract
from wattcast.job import Run
from wattcast.readings import received

PROBE_SECONDS = 30
SHOWN_LOSSES = 20


@dataclass(frozen=True)
class PartitionAudit:
    """One partition. `lost` are ranges of offsets [first, last] that hold records which no row has; `lag` is what has not been
    read yet; `decided_otherwise` counts rows that the rules judge differently today (null when not rechecked)."""

    topic: str
    partition: int
    rows: int
    accepted: int
    rejected: int
    first_offset: int | None
    last_offset: int | None
    begins: int
    ends: int
    lag: int
    doubled: int
    unverifiable: int
    lost: tuple[tuple[int, int], ...]
    decided_otherwise: int | None = None

    @property
    def is_recreated(self) -> bool:
        return self.last_offset is not None and self.last_offset >= self.ends

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.doubled or self.is_recreated or self.decided_otherwise)


def audit(run: Run, *, recheck: bool = False) -> list[PartitionAudit]:
    """The audit of both topics that are received; `recheck` reads the records again and judges them again."""
    kafka = run.settings.kafka
    return [
        *_audited(run, kafka.readings_topic, "readings", "received_readings", recheck),
        *_audited(run, kafka.weather_forecasts_topic, "weather-forecasts", "received_weather_forecasts", recheck),
    ]


def as_json(partitions: list[PartitionAudit]) -> str:
    rows = [asdict(each) | {"clean": each.is_clean, "recreated": each.is_recreated} for each in partitions]
    return json.dumps({"clean": all(each.is_clean for each in partitions), "partitions": rows}, indent=2)


def _audited(run: Run, topic: str, rules: str, table: str, recheck: bool) -> list[PartitionAudit]:
    rows = run.lake.snapshot(table).frame.where(F.col("kafka_topic") == topic)
    counts, gaps = _counts(rows), _gaps(rows)
    otherwise = _decided_otherwise(run, rows, topic, rules, table, counts) if recheck else {}
    consumer = run.broker.consumer(max_poll_records=1)
    try:
        return [
            _partition(
                consumer,
                topic,
                number,
                span,
                counts.get(number),
                gaps.get(number, []),
                otherwise.get(number, 0) if recheck else None,
            )
            for number, span in sorted(_known(run.broker, topic, counts).items())
        ]
    finally:
        consumer.close()


def _known(broker: Broker, topic: str, counts: Mapping[int, Mapping[str, int]]) -> dict[int, tuple[int, int]]:
    return dict.fromkeys(counts, (0, 0)) | broker.offsets(topic)


def _counts(rows: DataFrame) -> dict[int, Mapping[str, int]]:
    grouped = rows.groupBy("kafka_partition").agg(
        F.count("*").alias("rows"),
        F.count_distinct("kafka_offset").alias("offsets"),
        F.count_if("accepted").alias("accepted"),
        F.min("kafka_offset").alias("first"),
        F.max("kafka_offset").alias("last"),
    )
    return {row.kafka_partition: row.asDict() for row in grouped.collect()}


def _gaps(rows: DataFrame) -> dict[int, list[tuple[int, int]]]:
    """Ranges of offsets between rows that have none, by partition."""
    in_order = W.partitionBy("kafka_partition").orderBy("kafka_offset")
    following = rows.select("kafka_partition", "kafka_offset", F.lead("kafka_offset").over(in_order).alias("following"))
    found: dict[int, list[tuple[int, int]]] = {}
    for row in following.where("following > kafka_offset + 1").orderBy("kafka_partition", "kafka_offset").collect():
        found.setdefault(row.kafka_partition, []).append((row.kafka_offset + 1, row.following - 1))
    return found


def _partition(
    consumer: KafkaConsumer, topic: str, number: int, span: tuple[int, int], counts: Mapping[str, int] | None,
    gaps: list[tuple[int, int]], otherwise: int | None,
) -> PartitionAudit:  # fmt: skip
    begins, ends = span
    if counts is None:
        return PartitionAudit(topic, number, 0, 0, 0, None, None, begins, ends, ends - begins, 0, 0, (), otherwise)
    first, last = counts["first"], counts["last"]
    before = [(begins, first - 1)] if begins < first else []
    checkable = [(max(low, begins), high) for low, high in [*before, *gaps] if high >= begins and low < ends]
    unverifiable = sum(max(0, min(high, begins - 1) - low + 1) for low, high in [*gaps, (last + 1, begins - 1)])
    partition, behind = TopicPartition(topic, number), (max(last + 1, begins), ends - 1)
    lost = tuple(gap for gap in checkable if _holds_record(consumer, partition, gap))
    lag = behind[1] - behind[0] + 1 if behind[0] <= behind[1] and _holds_record(consumer, partition, behind) else 0
    return PartitionAudit(
        topic, number, counts["rows"], counts["accepted"], counts["rows"] - counts["accepted"], first, last, begins, ends,
        lag, counts["rows"] - counts["offsets"], unverifiable, lost, otherwise,
    )  # fmt: skip


def _holds_record(consumer: KafkaConsumer, partition: TopicPartition, gap: tuple[int, int]) -> bool:
    """Whether a consumer of committed records that seeks to the gap receives a record inside it."""
    consumer.assign([partition])
    consumer.seek(partition, gap[0])
    for _ in range(PROBE_SECONDS):
        polled = consumer.poll(timeout_ms=1000).get(partition, [])
        if polled:
            return bool(polled[0].offset <= gap[1])
        if consumer.position(partition) > gap[1]:
            return False
    raise TimeoutError(
        f"{partition.topic}, partition {partition.partition}: offset {gap[0]} could not be read in {PROBE_SECONDS} s."
    )


def _decided_otherwise(
    run: Run, rows: DataFrame, topic: str, rules: str, table: str, counts: Mapping[int, Mapping[str, int]]
) -> dict[int, int]:
    """Rows, by partition, that the rules judge differently when their records are read again."""
    held = {number: span for number, span in run.broker.offsets(topic).items() if number in counts}
    if not held:
        return {}
    starts = {str(number): min(max(begins, counts[number]["first"]), ends) for number, (begins, ends) in held.items()}
    stops = {
        str(number): max(starts[str(number)], min(counts[number]["last"] + 1, ends))
        for number, (_, ends) in held.items()
    }
    records = run.broker.batch(run.spark, topic, starts=starts, stops=stops)
    metadata = run.lake.table("buildings") if rules == "readings" else None
    judged = received(records, topic=contract(rules), table=contract(table), metadata=metadata)
    key, verdict = ["kafka_partition", "kafka_offset"], ["accepted", "rejected_for"]
    held_rows = rows.select(*key, *(F.col(name).alias(f"was_{name}") for name in verdict))
    is_unlike = (F.col("accepted") != F.col("was_accepted")) | (F.col("rejected_for") != F.col("was_rejected_for"))
    unlike = judged.select(*key, *verdict).join(held_rows, on=key, how="inner").where(is_unlike)
    return {row.kafka_partition: row["count"] for row in unlike.groupBy("kafka_partition").count().collect()}
