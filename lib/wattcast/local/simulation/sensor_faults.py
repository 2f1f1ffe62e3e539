"""Faults of simulated meters and sensors: planned first, so that their log is exact, then applied to the readings."""

from datetime import date
from typing import NamedTuple

import numpy as np
import pandas as pd

MINUTE = np.timedelta64(60, "s")
MINUTES_PER_DAY = 24 * 60


class FaultKind(NamedTuple):
    share: float  # of the faulty readings
    shortest_minutes: int
    longest_minutes: int


KINDS = {
    "stuck_meter": FaultKind(0.40, 6 * 60, 48 * 60),  # the same energy in each reading
    "missing_readings": FaultKind(0.25, 60, 24 * 60),  # no rows
    "false_zero": FaultKind(0.15, 60, 12 * 60),
    "missing_temperature": FaultKind(0.15, 60, 24 * 60),  # null
    "spike": FaultKind(0.05, 1, 1),  # one reading many times too high
}
SPIKE_FACTOR = 15


def planned_faults(buildings: pd.DataFrame, start: date, days: int, share: float, seed: int) -> pd.DataFrame:
    """The fault log: building_id, kind, start, end (UTC, exclusive), by building and time; a building has one fault at a time.

    `share` is the average share of a building's readings with a fault.
    """
    begin = np.datetime64(start.isoformat(), "s")
    rows: list[tuple[str, str, np.datetime64, np.datetime64]] = []
    if share > 0:
        meters = buildings[["building_id", "reading_interval_minutes"]].itertuples(index=False)
        for number, (building_id, interval) in enumerate(meters):
            events = _events(int(interval), days, share, np.random.default_rng([seed, 3, number]))
            rows += [(building_id, kind, begin + first * MINUTE, begin + past * MINUTE) for first, past, kind in events]
    plan = pd.DataFrame(rows, columns=["building_id", "kind", "start", "end"])
    return plan.assign(
        **{name: pd.to_datetime(plan[name], utc=True).astype("datetime64[ms, UTC]") for name in ("start", "end")}
    )


def _events(interval: int, days: int, share: float, rng: np.random.Generator) -> list[tuple[int, int, str]]:
    """(first minute, minute past the end, kind), aligned to reading intervals."""
    minutes = days * MINUTES_PER_DAY
    drawn = []
    for kind, (kind_share, shortest, longest) in KINDS.items():
        mean_minutes = max(interval, (shortest + longest) / 2)
        for _ in range(rng.poisson(share * kind_share * minutes / mean_minutes)):
            readings = max(1, round(rng.uniform(shortest, longest) / interval))
            first = int(rng.integers(minutes // interval)) * interval
            drawn.append((first, min(first + readings * interval, minutes), kind))
    events: list[tuple[int, int, str]] = []
    for event in sorted(drawn):
        if not events or event[0] >= events[-1][1]:
            events.append(event)
    return events


class FaultyMeters:
    """Applies the planned faults to the readings, day after day; keeps the value at which a meter is stuck."""

    def __init__(self, plan: pd.DataFrame, building_ids: list[str]) -> None:
        codes = {building_id: code for code, building_id in enumerate(building_ids)}
        self._building = plan["building_id"].map(codes).to_numpy(np.int64)
        self._start = plan["start"].dt.tz_localize(None).to_numpy("datetime64[ms]")
        self._end = plan["end"].dt.tz_localize(None).to_numpy("datetime64[ms]")
        self._kind = plan["kind"].to_list()
        self._stuck_at: dict[int, float] = {}

    def readings(self, true: pd.DataFrame) -> pd.DataFrame:
        """The readings of a day as the meters send them; `true` has timestamp (UTC, in order), building code and the features."""
        time = true["timestamp"].dt.tz_localize(None).to_numpy("datetime64[ms]")
        today = np.flatnonzero((self._start <= time[-1]) & (self._end > time[0]))
        if not len(today):
            return true
        building = true["building"].to_numpy()
        energy, temperature = true["energy_usage_kwh"].to_numpy(copy=True), true["temperature_c"].to_numpy(copy=True)
        sent = np.ones(len(true), bool)
        for event in today.tolist():
            first, past = np.searchsorted(time, [self._start[event], self._end[event]])
            hit = first + np.flatnonzero(building[first:past] == self._building[event])
            if not len(hit):
                continue
            match self._kind[event]:
                case "stuck_meter":
                    energy[hit] = self._stuck_at.setdefault(event, float(energy[hit[0]]))
                case "missing_readings":
                    sent[hit] = False
                case "false_zero":
                    energy[hit] = 0
                case "missing_temperature":
                    temperature[hit] = np.nan
                case "spike":
                    energy[hit] *= SPIKE_FACTOR
        return true.assign(energy_usage_kwh=energy, temperature_c=temperature)[sent].reset_index(drop=True)
