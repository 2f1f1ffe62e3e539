"""Helpers for the tests of the jobs: send messages, and run jobs until they have nothing left to do."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from kafka.admin import KafkaAdminClient

from wattcast.broker import Broker
from wattcast.runtime.context import Run
from wattcast.runtime.job import Job
from wattcast_models.artifact.folder import CONFIG, shipped_artifact


def work(run: Run, *jobs: Job) -> None:
    """Run each job in turn, until it has processed all rows that are there."""
    for job in jobs:
        for query in job.start(run):
            query.awaitTermination()
        if job.reconcile:
            job.reconcile(run)


def at(text: str) -> datetime:
    """A UTC time, such as 2026-03-01T10:00."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def reading(building: str, measured_at: str, kwh: float, **others: Any) -> bytes:
    fields = {"building_id": building, "measured_at": f"{measured_at}:00Z", "energy_usage_kwh": kwh}
    return json.dumps(fields | others).encode()


Record = tuple[bytes, bytes | None, datetime]  # key, value, arrival time


def send(broker: Broker, topic: str, values: Iterable[bytes | None], *, arrival: datetime, key: bytes = b"b") -> None:
    """Send values with one key, which keeps their order, and one arrival time."""
    send_records(broker, topic, [(key, value, arrival) for value in values])


def send_records(broker: Broker, topic: str, records: Iterable[Record]) -> None:
    """Send all records by one producer, and wait until Kafka has them: to open a producer takes longer than to send."""
    broker.ensure_topics([topic])
    producer = broker.producer()
    sent = [
        producer.send(topic, key=key, value=value, timestamp_ms=int(arrival.timestamp() * 1000))
        for key, value, arrival in records
    ]
    for record in sent:
        record.get(timeout=30)
    producer.close()


def put_buildings(run: Run, *rows: dict[str, Any]) -> None:
    """Replace the metadata of all buildings."""
    run.lake.replace("buildings", run.lake.frame("buildings", pd.DataFrame(rows)))


def variables(run: Run) -> dict[str, str]:
    """The variables with which a command uses the lake, the checkpoints and the topics of this run."""
    kafka, forecasting = run.settings.kafka, run.settings.forecasting
    return {
        "WATTCAST_STATE": str(run.settings.state),
        "WATTCAST_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "WATTCAST_KAFKA__READINGS_TOPIC": kafka.readings_topic,
        "WATTCAST_KAFKA__WEATHER_FORECASTS_TOPIC": kafka.weather_forecasts_topic,
        "WATTCAST_KAFKA__FORECASTS_TOPIC": kafka.forecasts_topic,
        "WATTCAST_FORECASTING__CATCH_UP_HOURS": str(forecasting.catch_up_hours),
        "WATTCAST_BATCH__MAX_OFFSETS_PER_BATCH": str(run.settings.batch.max_offsets_per_batch),
    }


@contextmanager
def command(run: Run, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`wattcast ARGUMENTS` in its own process group, which is killed afterwards."""
    program = Path(sys.executable).with_name("wattcast")
    process = subprocess.Popen(
        [program, *arguments], env=os.environ | variables(run), text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        kill(process)


def kill(process: subprocess.Popen[Any]) -> None:
    """SIGKILL to the whole process group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def forget_tables(run: Run) -> None:
    """Drop what this process remembers of the logs of tables, so that it reads them as a new process does."""
    jvm: Any = run.spark._jvm
    jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()


def recreate(run: Run, topic: str) -> None:
    """Another, empty topic under the same name."""
    admin = KafkaAdminClient(bootstrap_servers=run.settings.kafka.bootstrap_servers)
    admin.delete_topics([topic])
    while topic in admin.list_topics():
        continue
    admin.close()
    run.broker.ensure_topics([topic])


def wait_until(process: subprocess.Popen[str], happened: Callable[[], bool], *, checks: int = 12_000) -> None:
    """Check until it has happened; fails if the process ends first or it takes too long."""
    for _ in range(checks):
        if happened():
            return
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
            raise AssertionError(process.communicate())
    raise AssertionError("it did not happen in time")


def numbers(folder: Path) -> set[int]:
    """The batches or versions that have a file in this folder of a checkpoint or a Delta log."""
    return {int(file.stem) for file in folder.glob("[0-9]*") if file.stem.isdigit()}


def other_version(folder: Path, version: str) -> Path:
    """A copy of the packaged model with another version."""
    shutil.copytree(shipped_artifact(), folder)
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | {"version": version}))
    return folder
