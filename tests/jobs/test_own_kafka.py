"""A Kafka of the user's own, which wants TLS and a password, is used by settings alone."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest
from jobs.aggregate import AGGREGATE
from jobs.forecast import FORECAST
from jobs.ingest import INGEST
from jobs.publish import PUBLISH
from tests.jobs.steps import at, put_buildings, reading, send, work
from tests.lib.monitoring.prometheus import free_port

from wattcast.broker import Broker, BrokerUnreachable
from wattcast.embedded.broker_files import java_command, properties
from wattcast.embedded.jars import jars
from wattcast.runtime.context import Run
from wattcast.settings import settings

USER, PASSWORD = "meters", 'a "quoted" \\ pass; word'
CERTIFICATE = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
               "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "ca.pem")  # fmt: skip


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A broker that lets nobody in but by SASL_SSL and SCRAM; the settings with which it does."""
    home = tmp_path_factory.mktemp("kafka")
    subprocess.run(["openssl", *CERTIFICATE], cwd=home, check=True, capture_output=True)
    (home / "broker.pem").write_text("".join((home / name).read_text() for name in ("key.pem", "ca.pem")))
    ports = {"port": free_port(), "controller_port": free_port()}
    inside, client = f"127.0.0.1:{ports['port']}", f"127.0.0.1:{free_port()}"
    listening = properties(ports).replace(f"PLAINTEXT://{inside}", f"PLAINTEXT://{inside},SASL_SSL://{client}")
    guard = (
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT\n"
        "sasl.enabled.mechanisms=SCRAM-SHA-512\nssl.keystore.type=PEM\nssl.keystore.location=broker.pem\n"
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config="
        "org.apache.kafka.common.security.scram.ScramLoginModule required;\n"
    )
    (home / "server.properties").write_text(listening + guard)
    classpath = jars("broker")
    user = f'SCRAM-SHA-512=[name={USER},password="{PASSWORD}"]'
    formatting = ("kafka.tools.StorageTool", "format", "-t", "d2F0dGNhc3QtdGVzdHMtMDE", "-c", "server.properties")
    subprocess.run(
        [*java_command(classpath, 128, *formatting), "--add-scram", user], cwd=home, check=True, capture_output=True
    )
    with (home / "log").open("wb") as log, subprocess.Popen(
        java_command(classpath, 320, "kafka.Kafka", "server.properties"), cwd=home, stdout=log, stderr=log
    ) as process:  # fmt: skip
        yield {
            "bootstrap_servers": client, "security_protocol": "SASL_SSL", "sasl_mechanism": "SCRAM-SHA-512",
            "username": USER, "password": PASSWORD, "ssl_cafile": str(home / "ca.pem"),
        }  # fmt: skip
        process.terminate()


@pytest.fixture
def run(once: Run, guarded: dict[str, str]) -> Run:
    settings = once.settings.with_changes(kafka=guarded).model_copy(update={"state": once.settings.state})
    return replace(once, broker=Broker(settings.kafka), settings=settings)


def test_readings_come_in_and_forecasts_go_out_with_tls_and_a_password(run: Run) -> None:
    put_buildings(run, {"building_id": "b", "reading_interval_minutes": 60})
    values = [reading("b", f"2026-03-{day:02}T{hour:02}:00", 1.0 + hour) for day in (1, 2) for hour in range(24)]
    send(run.broker, run.settings.kafka.readings_topic, values, arrival=at("2026-03-03T00:01"))
    work(run, INGEST, AGGREGATE, FORECAST, PUBLISH)
    assert run.lake.table("received_readings").where("accepted").count() == len(values)
    forecasts = run.lake.table("forecasts").count()
    assert sum(end for _, end in run.broker.offsets(run.settings.kafka.forecasts_topic).values()) == forecasts > 0


@pytest.mark.parametrize(
    ("wrong", "why"),
    # The refusal of a password and the end of the connection come together, and the client may see the end alone.
    [
        ({"password": "other"}, r"SaslAuthenticationFailed|socket disconnected"),
        ({"ssl_cafile": ""}, "CERTIFICATE_VERIFY_FAILED"),
    ],
)
def test_wrong_password_and_unknown_authority_are_said(
    guarded: dict[str, str], wrong: dict[str, str], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    kafka = settings().with_changes(kafka=guarded | wrong | {"request_timeout_seconds": 3}).kafka
    with pytest.raises(BrokerUnreachable, match=f"No Kafka broker answers at {guarded['bootstrap_servers']}") as said:
        Broker(kafka).offsets("readings")
    assert "Check that it runs with SASL_SSL, and that user, password and certificate authority are right." in str(
        said.value
    )
    assert re.search(why, caplog.text)
    assert kafka.password.get_secret_value() not in caplog.text + str(said.value)
