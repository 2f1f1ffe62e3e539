"""What a run of chaos left behind: the topics by kafka-python, the tables by delta-rs, and the records that were sent."""

import base64
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from deltalake import DeltaTable
from kafka import KafkaConsumer, TopicPartition

Row = dict[str, Any]


class Sent(NamedTuple):
    """A record that Kafka has acknowledged; `rejected_for` has the rules that it breaks, by the one who generated it."""

    key: bytes
    value: bytes | None
    arrival_ms: int
    rejected_for: tuple[str, ...]


class KafkaRecord(NamedTuple):
    partition: int
    offset: int
    arrival_ms: int
    key: bytes
    value: bytes | None


@dataclass(frozen=True)
class Rules:
    """The settings of the run that decide which rows must exist. `close_at` is the end of the replay."""

    grace: timedelta
    max_wait: timedelta
    lead_hours: int
    context_hours: int
    heard_within: timedelta
    close_at: datetime


@dataclass(frozen=True)
class Evidence:
    """Everything that the judge looks at; rows of tables are dicts by column, times are in UTC."""

    sent: list[Sent]
    records: list[KafkaRecord]
    messages: list[KafkaRecord]
    ledger: list[Row]
    hourly: list[Row]
    forecasts: list[Row]
    buildings: list[Row]
    rules: Rules


def load_evidence(servers: str, lake: Path, sent: list[Sent], rules: Rules) -> Evidence:
    """Read the topics `readings` and `forecasts` from `servers` and the tables in `lake`."""
    return Evidence(
        sent=sent,
        records=topic_records(servers, "readings"),
        messages=topic_records(servers, "forecasts"),
        ledger=table_rows(lake / "received_readings"),
        hourly=table_rows(lake / "hourly_usage"),
        forecasts=table_rows(lake / "forecasts"),
        buildings=table_rows(lake / "buildings"),
        rules=rules,
    )


def topic_records(servers: str, topic: str) -> list[KafkaRecord]:
    """All records of a topic, by partition and offset."""
    consumer = KafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False, isolation_level="read_committed")
    partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    ends = consumer.end_offsets(partitions)
    records: list[KafkaRecord] = []
    while any(consumer.position(partition) < ends[partition] for partition in partitions):
        for batch in consumer.poll(timeout_ms=500).values():
            records += [KafkaRecord(r.partition, r.offset, r.timestamp, r.key, r.value) for r in batch]
    consumer.close()
    return sorted(records, key=lambda record: (record.partition, record.offset))


def table_rows(folder: Path) -> list[Row]:
    """The rows of the newest version of a Delta table."""
    rows: list[Row] = DeltaTable(str(folder)).to_pyarrow_table().to_pylist()
    return rows


def utc(epoch_ms: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=epoch_ms)


def write_sent(file: Path, sent: list[Sent], rules: Rules) -> None:
    """Write the records that were sent and the rules, so that the run can be judged again."""
    lines = [json.dumps({name: _text(value) for name, value in asdict(rules).items()})]
    for record in sent:
        value = None if record.value is None else base64.b64encode(record.value).decode()
        lines.append(json.dumps([record.key.decode(), value, record.arrival_ms, record.rejected_for]))
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_sent(file: Path) -> tuple[list[Sent], Rules]:
    """The records and the rules that `write_sent` wrote."""
    head, *lines = file.read_text(encoding="utf-8").splitlines()
    values = json.loads(head)
    spans = {name: timedelta(seconds=values[name]) for name in ("grace", "max_wait", "heard_within")}
    rules = Rules(**(values | spans | {"close_at": datetime.fromisoformat(values["close_at"])}))
    sent = []
    for key, value, arrival_ms, rejected_for in map(json.loads, lines):
        payload = None if value is None else base64.b64decode(value)
        sent.append(Sent(key.encode(), payload, arrival_ms, tuple(rejected_for)))
    return sent, rules


def _text(value: object) -> object:
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value.isoformat() if isinstance(value, datetime) else value
