"""The audit: whether every committed Kafka record is one row of its table of received records.

Transaction markers and aborted records leave offsets without a record, so a gap in the offsets is a loss only if a
read_committed consumer that seeks to the gap receives a record inside it. What lies before the broker's first offset can no
longer be verified. Rows that were erased with their building are accounted for by the ranges in `erasures`.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from kafka import KafkaConsumer, TopicPartition

from wattcast.broker import Broker
from wattcast.ingest.ledger import Ledger, PartitionCounts, duckdb_ledger
from wattcast.runtime.connection import connected
from wattcast.settings import Settings

if TYPE_CHECKING:
    from wattcast.runtime.context import Run

PROBE_SECONDS = 30
MAX_LISTED_LOSSES = 20
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


def audit(run: "Run", *, recheck: bool = False) -> list[PartitionAudit]:
    """The audit of both received topics by Spark; with `recheck` the records are read and checked again."""
    from wattcast.ingest.ledger_on_spark import decided_differently, spark_ledger

    partitions = []
    for source in _sources(run.settings):
        ledger = spark_ledger(run, source.table, source.topic)
        different = (
            decided_differently(run, table=source.table, topic=source.topic, rules=source.rules, counts=ledger.counts)
            if recheck
            else None
        )
        partitions += _partition_audits(run.broker, source.topic, ledger, different)
    return partitions


def audit_without_spark(current: Settings) -> list[PartitionAudit]:
    """The audit of both received topics by DuckDB over delta-rs.

    Raises:
        NeedsSpark: a table does not exist or is damaged, or DuckDB cannot answer.
    """
    ledgers = {
        source.topic: duckdb_ledger(current.lake_uri, source.table, source.topic) for source in _sources(current)
    }
    broker = Broker(connected(current).kafka)
    return [
        partition for topic, ledger in ledgers.items() for partition in _partition_audits(broker, topic, ledger, None)
    ]


def as_json(partitions: list[PartitionAudit]) -> str:
    """The audit as JSON, with whether it is clean: of each partition and altogether."""
    rows = [
        {JSON_KEYS.get(name, name): value for name, value in asdict(partition).items() if name != "has_other_id"}
        | {"clean": partition.is_clean, "recreated": partition.is_recreated}
        for partition in partitions
    ]
    return json.dumps({"clean": all(partition.is_clean for partition in partitions), "partitions": rows}, indent=2)


def _sources(current: Settings) -> tuple[_Source, _Source]:
    return (
        _Source(current.kafka.readings_topic, "readings", "received_readings"),
        _Source(current.kafka.weather_forecasts_topic, "weather-forecasts", "received_weather_forecasts"),
    )


def _partition_audits(
    broker: Broker, topic: str, ledger: Ledger, different: Mapping[int, int] | None
) -> list[PartitionAudit]:
    """`different` counts, by partition, the rows that today's rules decide differently; None if that was not checked."""
    logs, consumer = _logs(broker, topic, ledger), broker.consumer(max_poll_records=1)
    try:
        return [
            _partition_audit(
                consumer, TopicPartition(topic, number), log, ledger.counts.get(number), ledger.gaps.get(number, []),
                None if different is None else different.get(number, 0),
            )
            for number, log in sorted(logs.items())
        ]  # fmt: skip
    finally:
        consumer.close()


def _logs(broker: Broker, topic: str, ledger: Ledger) -> dict[int, _Log]:
    """The partitions of a topic, and those with rows that the topic does not have."""
    stored, has_rows = ledger.source, bool(ledger.counts)
    is_other = has_rows and stored is not None and stored.is_other(broker.topic_id(topic))
    offsets = dict.fromkeys(ledger.counts, (0, 0)) | broker.offsets(topic)
    return {
        number: _Log(None if stored is None else stored.starts.get(number, 0), start, end, is_other)
        for number, (start, end) in offsets.items()
    }


def _partition_audit(
    consumer: KafkaConsumer, partition: TopicPartition, log: _Log, counts: PartitionCounts | None,
    gaps: list[tuple[int, int]], decided_differently: int | None,
) -> PartitionAudit:  # fmt: skip
    if counts is None:
        return _without_rows(partition, log, decided_differently)
    log_start, log_end, first, last = log.start, log.end, counts.first, counts.last
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
        rows=counts.rows,
        accepted=counts.accepted,
        rejected=counts.rows - counts.accepted,
        first_offset=first,
        last_offset=last,
        log_start=log_start,
        log_end=log_end,
        lag=unread[1] - unread[0] + 1 if has_lag else 0,
        duplicates=counts.rows - counts.offsets,
        unverifiable=sum(deleted),
        lost=tuple(gap for gap in verifiable if _holds_record(consumer, partition, gap)),
        decided_differently=decided_differently,
        has_other_id=log.is_other,
        erased=last - first + 1 - sum(high - low + 1 for low, high in gaps) - counts.offsets,
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
