"""Judges `received_readings`: each offset of the topic is one row, with the contents and the verdict of its record."""

import hashlib
import json
from collections import Counter, defaultdict
from datetime import datetime

from tests.chaos.judge.evidence import Evidence, KafkaRecord, Row, Sent, utc
from tests.chaos.judge.findings import Finding, differences

PAYLOAD_BYTES = 64 * 1024  # of a rejected record that the ledger keeps
MEASURED = ("temperature_c", "humidity_pct", "occupancy", "energy_usage_kwh")


def ledger_findings(evidence: Evidence) -> list[Finding]:
    """What differs between the records that were sent, the topic and the ledger."""
    rows: dict[tuple[int, int], list[Row]] = defaultdict(list)
    for row in evidence.ledger:
        rows[row["kafka_partition"], row["kafka_offset"]].append(row)
    rejected_for = {_identity(record): record.rejected_for for record in evidence.sent}
    findings = _topic_findings(evidence)
    for record in evidence.records:
        where = f"partition {record.partition}, offset {record.offset}"
        own = rows.pop((record.partition, record.offset), [])
        if not own:
            findings.append(Finding("lost", "record", f"{where} has no row in received_readings"))
        if len(own) > 1:
            findings.append(Finding("doubled", "record", f"{where} has {len(own)} rows in received_readings"))
        for row in own[:1]:
            expected = _expected_row(record, rejected_for.get(_identity(record), ()))
            findings += differences("record", where, row | {"rejected_for": set(row["rejected_for"])}, expected)
    findings += [
        Finding("wrong", "record", f"partition {p}, offset {o} is in received_readings, not in the topic")
        for p, o in rows
    ]
    return findings


def accepted_records(evidence: Evidence) -> list[KafkaRecord]:
    """The records of the topic that the generator sent as valid readings."""
    valid = {_identity(record) for record in evidence.sent if not record.rejected_for}
    return [record for record in evidence.records if _identity(record) in valid]


def _identity(record: KafkaRecord | Sent) -> tuple[bytes, bytes | None, int]:
    return record.key, record.value, record.arrival_ms


def _topic_findings(evidence: Evidence) -> list[Finding]:
    """Records that were acknowledged but are not in the topic, or are there more often than they were sent."""
    sent, received = Counter(map(_identity, evidence.sent)), Counter(map(_identity, evidence.records))
    findings = []
    for (key, _, arrival_ms), count in (sent - received).items():
        where = f"{count} acknowledged records of {key.decode()} at {utc(arrival_ms).isoformat()} are not in the topic"
        findings.append(Finding("lost", "record", where))
    for (key, _, arrival_ms), count in (received - sent).items():
        where = f"{count} records of {key.decode()} at {utc(arrival_ms).isoformat()} in the topic were not sent"
        findings.append(Finding("doubled", "record", where))
    return findings


def _expected_row(record: KafkaRecord, rejected_for: tuple[str, ...]) -> dict[str, object]:
    value = record.value
    expected: dict[str, object] = {
        "kafka_timestamp": utc(record.arrival_ms),
        "accepted": not rejected_for,
        "rejected_for": set(rejected_for),
        "payload_bytes": None if value is None else len(value),
    }
    if rejected_for:
        digest = None if value is None else hashlib.sha256(value).hexdigest()
        return expected | {"raw_payload": None if value is None else value[:PAYLOAD_BYTES], "payload_sha256": digest}
    message = json.loads(value or b"")
    return expected | {
        "building_id": message["building_id"],
        "device_id": message.get("device_id") or message["building_id"],
        "measured_at": datetime.fromisoformat(message["measured_at"]),
        **{name: message.get(name) for name in MEASURED},
    }
