"""Replay of recorded readings into Kafka: at full speed or paced, resumable, with known faults; and the truth."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from hashlib import sha256
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from wattcast.broker import Broker
from wattcast.local.replay.counts import ReplayCounts, Tally
from wattcast.local.replay.expected import broken_rules
from wattcast.local.replay.faults import NO_FAULTS, Faults
from wattcast.local.replay.recorded_files import FEATURES
from wattcast.local.replay.recordings import HOUR_MS, Recording
from wattcast.local.replay.sending import Pace, acknowledged
from wattcast.local.replay.sequence import records, shortest

Progress = Callable[[float, int], None]
"""Called now and then with the share of the recorded time that is sent (0 to 1) and the number of records."""


class OtherReplayError(ValueError):
    """The state file belongs to another file, selection, topic, seed or set of faults."""


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
    """The counts of the whole replay, once Kafka has acknowledged all of it.

    `speed` is simulated seconds per second (none: as fast as Kafka takes them). With a `state_file`, a replay that was
    stopped goes on after the records that Kafka had acknowledged; those that were under way may come twice.
    """
    identity = _identity(source, faults, seed, topic)
    before = _sent_before(state_file, identity)
    tally = Tally()
    sequence = tally.counted(records(source, faults, seed))
    for _ in islice(sequence, before):
        pass
    producer = broker.producer(compression_type="lz4")
    try:
        for now in acknowledged(sequence, producer, topic, Pace(speed)):
            if state_file:
                _write_state(state_file, identity, before + now)
            if progress and tally.last_arrival_ms is not None:
                done = (tally.last_arrival_ms - source.start_ms) / (source.end_ms - source.start_ms)
                progress(min(done, 1.0), before + now)
    finally:
        producer.close()
    return tally.counts()


def _identity(source: Recording, faults: Faults, seed: int, topic: str) -> str:
    """What makes two replays the same sequence of records."""
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
            f"{state_file} is no state of a replay: remove it to start from the beginning."
        ) from error
    if not is_same:
        raise OtherReplayError(
            f"{state_file} belongs to a replay with other options: remove it to start from the beginning."
        )
    return sent


def _write_state(state_file: Path, identity: str, sent: int) -> None:
    state_file.parent.mkdir(parents=True, exist_ok=True)
    fresh = state_file.with_name(state_file.name + ".new")
    fresh.write_text(json.dumps({"replay": identity, "acknowledged": sent}))
    os.replace(fresh, state_file)


def newest_values(source: Recording) -> pd.DataFrame:
    """What the newest revisions of complete hours must hold after a replay, whatever its faults.

    Columns: building_id, hour (UTC), energy_usage_kwh (sum), temperature_c, humidity_pct, occupancy (means of what is
    there), readings. What is rejected does not count; an hour is complete with one per interval (and device).
    """
    hours = pd.concat([_hours(source, readings) for _, readings in source.days()], ignore_index=True)
    return hours.sort_values(["building_id", "hour"], ignore_index=True)


def _hours(source: Recording, readings: pd.DataFrame) -> pd.DataFrame:
    key = [name for name in ("building", "device_id", "measured_ms") if name in readings]
    devices = readings.groupby("building")["device_id"].nunique() if "device_id" in readings else 1
    is_accepted = np.array([not rules for rules in broken_rules(source, readings)])
    newest = readings[is_accepted].drop_duplicates(key, keep="last")
    as_sent = {name: shortest(newest[name]).cast("double").to_pandas().to_numpy() for name in FEATURES}
    newest = newest.assign(**as_sent, hour=newest["measured_ms"] // HOUR_MS * HOUR_MS)
    grouped = newest.groupby(["building", "hour"], sort=True)
    hours = grouped[FEATURES].mean()
    hours["energy_usage_kwh"] = grouped["energy_usage_kwh"].sum()
    hours["readings"] = grouped.size()
    hours = hours.reset_index()
    per_hour = HOUR_MS / source.interval_ms[hours["building"].to_numpy()]
    expected = per_hour * (devices if isinstance(devices, int) else devices.loc[hours["building"]].to_numpy())
    hours.insert(0, "building_id", np.array(source.building_ids, object)[hours["building"].to_numpy()])
    hours["hour"] = pd.to_datetime(hours["hour"], unit="ms", utc=True)
    columns = ["building_id", "hour", "energy_usage_kwh", "temperature_c", "humidity_pct", "occupancy", "readings"]
    return hours.loc[hours["readings"].to_numpy() >= expected, columns]
