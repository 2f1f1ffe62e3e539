"""What the tests of the jobs share: messages in, jobs run until they have nothing left to do."""

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
from wattcast.job import Job, Run
from wattcast_models.artifact import CONFIG, shipped_artifact


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


def environment(run: Run) -> dict[str, str]:
    """What makes a process of its own work on the lake, the checkpoints and the topics of this run."""
    kafka, forecasting = run.settings.kafka, run.settings.forecasting
    return os.environ | {
        "SPARK_SUBMIT_OPTS": "-XX:TieredStopAtLevel=1",  # what lives for seconds need not be compiled for hours
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
    """`wattcast ARGUMENTS` in a process group of its own, of which nothing is left afterwards."""
    program = Path(sys.executable).with_name("wattcast")
    process = subprocess.Popen(
        [program, *arguments], env=environment(run), text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        kill(process)


def kill(process: subprocess.Popen[str]) -> None:
    """SIGKILL to the whole process group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def recreate(run: Run, topic: str) -> None:
    """Another, empty topic under the same name."""
    admin = KafkaAdminClient(bootstrap_servers=run.settings.kafka.bootstrap_servers)
    admin.delete_topics([topic])
    while topic in admin.list_topics():
        continue
    admin.close()
    run.broker.ensure_topics([topic])


def wait_until(process: subprocess.Popen[str], happened: Callable[[], bool], *, looks: int = 12_000) -> None:
    """Look until it has happened; fails if the process ends before or it takes too long."""
    for _ in range(looks):
        if happened():
            return
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
            raise AssertionError(process.communicate())
    raise AssertionError("it never happened")


def numbers(folder: Path) -> set[int]:
    """The batches or versions that have a file in this folder of a checkpoint or a Delta log."""
    return {int(each.stem) for each in folder.glob("[0-9]*") if each.stem.isdigit()}


def other_version(folder: Path, version: str) -> Path:
    """The model that comes with the package as another version."""
    shutil.copytree(shipped_artifact(), folder)
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | {"version": version}))
    return folder
