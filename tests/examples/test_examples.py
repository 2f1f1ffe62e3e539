"""The example producer and consumer, as the documentation prints them, against a real broker."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from examples.consumer import unique_forecasts
from examples.producer import send
from jobs.ingest import INGEST

from wattcast.runtime.context import Run

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "docs/guide-consumer.md")


def run_ingest(once: Run) -> list[tuple[str, bool]]:
    for query in INGEST.start(once):
        query.awaitTermination()
    rows = once.lake.table("received_readings").orderBy("kafka_timestamp", "kafka_offset").collect()
    return [(row.building_id, row.accepted) for row in rows]


def forecast(building: str, forecast_id: str) -> bytes:
    hours = ["2026-03-01T00:00:00.000000Z"]
    message = {"forecast_id": forecast_id, "building_id": building, "target_hour": hours, "p50_kwh": [12.5]}
    return json.dumps(message | {"method": "model", "warnings": []}).encode()


def put_forecasts(once: Run, messages: list[tuple[str, str]]) -> str:
    """Send a message per (building, forecast_id), in order, to the topic of forecasts; the name of the topic."""
    topic = once.settings.kafka.forecasts_topic
    once.broker.ensure_topics([topic])
    producer = once.broker.producer()
    for building, forecast_id in messages:
        producer.send(topic, value=forecast(building, forecast_id), partition=0)
    producer.close()
    return topic


def test_readings_of_the_producer_are_accepted(once: Run) -> None:
    kafka = once.settings.kafka
    servers, topic = kafka.bootstrap_servers, kafka.readings_topic
    once.broker.ensure_topics([topic])
    reading = {"building_id": "school", "measured_at": "2024-05-01T10:00:00+02:00", "energy_usage_kwh": 3.5}
    send(reading, servers, topic)
    subprocess.run([sys.executable, ROOT / "examples/producer.py", servers, topic], check=True, timeout=120)
    assert run_ingest(once) == [("school", True), ("town-hall", True)]


def test_consumer_drops_repeated_forecasts_and_messages_of_erased_buildings(once: Run) -> None:
    topic = put_forecasts(once, [("school", "1"), ("school", "1"), ("hall", "2")])
    once.broker.send_tombstones(topic, [b"school"])
    put_forecasts(once, [("school", "1"), ("hall", "3")])
    messages = once.broker.consumer(topic, consumer_timeout_ms=5000)
    assert [(message["building_id"], message["forecast_id"]) for message in unique_forecasts(messages)] == [
        ("school", "1"), ("hall", "2"), ("hall", "3"),
    ]  # fmt: skip


def test_consumer_remembers_a_bounded_number_of_forecasts(once: Run) -> None:
    topic = put_forecasts(once, [("a", "1"), ("a", "2"), ("a", "3"), ("a", "3"), ("a", "1")])
    messages = once.broker.consumer(topic, consumer_timeout_ms=5000)
    assert [message["forecast_id"] for message in unique_forecasts(messages, remember=2)] == ["1", "2", "3", "1"]


def test_consumer_prints_what_it_reads(once: Run) -> None:
    topic = put_forecasts(once, [("school", "1"), ("school", "1"), ("hall", "2")])
    command = [sys.executable, "-u", ROOT / "examples/consumer.py", once.settings.kafka.bootstrap_servers, topic]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as consumer:
        assert consumer.stdout is not None
        printed = [consumer.stdout.readline() for _ in range(2)]
        consumer.terminate()
    hour = "2026-03-01T00:00:00.000000Z"
    assert printed == [f"school {hour} 12.5 model []\n", f"hall {hour} 12.5 model []\n"]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("example", ["producer.py", "consumer.py"])
def test_documentation_shows_the_example_as_it_is(page: str, example: str) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert (ROOT / "examples" / example).read_text(encoding="utf-8") in blocks


@pytest.mark.parametrize("example", ["producer.py", "consumer.py"])
def test_example_has_twenty_lines_of_code(example: str) -> None:
    lines = (ROOT / "examples" / example).read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if line.strip()]) <= 20
