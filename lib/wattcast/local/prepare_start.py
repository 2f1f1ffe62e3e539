"""Writes the class archives of this machine: the broker and all streaming jobs run once on a few readings."""

import os
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

from kafka.errors import KafkaError
from rich.console import Console

from wattcast.broker import Broker, BrokerUnreachable
from wattcast.embedded.class_archives import archive_file, install, write_options
from wattcast.embedded.jars import jars
from wattcast.embedded.kafka_server import BrokerFailed, EmbeddedBroker
from wattcast.errors import message
from wattcast.local.replay.recordings import recording
from wattcast.local.replay.replay import replay
from wattcast.local.simulation.simulator import write_simulation
from wattcast.runtime.session import missing_jars
from wattcast.settings import settings

DAY = date(2026, 3, 1)
JOBS = ("run", "pipeline", "--once", "--close-at", "2026-03-02T00:00:00Z")
JOBS_SECONDS = 600


def prepare_start() -> None:
    """Write the archives that are missing. Without them everything works, but takes longer to start."""
    broker, spark = archive_file("broker", jars("broker")), archive_file("spark", missing_jars(settings()))
    if broker.is_file() and spark.is_file():
        return
    console = Console(stderr=True)
    broker.parent.mkdir(parents=True, exist_ok=True)
    status = "Preparing a quick start of Spark and Kafka (once, about a minute)"
    with tempfile.TemporaryDirectory(dir=broker.parent, prefix=".draft-") as scratch, console.status(status):
        try:
            problem = _write_archives(Path(scratch), broker, spark)
        except (BrokerFailed, BrokerUnreachable, KafkaError, OSError, subprocess.TimeoutExpired) as error:
            problem = message(error)
    if problem:
        console.print(f"The quick start could not be prepared; all commands work, but start more slowly. {problem}")


def _write_archives(scratch: Path, broker: Path, spark: Path) -> str:
    """Why the archive of Spark could not be written; empty if it was."""
    readings = scratch / "readings.parquet"
    write_simulation(readings, buildings=1, days=1, start=DAY, interval_minutes=60, seed=0)
    broker_options = [] if broker.is_file() else write_options(scratch / broker.name)
    with EmbeddedBroker(scratch, java_options=broker_options) as server:
        kafka = settings().kafka.model_copy(update={"bootstrap_servers": server.bootstrap_servers})
        Broker(kafka).ensure_topics([kafka.readings_topic])
        replay(recording(readings), Broker(kafka), topic=kafka.readings_topic)
        problem = "" if spark.is_file() else _run_jobs(scratch, server.bootstrap_servers, scratch / spark.name)
    if broker_options:
        install(scratch / broker.name, broker)
    if not problem and not spark.is_file():
        install(scratch / spark.name, spark)
    return problem


def _run_jobs(state: Path, servers: str, draft: Path) -> str:
    """Java writes the draft when it ends, shortly after the command that started it; only then its output is closed."""
    environment = os.environ | {
        "SPARK_SUBMIT_OPTS": " ".join(["-XX:TieredStopAtLevel=1", *write_options(draft)]),
        "WATTCAST_STATE": str(state),
        "WATTCAST_KAFKA__BOOTSTRAP_SERVERS": servers,
    }
    command = [sys.executable, "-m", "wattcast.cli", *JOBS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=JOBS_SECONDS)
    if done.returncode or not draft.is_file():
        return f"`wattcast {' '.join(JOBS)}` ended with {done.returncode}: {done.stderr.strip()[-500:]}"
    return ""
