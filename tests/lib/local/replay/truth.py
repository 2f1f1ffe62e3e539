"""What a replay must lead to, computed from the recorded file and from the records alone."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from wattcast.local.replay.counts import ReplayCounts, Tally
from wattcast.local.replay.expected import broken_rules
from wattcast.local.replay.recorded_files import FEATURES
from wattcast.local.replay.recordings import HOUR_MS, Recording
from wattcast.local.replay.sequence import Record, shortest


def counts_of(sequence: Iterable[Record]) -> ReplayCounts:
    """The counts of records that nobody sends."""
    tally = Tally()
    for _ in tally.counted(sequence):
        pass
    return tally.counts()


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
