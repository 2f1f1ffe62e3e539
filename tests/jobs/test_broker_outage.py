"""A job waits for a broker that goes away, and continues when it is back."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError
from tests.jobs.steps import at, kill, reading, send, wait_until

from wattcast.broker import Broker
from wattcast.embedded.kafka_server import EmbeddedBroker
from wattcast.runtime.outage import PROBE_SECONDS, REPORT_SECONDS, Outage
from wattcast.settings import settings


def received(state: Path) -> int:
    """The rows of the ledger of readings."""
    try:
        table = DeltaTable(str(state / "lake/received_readings"))
        return len(table.to_pandas(columns=["kafka_offset"]))
    except TableNotFoundError:
        return 0


def put(broker: Broker, *hours: int) -> None:
    values = [reading("b", f"2026-03-01T{hour:02}:00", 1.0) for hour in hours]
    send(broker, "readings", values, arrival=at("2026-03-02T00:00"))


def test_ingest_waits_for_the_broker_and_continues_without_a_loss(tmp_path: Path) -> None:
    log, program = tmp_path / "log", Path(sys.executable).with_name("wattcast")
    with EmbeddedBroker(tmp_path) as server:
        servers = server.bootstrap_servers
        broker = Broker(settings().with_changes(kafka={"bootstrap_servers": servers}).kafka)
        put(broker, 0, 1, 2)
        variables = {
            "WATTCAST_STATE": str(tmp_path),
            "WATTCAST_KAFKA__BOOTSTRAP_SERVERS": servers,
            "WATTCAST_KAFKA__REQUEST_TIMEOUT_SECONDS": "2",
        }  # fmt: skip
        with log.open("w") as stderr:
            process = subprocess.Popen(
                [program, "run", "ingest"], env=os.environ | variables, stderr=stderr, text=True, start_new_session=True
            )
        try:
            wait_until(process, lambda: received(tmp_path) == 3)
            server.stop()
            wait_until(process, lambda: "waits for it, at most 60 minutes" in log.read_text())
            assert server.start() == servers
            put(broker, 3, 4)
            wait_until(process, lambda: received(tmp_path) == 5)
            wait_until(
                process, lambda: "The Kafka broker answers again after" in log.read_text()
            )  # said after the restart
            assert [line for line in log.read_text().splitlines() if "Connection failed" in line] == []
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=120) == 0, log.read_text()
        finally:
            kill(process)


def test_outage_is_measured_and_ends_the_wait_after_the_minutes_of_the_settings() -> None:
    now = 1000.0
    kafka = settings().with_changes(kafka={"bootstrap_servers": "127.0.0.1:1", "outage_minutes": 2}).kafka
    outage = Outage(Broker(kafka), clock=lambda: now)
    assert (outage.seconds, outage.is_bearable) == (0, True)
    outage.begin("ingest")
    now += PROBE_SECONDS + REPORT_SECONDS
    assert not outage.has_ended()
    assert (outage.seconds, outage.is_bearable) == (65, True)
    outage.end()
    assert outage.seconds == 0
    outage.begin("ingest")
    now += 60
    assert (outage.seconds, outage.is_bearable) == (125, False)


def test_without_a_wait_an_outage_is_never_bearable() -> None:
    kafka = settings().with_changes(kafka={"outage_minutes": 0}).kafka
    assert not Outage(Broker(kafka)).is_bearable
