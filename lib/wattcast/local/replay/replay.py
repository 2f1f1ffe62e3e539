"""Replay of recorded readings into Kafka: at full speed or paced, resumable, with injected faults that are counted."""

import json
from collections.abc import Callable
from dataclasses import asdict
from hashlib import sha256
from itertools import islice
from pathlib import Path

from wattcast.broker import Broker
from wattcast.errors import REFUSED
from wattcast.files import write_atomically
from wattcast.local.replay.counts import ReplayCounts, Tally
from wattcast.local.replay.faults import NO_FAULTS, Faults
from wattcast.local.replay.recordings import Recording
from wattcast.local.replay.sending import Pace, acknowledged
from wattcast.local.replay.sequence import records

Progress = Callable[[float, int], None]
"""Called about once a second with the share of the recorded time that is sent (0 to 1) and the number of records."""


class OtherReplayError(ValueError):
    """The state file belongs to another file, selection, topic, seed or set of faults."""

    exit_status = REFUSED


def replay(
    source: Recording,
    broker: Broker,
    *,
    topic: str,
    faults: Faults = NO_FAULTS,
    seed: int = 0,
    speed: float | None = None,
    state_file: Path | None = None,
    progress: Progress | None = None,
) -> ReplayCounts:
    """Send all records; returns the counts of the whole replay after Kafka has acknowledged the last one.

    `speed` is simulated seconds per second; None sends as fast as Kafka accepts. With a `state_file`, a stopped replay resumes
    after the acknowledged records; records that were sent but not acknowledged may be sent twice.

    Raises:
        OtherReplayError: the state file belongs to another replay.
    """
    identity = _identity(source, faults, seed, topic)
    sent_before = _sent_before(state_file, identity)
    tally = Tally()
    sequence = tally.counted(records(source, faults, seed))
    for _ in islice(sequence, sent_before):
        pass  # already sent, but counted
    producer = broker.producer(compression_type="lz4")
    try:
        for sent in acknowledged(sequence, producer, topic, Pace(speed)):
            if state_file:
                _write_state(state_file, identity, sent_before + sent)
            if progress and tally.last_arrival_ms is not None:
                share = (tally.last_arrival_ms - source.start_ms) / (source.end_ms - source.start_ms)
                progress(min(share, 1.0), sent_before + sent)
    finally:
        producer.close()
    return tally.counts()


def _identity(source: Recording, faults: Faults, seed: int, topic: str) -> str:
    """A digest that is the same for two replays with the same sequence of records."""
    file = source.file.stat()
    selection = [len(source.building_ids), source.start_ms, source.end_ms, source.naive_is_utc]
    parts = [source.file.name, file.st_size, file.st_mtime_ns, selection, asdict(faults), seed, topic]
    return sha256(json.dumps(parts).encode()).hexdigest()


def _sent_before(state_file: Path | None, identity: str) -> int:
    if state_file is None or not state_file.is_file():
        return 0
    try:
        state = json.loads(state_file.read_text())
        is_same, sent = state["replay"] == identity, int(state["acknowledged"])
    except (ValueError, KeyError, TypeError) as error:
        raise OtherReplayError(
            f"{state_file} is not the state of a replay: remove it to start from the beginning."
        ) from error
    if not is_same:
        raise OtherReplayError(
            f"{state_file} belongs to a replay with other options: remove it to start from the beginning."
        )
    return sent


def _write_state(state_file: Path, identity: str, sent: int) -> None:
    write_atomically(state_file, json.dumps({"replay": identity, "acknowledged": sent}))
