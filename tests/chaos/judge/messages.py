"""Judges the topic forecasts: each live row is there at least once, and each forecast_id has one content."""

import json
from collections import defaultdict
from datetime import datetime

from tests.chaos.judge.evidence import Evidence, Row
from tests.chaos.judge.findings import Finding, differences

TIMES = ("origin", "issued_at", "created_at")


def message_findings(evidence: Evidence) -> list[Finding]:
    """What differs between the topic and the live rows of `forecasts`."""
    live = {row["forecast_id"]: row for row in evidence.forecasts if row["purpose"] == "live"}
    contents: dict[str, set[bytes]] = defaultdict(set)
    findings = []
    for record in evidence.messages:
        message = json.loads(record.value or b"{}")
        contents[message["forecast_id"]].add(record.value or b"")
        if record.key.decode() != message["building_id"]:
            findings.append(Finding("wrong", "message", f"{message['forecast_id']} has the key {record.key!r}"))
    for forecast_id, values in contents.items():
        if len(values) > 1:
            findings.append(Finding("doubled", "message", f"{forecast_id} has {len(values)} contents"))
        if forecast_id not in live:
            findings.append(Finding("wrong", "message", f"{forecast_id} is not a live row of forecasts"))
            continue
        for value in sorted(values):
            findings += differences("message", forecast_id, _row(json.loads(value)), live[forecast_id])
    return findings + [Finding("lost", "message", forecast_id) for forecast_id in live if forecast_id not in contents]


def _row(message: dict[str, object]) -> Row:
    """A message in the types of the table."""
    times = {name: datetime.fromisoformat(str(message[name])) for name in TIMES}
    targets = message["target_hour"]
    assert isinstance(targets, list)
    return message | times | {"target_hour": [datetime.fromisoformat(hour) for hour in targets]}
