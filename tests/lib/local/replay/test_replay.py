"""A replay into Kafka: order, resumption, and the state of another replay."""

import json
from collections import Counter
from itertools import islice

import pytest
from tests.lib.local.replay.recorded import frame, sequence, written
from tests.lib.local.replay.truth import counts_of

from wattcast.broker import Broker
from wattcast.local.replay.faults import Faults
from wattcast.local.replay.recordings import recording
from wattcast.local.replay.replay import OtherReplayError, replay
from wattcast.settings import Settings


class StoppedError(Exception):
    """Raised by a progress callback to stop a replay."""


def consumed(broker: Broker, topic: str) -> list:
    """Every record that the topic holds."""
    consumer = broker.consumer(topic)
    try:
        return list(islice(consumer, sum(end for _, end in broker.offsets(topic).values())))
    finally:
        consumer.close()


@pytest.fixture
def broker(local_settings: Settings) -> Broker:
    broker = Broker(local_settings.kafka)
    broker.ensure_topics([local_settings.kafka.readings_topic])
    return broker


@pytest.fixture
def topic(local_settings: Settings) -> str:
    return local_settings.kafka.readings_topic


def test_kafka_holds_the_records_with_their_simulated_arrival_in_order(file, broker, topic):
    expected = sequence(file)
    seen = []
    counts = replay(
        recording(file), broker, topic=topic, seed=7, faults=Faults(0.1, 0.1, 0.1, 0.1, 0.1),
        progress=lambda share, sent: seen.append((share, sent)),
    )  # fmt: skip
    assert counts == counts_of(expected)
    found = consumed(broker, topic)
    as_sent = Counter((record.key, record.value, record.arrival_ms) for record in expected)
    assert Counter((record.key, record.value, record.timestamp) for record in found) == as_sent
    for partition in {record.partition for record in found}:
        arrivals = [record.timestamp for record in found if record.partition == partition]
        assert arrivals == sorted(arrivals)
    assert len({(record.key, record.partition) for record in found}) == 3
    assert seen[-1] == (1.0, counts.sent)


def test_a_stopped_replay_goes_on_where_kafka_had_acknowledged_it(tmp_path, broker, topic):
    path = written(frame(buildings=10, days=30, minutes=60), tmp_path / "readings.parquet")
    state = tmp_path / "state" / "replay.json"

    def stop(share: float, sent: int) -> None:
        if sent > 3000:
            raise StoppedError

    with pytest.raises(StoppedError):
        replay(recording(path), broker, topic=topic, state_file=state, progress=stop)
    acknowledged_before = json.loads(state.read_text())["acknowledged"]
    assert 3000 < acknowledged_before < 7200
    counts = replay(recording(path), broker, topic=topic, state_file=state)
    assert counts == counts_of(sequence(path, Faults(), seed=0))
    found = Counter((record.key, record.value) for record in consumed(broker, topic))
    assert len(found) == 7200
    assert found.total() <= 2 * 7200 - acknowledged_before
    assert replay(recording(path), broker, topic=topic, state_file=state) == counts
    assert sum(end for _, end in broker.offsets(topic).values()) == found.total()


def test_the_state_of_another_replay_is_refused(tmp_path, file, broker, topic):
    state = tmp_path / "replay.json"
    replay(recording(file, days=1), broker, topic=topic, state_file=state)
    with pytest.raises(OtherReplayError, match="other options"):
        replay(recording(file, days=2), broker, topic=topic, state_file=state)
    state.write_text("{}")
    with pytest.raises(OtherReplayError, match="not the state of a replay"):
        replay(recording(file, days=1), broker, topic=topic, state_file=state)
