"""The arithmetic of hourly usage: from the readings of some hours to the revisions that these hours lack. pandas only.

An hour of a building closes at an arrival time that depends on its readings alone, never on how they were cut into batches:
when its last expected reading arrives; when the building's own newest reading is `grace` past the hour; or `max_wait` after
the hour's end. An hour whose first reading arrives only after that closes when it is complete or `grace` after this reading.
From then on each arrival that changes a value makes a revision, available from that arrival on. So a crash, a retry or a
rebuild from nothing gives the same rows.

Times are int64 microseconds since 1970 UTC.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wattcast.hourly.values import VALUES, are_equal, first_readings, hour_states
from wattcast.times import HOUR_US

NEVER = np.iinfo(np.int64).max
ARRIVAL = ["arrival_us", "kafka_partition", "kafka_offset"]


@dataclass(frozen=True)
class Closing:
    """When hours close, in microseconds; `clock_us` is the arrival up to which the readings are complete. Of one device and hour
    the first `max_readings` are used."""

    grace_us: int
    max_wait_us: int
    clock_us: int
    max_readings: int


def revisions(readings: pd.DataFrame, existing: pd.DataFrame, closing: Closing) -> pd.DataFrame:
    """The revisions that `existing` lacks: building_id, hour_us, available_us, revision and VALUES, NaN where unknown.

    `readings` (building_id, device_id, hour_us, measured_us, ARRIVAL, MEASURED, interval_minutes, is_touched) has every reading
    of the touched hours and of the hours without a row, and all that arrived lately; of one device and hour at least the first
    `closing.max_readings`. `existing` (building_id, hour_us, available_us, revision, VALUES) has at least the newest row of each
    of these hours.
    """
    rows = readings.sort_values(ARRIVAL, ignore_index=True)
    rows["hour_index"] = rows.groupby(["building_id", "hour_us"], sort=False).ngroup()
    rows = first_readings(rows, closing.max_readings)
    hours = rows.groupby("hour_index", sort=True).agg(
        building_id=("building_id", "first"),
        hour_us=("hour_us", "first"),
        first_us=("arrival_us", "first"),
        is_touched=("is_touched", "max"),
    )
    hours = hours.reset_index().merge(_newest_rows(existing), on=["building_id", "hour_us"], how="left")
    has_row = hours["last_us"].notna().to_numpy()
    last_us = hours["last_us"].fillna(0).to_numpy().astype(np.int64)
    start_us = np.where(has_row, last_us, _closing_times(rows, hours, has_row, closing))
    hours["start_us"] = start_us
    is_pending = (has_row & hours["is_touched"].to_numpy(bool)) | (~has_row & (start_us != NEVER))
    pending = hours[is_pending]
    arrivals = rows.merge(pending[["hour_index", "start_us"]], on="hour_index")
    return _new_revisions(hour_states(arrivals, closing.max_readings), pending, closing.clock_us)


def _newest_rows(existing: pd.DataFrame) -> pd.DataFrame:
    newest = existing.sort_values("available_us").drop_duplicates(["building_id", "hour_us"], keep="last")
    renamed = {"available_us": "last_us", "revision": "last_revision"} | {name: f"last_{name}" for name in VALUES}
    return newest[["building_id", "hour_us", *renamed]].rename(columns=renamed)


def _closing_times(
    rows: pd.DataFrame, hours: pd.DataFrame, has_row: NDArray[np.bool_], closing: Closing
) -> NDArray[np.int64]:
    """(hours,): when each hour without a row closes; NEVER where it has not closed by now."""
    first_us, end_us = hours["first_us"].to_numpy(), hours["hour_us"].to_numpy() + HOUR_US
    complete_us = _completion_times(rows[~has_row[rows["hour_index"].to_numpy()]], len(hours))
    passed_us, newest_us = _building_clocks(rows, hours, closing.grace_us)
    waited_us = end_us + closing.max_wait_us
    in_time = np.maximum(first_us, np.minimum(np.minimum(complete_us, passed_us), waited_us))
    late = np.minimum(complete_us, first_us + closing.grace_us)
    closes_us = np.where(first_us >= waited_us, late, in_time)
    return np.where(closes_us <= np.maximum(newest_us, closing.clock_us), closes_us, NEVER)


def _completion_times(rows: pd.DataFrame, hours: int) -> NDArray[np.int64]:
    """(hours,): when the last expected reading of the hour arrived, of the devices seen by then; NEVER where it did not.
    `rows` are in the order of arrival."""
    is_new = ~rows.duplicated(["hour_index", "device_id", "measured_us"])
    is_new_device = ~rows.duplicated(["hour_index", "device_id"])
    readings_seen = is_new.groupby(rows["hour_index"]).cumsum()
    devices_seen = is_new_device.groupby(rows["hour_index"]).cumsum()
    is_complete = (readings_seen * rows["interval_minutes"] >= devices_seen * 60).to_numpy()
    complete_us = np.full(hours, NEVER)
    np.minimum.at(complete_us, rows["hour_index"].to_numpy()[is_complete], rows["arrival_us"].to_numpy()[is_complete])
    return complete_us


def _building_clocks(
    rows: pd.DataFrame, hours: pd.DataFrame, grace_us: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(hours,) twice: when the building's first reading measured `grace_us` past the hour or later arrived, NEVER where none
    did; and the building's newest arrival."""
    passed_us, newest_us = np.full(len(hours), NEVER), np.empty(len(hours), dtype=np.int64)
    by_building = dict(list(rows[["measured_us", "arrival_us"]].groupby(rows["building_id"], sort=False)))
    for building, index in hours.groupby("building_id", sort=False).indices.items():
        readings = by_building[building].sort_values("measured_us")
        arrivals = readings["arrival_us"].to_numpy()
        # Position i: the first arrival of a reading measured at i or later.
        first_arrival = np.append(np.minimum.accumulate(arrivals[::-1])[::-1], NEVER)
        past_hour = hours["hour_us"].to_numpy()[index] + HOUR_US + grace_us
        passed_us[index] = first_arrival[np.searchsorted(readings["measured_us"].to_numpy(), past_hour)]
        newest_us[index] = arrivals.max()
    return passed_us, newest_us


def _new_revisions(states: pd.DataFrame, hours: pd.DataFrame, clock_us: int) -> pd.DataFrame:
    """The states that differ from the one before them, with their revision and when they became available."""
    states = states.merge(hours, on="hour_index")
    hour_index = states["hour_index"].to_numpy()
    is_first = np.append(True, hour_index[1:] != hour_index[:-1])[: len(hour_index)]
    is_final = np.append(hour_index[1:] != hour_index[:-1], True)[: len(hour_index)]
    values, last = states[VALUES].to_numpy(float), states[[f"last_{name}" for name in VALUES]].to_numpy(float)
    has_last = states["last_us"].notna().to_numpy()
    differs_from_last = ~has_last | ~are_equal(values, last)
    differs = np.where(is_first, differs_from_last, ~are_equal(values, np.roll(values, 1, axis=0)))
    # The appended values and the values computed now for the same moment differ: a record arrived with an older timestamp than
    # records that had been used, or the metadata changed. The corrected values are available only from now on.
    are_stored_values_wrong = (
        is_first & has_last & differs_from_last & (states["at_us"] == states["last_us"]).to_numpy()
    )
    must_be_corrected_now = np.isin(hour_index, hour_index[are_stored_values_wrong])
    is_change = np.where(must_be_corrected_now, is_final & differs_from_last, differs)
    after_last = np.maximum(states["at_us"], np.maximum(clock_us, states["last_us"].fillna(0) + 1000)).astype(np.int64)
    states["available_us"] = np.where(must_be_corrected_now, after_last, states["at_us"])
    changes = states[is_change].copy()
    counted = changes.groupby("hour_index", sort=False).cumcount() + 1
    changes["revision"] = (changes["last_revision"].fillna(0) + counted).astype(np.int64)
    return changes[["building_id", "hour_us", "available_us", "revision", *VALUES]]
