"""The audit: whether every committed Kafka record is one row of its table of received records.

Transaction markers and aborted records leave offsets without a record, so a gap in the offsets is a loss only if a
read_committed consumer that seeks to the gap receives a record inside it. What lies before the broker's first offset can no
longer be verified. Rows that were erased with their building are accounted for by the ranges in `erasures`.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass

from kafka import KafkaConsumer, TopicPartition
from pyspark.sql import DataFrame
from pyspark.sql import Window as W
from pyspark.sql import functions as F

from wattcast.contracts import contract
from wattcast.ingest.quotas import QUOTA_EXCEEDED
from wattcast.ingest.topics import stored_source
from wattcast.ingest.validation import received_rows
from wattcast.lake.offsets import received_ranges
from wattcast.runtime.context import Run

PROBE_SECONDS = 30
MAX_LISTED_LOSSES = 20
OFFSET_KEY = ["kafka_partition", "kafka_offset"]
DECISION = ["accepted", "rejected_for"]
JSON_KEYS = {
    "log_start": "begins",
    "log_end": "ends",
    "duplicates": "doubled",
    "decided_differently": "decided_otherwise",
}


@dataclass(frozen=True)
class PartitionAudit:
    """The audit of one partition.

    `log_start` and `log_end` are the broker's first and next offset; `lag` counts the records that have not been read yet.
    `lost` are ranges of offsets [first, last] that hold records without a row; `unverifiable` counts offsets without a row that
    the broker no longer has. `decided_differently` counts rows that today's rules would decide differently, None when the
    records were not checked again. `has_other_id` says that the topic is not the one whose id the table keeps. `erased` counts
    offsets without a row that `erasures` has; they lie between `first_offset` and `last_offset` as if they had a row.
    """

    topic: str
    partition: int
    rows: int
    accepted: int
    rejected: int
    first_offset: int | None
    last_offset: int | None
    log_start: int
    log_end: int
    lag: int
    duplicates: int
    unverifiable: int
    lost: tuple[tuple[int, int], ...]
    decided_differently: int | None = None
    has_other_id: bool = False
    erased: int = 0

    @property
    def is_recreated(self) -> bool:
        """Whether the topic is another one than that which the rows came from: by its id, or since it ends before them."""
        return self.has_other_id or (self.last_offset is not None and self.last_offset >= self.log_end)

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.duplicates or self.unverifiable or self.is_recreated or self.decided_differently)


@dataclass(frozen=True)
class _Log:
    """A partition of the topic: the offset at which reading began (None if it is not stored), the broker's first and next
    offset, and whether the topic is another one than that which was read."""

    read_from: int | None
    start: int
    end: int
    is_other: bool


@dataclass(frozen=True)
class _Source:
    """A topic, the contract that has its rules, and the table of its records."""

    topic: str
    rules: str
    table: str


def audit(run: Run, *, recheck: bool = False) -> list[PartitionAudit]:
    """The audit of both received topics; with `recheck` the records are read and checked again."""
    kafka = run.settings.kafka
    sources = (
        _Source(kafka.readings_topic, "readings", "received_readings"),
        _Source(kafka.weather_forecasts_topic, "weather-forecasts", "received_weather_forecasts"),
    )
    return [partition for source in sources for partition in _partition_audits(run, source, recheck)]


def as_json(partitions: list[PartitionAudit]) -> str:
    """The audit as JSON, with whether it is clean: of each partition and altogether."""
    rows = [
        {JSON_KEYS.get(name, name): value for name, value in asdict(partition).items() if name != "has_other_id"}
        | {"clean": partition.is_clean, "recreated": partition.is_recreated}
        for partition in partitions
    ]
    return json.dumps({"clean": all(partition.is_clean for partition in partitions), "partitions": rows}, indent=2)


def _partition_audits(run: Run, source: _Source, recheck: bool) -> list[PartitionAudit]:
    is_of_topic = F.col("kafka_topic") == source.topic
    # The rows first: an erasure records their offsets before it deletes them.
    rows = run.lake.snapshot(source.table).frame.where(is_of_topic)
    received = received_ranges(rows, run.lake.snapshot("erasures").frame.where(is_of_topic))
    counts, gaps = _counts(rows, received), _gaps(received)
    logs = _logs(run, source, counts)
    different = _decided_differently(run, rows, source, counts) if recheck else {}
    consumer = run.broker.consumer(max_poll_records=1)
    try:
        return [
            _partition_audit(
                consumer, TopicPartition(source.topic, number), log, counts.get(number), gaps.get(number, []),
                different.get(number, 0) if recheck else None,
            )
            for number, log in sorted(logs.items())
        ]  # fmt: skip
    finally:
        consumer.close()


def _logs(run: Run, source: _Source, partitions: Collection[int]) -> dict[int, _Log]:
    """The partitions of a topic, and those with rows that the topic does not have."""
    stored = stored_source(run.lake, source.table, source.topic)
    has_rows = bool(partitions)
    is_other = has_rows and stored is not None and stored.is_other(run.broker.topic_id(source.topic))
    offsets = dict.fromkeys(partitions, (0, 0)) | run.broker.offsets(source.topic)
    return {
        number: _Log(None if stored is None else stored.starts.get(number, 0), start, end, is_other)
        for number, (start, end) in offsets.items()
    }


def _counts(rows: DataFrame, received: DataFrame) -> dict[int, Mapping[str, int]]:
    """By partition, the numbers of rows, of their offsets and of accepted rows, and the first and last received offset."""
    of_rows = rows.groupBy("kafka_partition").agg(
        F.count("*").alias("rows"),
        F.count_distinct("kafka_offset").alias("offsets"),
        F.count_if("accepted").alias("accepted"),
    )
    first, last = F.min("first_offset").alias("first"), F.max("last_offset").alias("last")
    spans = received.groupBy("kafka_partition").agg(first, last)
    counts = spans.join(of_rows, on="kafka_partition", how="left").fillna(0)  # 0: all rows of the partition were erased
    return {row.kafka_partition: row.asDict() for row in counts.collect()}


def _gaps(received: DataFrame) -> dict[int, list[tuple[int, int]]]:
    """By partition, the ranges of offsets between received ones that were not received."""
    before = W.partitionBy("kafka_partition").orderBy("first_offset").rowsBetween(W.unboundedPreceding, -1)
    low, high = F.max("last_offset").over(before) + 1, F.col("first_offset") - 1
    ranges = received.select("kafka_partition", low.alias("low"), high.alias("high")).where("low <= high")
    gaps: dict[int, list[tuple[int, int]]] = {}
    for row in ranges.orderBy("kafka_partition", "low").collect():
        gaps.setdefault(row.kafka_partition, []).append((row.low, row.high))
    return gaps


def _partition_audit(
    consumer: KafkaConsumer, partition: TopicPartition, log: _Log, counts: Mapping[str, int] | None,
    gaps: list[tuple[int, int]], decided_differently: int | None,
) -> PartitionAudit:  # fmt: skip
    if counts is None:
        return _without_rows(partition, log, decided_differently)
    log_start, log_end, first, last = log.start, log.end, counts["first"], counts["last"]
    unread_before = (first if log.read_from is None else log.read_from, first - 1)
    before_first = [(log_start, first - 1)] if log_start < first else []
    on_broker = [(low, high) for low, high in [*before_first, *gaps] if high >= log_start and low < log_end]
    verifiable = [(max(low, log_start), high) for low, high in on_broker]
    deleted = [
        max(0, min(high, log_start - 1) - low + 1) for low, high in [unread_before, *gaps, (last + 1, log_start - 1)]
    ]
    unread = (max(last + 1, log_start), log_end - 1)
    has_lag = unread[0] <= unread[1] and _holds_record(consumer, partition, unread)
    return PartitionAudit(
        topic=partition.topic,
        partition=partition.partition,
        rows=counts["rows"],
        accepted=counts["accepted"],
        rejected=counts["rows"] - counts["accepted"],
        first_offset=first,
        last_offset=last,
        log_start=log_start,
        log_end=log_end,
        lag=unread[1] - unread[0] + 1 if has_lag else 0,
        duplicates=counts["rows"] - counts["offsets"],
        unverifiable=sum(deleted),
        lost=tuple(gap for gap in verifiable if _holds_record(consumer, partition, gap)),
        decided_differently=decided_differently,
        has_other_id=log.is_other,
        erased=last - first + 1 - sum(high - low + 1 for low, high in gaps) - counts["offsets"],
    )


def _without_rows(partition: TopicPartition, log: _Log, decided_differently: int | None) -> PartitionAudit:
    """The audit of a partition of which no record has been read; what the broker has deleted of it cannot be verified."""
    return PartitionAudit(
        topic=partition.topic,
        partition=partition.partition,
        rows=0,
        accepted=0,
        rejected=0,
        first_offset=None,
        last_offset=None,
        log_start=log.start,
        log_end=log.end,
        lag=log.end - log.start,
        duplicates=0,
        unverifiable=max(0, log.start - (log.read_from or 0)),
        lost=(),
        decided_differently=decided_differently,
        has_other_id=log.is_other,
    )


def _holds_record(consumer: KafkaConsumer, partition: TopicPartition, gap: tuple[int, int]) -> bool:
    """Whether a consumer of committed records that seeks to the gap receives a record inside it."""
    consumer.assign([partition])
    consumer.seek(partition, gap[0])
    for _ in range(PROBE_SECONDS):
        records = consumer.poll(timeout_ms=1000).get(partition, [])
        if records:
            return bool(records[0].offset <= gap[1])
        if consumer.position(partition) > gap[1]:
            return False
    raise TimeoutError(
        f"{partition.topic}, partition {partition.partition}: offset {gap[0]} could not be read within {PROBE_SECONDS} seconds."
    )


def _decided_differently(
    run: Run, rows: DataFrame, source: _Source, counts: Mapping[int, Mapping[str, int]]
) -> dict[int, int]:
    """By partition, how many rows today's rules decide differently when their records are read again."""
    logs = {number: log for number, log in run.broker.offsets(source.topic).items() if number in counts}
    if not logs:
        return {}
    starts, stops = {}, {}
    for number, (log_start, log_end) in logs.items():
        start = min(max(log_start, counts[number]["first"]), log_end)
        starts[str(number)] = start
        stops[str(number)] = max(start, min(counts[number]["last"] + 1, log_end))
    records = run.broker.batch(run.spark, source.topic, starts=starts, stops=stops)
    metadata = run.lake.table("buildings") if source.rules == "readings" else None
    again = received_rows(
        records, topic=contract(source.rules), table=contract(source.table), metadata=metadata,
        only_known=run.settings.buildings.only_known,
    )  # fmt: skip
    stored = rows.select(*OFFSET_KEY, *(F.col(name).alias(f"stored_{name}") for name in DECISION))
    is_beyond_quota = F.col("stored_rejected_for") == F.array(F.lit(QUOTA_EXCEEDED))  # by what the device sent before
    is_different = ((F.col("accepted") != F.col("stored_accepted")) & ~is_beyond_quota) | (
        F.when(is_beyond_quota, F.array()).otherwise(F.col("stored_rejected_for")) != F.col("rejected_for")
    )
    different = again.select(*OFFSET_KEY, *DECISION).join(stored, on=OFFSET_KEY, how="inner").where(is_different)
    return {row.kafka_partition: row["count"] for row in different.groupBy("kafka_partition").count().collect()}
