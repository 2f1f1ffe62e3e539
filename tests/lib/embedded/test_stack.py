"""`up`, `down` and `status`: a broker that stays until it is told to go."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from wattcast.broker import Broker
from wattcast.embedded import broker_record
from wattcast.embedded.kafka_server import EmbeddedBroker
from wattcast.embedded.stack import down, running_broker, status, up
from wattcast.setting_sections import KafkaSettings


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("state")
    yield folder
    down(folder)


def test_nothing_runs_in_a_new_folder(tmp_path: Path) -> None:
    assert running_broker(tmp_path) is None
    assert down(tmp_path) == "No broker runs for this state folder."
    assert status(tmp_path)["up"] is False
    assert list(tmp_path.iterdir()) == []


def test_stack_outlives_its_command_until_it_is_told_to_go(state: Path) -> None:
    command = [
        sys.executable,
        "-c",
        "import sys, pathlib, wattcast.embedded.stack as s; print(s.up(pathlib.Path(sys.argv[1])))",
    ]
    said = subprocess.run([*command, str(state)], capture_output=True, text=True, timeout=300, check=True).stdout
    servers = running_broker(state)
    assert servers
    assert servers in said
    assert up(state) == f"The broker already runs at {servers}."
    broker = Broker(KafkaSettings(bootstrap_servers=servers, partitions=2))
    broker.ensure_topics(["readings"])
    producer = broker.producer()
    for _ in range(3):
        producer.send("readings", b"{}", partition=1)
    producer.flush()
    producer.close()
    seen = status(state)
    assert (seen["up"], seen["bootstrap_servers"]) == (True, servers)
    assert seen["topics"] == {"readings": {"records": 3, "end_offsets": {0: 0, 1: 3}}}
    assert 0 < seen["broker_bytes"] < 50_000_000
    assert 0 < seen["memory_bytes"] < 500_000_000
    assert down(state) == "The broker was stopped; its data is kept."
    assert not psutil.pid_exists(seen["pid"]) or psutil.Process(seen["pid"]).status() == psutil.STATUS_ZOMBIE
    assert running_broker(state) is None
    assert down(state) == "No broker runs for this state folder."


def test_record_of_a_process_that_is_gone_is_stale(state: Path) -> None:
    record = state / "kafka" / "broker.json"
    record.parent.mkdir(exist_ok=True)
    record.write_text(json.dumps({"pid": os.getpid(), "started": 1.0, "port": 1, "controller_port": 2}))
    assert running_broker(state) is None
    assert down(state) == "No broker runs for this state folder."
    assert psutil.Process().is_running()


def test_half_written_record_counts_as_none(state: Path) -> None:
    (state / "kafka").mkdir(exist_ok=True)
    (state / "kafka" / "broker.json").write_text('{"pid": 1')
    assert running_broker(state) is None
    assert broker_record.read_record(state / "kafka") == {}


def test_broker_of_a_running_command_is_seen_but_not_stopped(state: Path) -> None:
    with EmbeddedBroker(state) as broker:
        assert running_broker(state) == broker.bootstrap_servers
        assert f"belongs to process {os.getpid()}" in down(state)
        assert running_broker(state) == broker.bootstrap_servers
        assert status(state)["pid"] == broker.pid


def test_lake_is_measured_where_it_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "lake" / "hourly_usage").mkdir(parents=True)
    (tmp_path / "lake" / "hourly_usage" / "part.parquet").write_bytes(b"x" * 10_000)
    assert status(tmp_path)["lake_bytes"] >= 10_000
    assert status(tmp_path, f"file://{tmp_path}/lake")["lake_bytes"] >= 10_000
    assert status(tmp_path, "s3a://bucket/lake")["lake_bytes"] is None
