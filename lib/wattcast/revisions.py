"""The arithmetic of hourly usage: from the readings of some hours to the revisions that these hours lack. pandas only.

An hour of a building closes at an arrival time that depends on its readings alone, never on how they were cut into batches:
when its last expected reading arrives; when the building's own newest reading is `grace` past the hour; or `max_wait` after
the hour's end. An hour that is heard of only after that closes when it is complete or `grace` after its first reading. From
then on each arrival that changes a value makes a revision, known from that arrival on. So a crash, a retry or a rebuild from
nothing gives the same rows.

Times are int64 microseconds since 1970 UTC.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

HOUR_US = 3_600_000_000
NEVER = np.iinfo(np.int64).max
NANO = 1e9  # sums are exact integers of a billionth of the unit, so that they do not depend on the order of the rows
MEANS = ["temperature_c", "humidity_pct", "occupancy"]
MEASURED = ["energy_usage_kwh", *MEANS]
COUNTS = ["readings_seen", "readings_expected"]
ARRIVAL = ["arrival_us", "kafka_partition", "kafka_offset"]


@dataclass(frozen=True)
class Closing:
    """When hours close, in microseconds; `clock_us` is the arrival before which everything is known."""

    grace_us: int
    max_wait_us: int
    clock_us: int


def revisions(readings: pd.DataFrame, existing: pd.DataFrame, closing: Closing) -> pd.DataFrame:
    """The missing revisions: building_id, hour_us, available_us, revision, and the values MEASURED and COUNTS (NaN: unknown).

    `readings` (building_id, device_id, hour_us, measured_us, ARRIVAL, MEASURED, interval_minutes, is_touched) has every reading
    of the touched hours and of the hours that have no row yet, and all that arrived lately. `existing` (building_id, hour_us,
    available_us, revision, MEASURED, COUNTS) has at least the newest row of each of these hours.
    """
    rows = readings.sort_values(ARRIVAL, ignore_index=True)
    rows["pair"] = rows.groupby(["building_id", "hour_us"], sort=False).ngroup()
    pairs = rows.groupby("pair", sort=True).agg(
        building_id=("building_id", "first"),
        hour_us=("hour_us", "first"),
        first_us=("arrival_us", "first"),
        is_touched=("is_touched", "max"),
    )
    pairs = pairs.reset_index().merge(_newest(existing), on=["building_id", "hour_us"], how="left")
    is_known = pairs["last_us"].notna().to_numpy()
    last = pairs["last_us"].fillna(0).to_numpy().astype(np.int64)
    base = np.where(is_known, last, _closings(rows, pairs, is_known, closing))
    pairs["base_us"] = base
    wanted = pairs[(is_known & pairs["is_touched"].to_numpy(bool)) | (~is_known & (base != NEVER))]
    states = _states(rows.merge(wanted[["pair", "base_us"]], on="pair"))
    return _changes(states, wanted, closing.clock_us)


def _newest(existing: pd.DataFrame) -> pd.DataFrame:
    newest = existing.sort_values("available_us").drop_duplicates(["building_id", "hour_us"], keep="last")
    renamed = {"available_us": "last_us", "revision": "last_revision"} | {
        name: f"last_{name}" for name in [*MEASURED, *COUNTS]
    }
    return newest[["building_id", "hour_us", *renamed]].rename(columns=renamed)


def _closings(
    rows: pd.DataFrame, pairs: pd.DataFrame, is_known: NDArray[np.bool_], closing: Closing
) -> NDArray[np.int64]:
    """(pairs,): when each hour without a row closes; NEVER where it has not by now."""
    first, end = pairs["first_us"].to_numpy(), pairs["hour_us"].to_numpy() + HOUR_US
    full = _full(rows[~is_known[rows["pair"].to_numpy()]], len(pairs))
    own, frontier = _own_clock(rows, pairs, closing.grace_us)
    waited = end + closing.max_wait_us
    in_time = np.maximum(first, np.minimum(np.minimum(full, own), waited))
    closes = np.where(first >= waited, np.minimum(full, first + closing.grace_us), in_time)
    return np.where(closes <= np.maximum(frontier, closing.clock_us), closes, NEVER)


def _full(rows: pd.DataFrame, pairs: int) -> NDArray[np.int64]:
    """(pairs,): when the last expected reading of the hour arrived, of the devices heard by then; NEVER where it did not.
    `rows` are in the order of arrival."""
    is_new = ~rows.duplicated(["pair", "device_id", "measured_us"])
    is_device = ~rows.duplicated(["pair", "device_id"])
    seen = is_new.groupby(rows["pair"]).cumsum()
    devices = is_device.groupby(rows["pair"]).cumsum()
    is_full = (seen * rows["interval_minutes"] >= devices * 60).to_numpy()
    full = np.full(pairs, NEVER)
    np.minimum.at(full, rows["pair"].to_numpy()[is_full], rows["arrival_us"].to_numpy()[is_full])
    return full


def _own_clock(rows: pd.DataFrame, pairs: pd.DataFrame, grace_us: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(pairs,) twice: when the building's first reading measured `grace` past the hour or later arrived, NEVER where none did;
    and the building's newest arrival."""
    own, frontier = np.full(len(pairs), NEVER), np.empty(len(pairs), dtype=np.int64)
    heard = dict(list(rows[["measured_us", "arrival_us"]].groupby(rows["building_id"], sort=False)))
    for building, index in pairs.groupby("building_id", sort=False).indices.items():
        of_building = heard[building].sort_values("measured_us")
        first_since = np.append(np.minimum.accumulate(of_building["arrival_us"].to_numpy()[::-1])[::-1], NEVER)
        passed = pairs["hour_us"].to_numpy()[index] + HOUR_US + grace_us
        own[index] = first_since[np.searchsorted(of_building["measured_us"].to_numpy(), passed)]
        frontier[index] = of_building["arrival_us"].max()
    return own, frontier


def _states(rows: pd.DataFrame) -> pd.DataFrame:
    """The values of each pair as they were known at its base and at each later arrival (`at_us`), in that order.

    Of the readings of one device and time the one that arrived last wins. `rows` are in the order of arrival.
    """
    rows = rows.assign(from_us=np.maximum(rows["base_us"], rows["arrival_us"]))
    times = rows[["pair", "from_us"]].drop_duplicates().rename(columns={"from_us": "at_us"})
    known = rows.merge(times, on="pair")
    known = known[known["from_us"] <= known["at_us"]]
    winners = known.drop_duplicates(["pair", "at_us", "device_id", "measured_us"], keep="last")
    key = ["pair", "at_us"]
    exact = winners[key].copy()
    for name in MEASURED:
        exact[name] = np.rint(winners[name].fillna(0).to_numpy() * NANO).astype(np.int64)
        exact[f"{name}_n"] = winners[name].notna().to_numpy().astype(np.int64)
    summed = exact.groupby(key, sort=True).sum()
    grouped = winners.groupby(key, sort=True)
    states = pd.DataFrame({"energy_usage_kwh": summed["energy_usage_kwh"] / NANO})
    for name in MEANS:
        states[name] = summed[name] / NANO / summed[f"{name}_n"].replace(0, np.nan)
    states["readings_seen"] = grouped.size().astype(float)
    states["readings_expected"] = grouped["device_id"].nunique() * 60 / grouped["interval_minutes"].first()
    return states.reset_index()


def _changes(states: pd.DataFrame, pairs: pd.DataFrame, clock_us: int) -> pd.DataFrame:
    """The states that differ from the one before them, with their revision and when they became known."""
    names = [*MEASURED, *COUNTS]
    states = states.merge(pairs, on="pair")
    pair = states["pair"].to_numpy()
    is_first = np.append(True, pair[1:] != pair[:-1])[: len(pair)]
    is_final = np.append(pair[1:] != pair[:-1], True)[: len(pair)]
    values, last = states[names].to_numpy(float), states[[f"last_{name}" for name in names]].to_numpy(float)
    has_last = states["last_us"].notna().to_numpy()
    differs_from_last = ~has_last | ~_same(values, last)
    differs = np.where(is_first, differs_from_last, ~_same(values, np.roll(values, 1, axis=0)))
    # What was appended and what is known now about the same moment differ: a record came with an older timestamp than others
    # that had been used, or the metadata changed. What that changes is known only from now on.
    is_unlike = is_first & has_last & differs_from_last & (states["at_us"] == states["last_us"]).to_numpy()
    has_diverged = np.isin(pair, pair[is_unlike])
    is_change = np.where(has_diverged, is_final & differs_from_last, differs)
    after_last = np.maximum(states["at_us"], np.maximum(clock_us, states["last_us"].fillna(0) + 1000)).astype(np.int64)
    states["available_us"] = np.where(has_diverged, after_last, states["at_us"])
    changes = states[is_change].copy()
    counted = changes.groupby("pair", sort=False).cumcount() + 1
    changes["revision"] = (changes["last_revision"].fillna(0) + counted).astype(np.int64)
    return changes[["building_id", "hour_us", "available_us", "revision", *names]]


def _same(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(rows,): whether all values are equal, unknown ones included."""
    same: NDArray[np.bool_] = ((a == b) | (np.isnan(a) & np.isnan(b))).all(axis=1)
    return same
