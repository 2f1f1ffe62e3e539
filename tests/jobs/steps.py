"""What the tests of the jobs share: messages in, jobs run until they have nothing left to do."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from wattcast.broker import Broker
from wattcast.job import Job, Run


def work(run: Run, *jobs: Job) -> None:
    """Each job in turn, until it has worked through what is there."""
    for job in jobs:
        for query in job.start(run):
            query.awaitTermination()
        if job.reconcile:
            job.reconcile(run)


def at(text: str) -> datetime:
    """A UTC time, such as 2026-03-01T10:00."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def reading(building: str, measured_at: str, kwh: float, **more: Any) -> bytes:
    fields = {"building_id": building, "measured_at": f"{measured_at}:00Z", "energy_usage_kwh": kwh}
    return json.dumps(fields | more).encode()


def send(broker: Broker, topic: str, values: Iterable[bytes | None], *, arrival: datetime, key: bytes = b"b") -> None:
    """Send values under one key, which keeps their order, all arriving at one time."""
    broker.ensure_topics([topic])
    producer = broker.producer()
    milliseconds = int(arrival.timestamp() * 1000)
    sent = [producer.send(topic, key=key, value=value, timestamp_ms=milliseconds) for value in values]
    for each in sent:
        each.get(timeout=30)
    producer.close()


def put_buildings(run: Run, *rows: dict[str, Any]) -> None:
    """Metadata of buildings in the place of what was known."""
    run.lake.replace("buildings", run.lake.frame("buildings", pd.DataFrame(rows)))
