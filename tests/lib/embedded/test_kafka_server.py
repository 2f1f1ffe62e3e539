"""The embedded broker is a real one, keeps its records, and never outlives its process."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from wattcast.broker import Broker
from wattcast.embedded import broker_record
from wattcast.embedded.kafka_server import BrokerFailed, EmbeddedBroker
from wattcast.setting_sections import KafkaSettings

TOPIC, KEPT = "readings", "kept"
GONE_SECONDS = 60

OWNER = """
import signal, sys
from pathlib import Path
from wattcast.embedded.kafka_server import EmbeddedBroker
with EmbeddedBroker(Path(sys.argv[1])) as broker:
    print(broker.pid, flush=True)
    if sys.argv[2] == "raise":
        raise ValueError("on purpose")
    if sys.argv[2] == "wait":
        signal.pause()
"""


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A state folder whose broker each test starts and stops anew."""
    folder = tmp_path_factory.mktemp("state with spaces, and a comma")
    yield folder
    assert broker_record.running(folder / "kafka") is None


def client(servers: str) -> Broker:
    return Broker(KafkaSettings(bootstrap_servers=servers, partitions=1))


def works(servers: str) -> bool:
    client(servers).ensure_topics([TOPIC])
    return len(client(servers).offsets(TOPIC)) == 1


def send(broker: Broker, *values: bytes) -> None:
    with_keys = broker.producer()
    for value in values:
        with_keys.send(KEPT, value, key=b"building")
    with_keys.flush()
    with_keys.close()


def received(broker: Broker) -> list[bytes]:
    consumer = broker.consumer(KEPT, consumer_timeout_ms=10_000)
    (_, end), values = broker.offsets(KEPT)[0], []
    for record in consumer:
        values.append(record.value)
        if record.offset == end - 1:
            break
    consumer.close()
    return values


def test_records_outlive_a_stop_and_a_kill(state: Path) -> None:
    big = b"x" * 1_500_000
    with EmbeddedBroker(state) as first:
        servers = first.bootstrap_servers
        client(servers).ensure_topics([KEPT])
        send(client(servers), b"one", big)
    with EmbeddedBroker(state) as second:
        assert second.bootstrap_servers == servers
        assert received(client(servers)) == [b"one", big]
        send(client(servers), b"two")
        assert second.pid is not None
        psutil.Process(second.pid).kill()
        psutil.Process(second.pid).wait(GONE_SECONDS)
    with EmbeddedBroker(state) as third:
        assert received(client(third.bootstrap_servers)) == [b"one", big, b"two"]


def test_topic_is_never_made_by_a_typing_error(state: Path) -> None:
    with EmbeddedBroker(state) as broker:
        consumer = client(broker.bootstrap_servers).consumer()
        assert not consumer.partitions_for_topic("reedings")
        assert "reedings" not in consumer.topics()
        consumer.close()


def test_second_broker_of_one_state_is_refused(state: Path) -> None:
    with EmbeddedBroker(state) as first:
        with pytest.raises(BrokerFailed, match=f"up already at {first.bootstrap_servers}"):
            EmbeddedBroker(state).start()
        assert works(first.bootstrap_servers)


def test_taken_port_is_replaced(state: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        (state / "kafka").mkdir(exist_ok=True)
        (state / "kafka" / "broker.json").write_text(json.dumps({"port": taken, "controller_port": taken}))
        with EmbeddedBroker(state) as broker:
            assert broker.bootstrap_servers != f"127.0.0.1:{taken}"
            assert works(broker.bootstrap_servers)


@pytest.mark.parametrize(
    ("action", "number", "status"),
    [
        ("end", None, 0),
        ("raise", None, 1),
        ("wait", signal.SIGINT, -signal.SIGINT),
        ("wait", signal.SIGTERM, 128 + signal.SIGTERM),
        pytest.param(
            "wait", signal.SIGKILL, -signal.SIGKILL,
            marks=pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child of a killed parent"),
        ),
    ],
)  # fmt: skip
def test_broker_ends_with_its_process(state: Path, action: str, number: signal.Signals | None, status: int) -> None:
    command = [sys.executable, "-c", OWNER, str(state), action]
    owner = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    broker = psutil.Process(int(owner.stdout.readline()))
    assert action != "wait" or "kafka.Kafka" in broker.cmdline()
    if number is not None:
        owner.send_signal(number)
    owner.communicate(timeout=GONE_SECONDS)
    psutil.wait_procs([broker], GONE_SECONDS)
    assert not broker.is_running() or broker.status() == psutil.STATUS_ZOMBIE
    assert owner.returncode == status


def test_broker_without_its_owner_is_replaced(state: Path) -> None:
    lost = EmbeddedBroker(state, detached=True)
    lost.start()
    assert lost.pid is not None
    gone = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    home = state / "kafka"
    broker_record.write_record(
        home, broker_record.read_record(home), psutil.Process(lost.pid), psutil.Process(gone.pid)
    )
    gone.communicate(b"\n", timeout=GONE_SECONDS)
    with EmbeddedBroker(state) as broker:
        assert broker.pid != lost.pid
        assert works(broker.bootstrap_servers)
    lost.stop()


def test_broker_that_cannot_start_shows_the_end_of_its_log(state: Path) -> None:
    meta = state / "kafka" / "data" / "meta.properties"
    if not meta.is_file():
        with EmbeddedBroker(state):
            pass
    before = meta.read_text()
    meta.write_text(before.replace("node.id=1", "node.id=7"))
    with pytest.raises(BrokerFailed, match=r"did not start[\s\S]*kafka\.log[\s\S]*7"):
        EmbeddedBroker(state).start()
    meta.write_text(before)


def test_program_that_ignores_sigterm_still_stops_its_broker_in_good_order(state: Path) -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with EmbeddedBroker(state):
            assert not (state / "kafka" / "data" / ".kafka_cleanshutdown").exists()
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
            os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        assert (state / "kafka" / "data" / ".kafka_cleanshutdown").exists()
    finally:
        signal.signal(signal.SIGTERM, before)
