"""The values of an hour as they change with the arrivals of its readings. pandas only; one pass over the arrivals.

Sums are exact integers of a billionth of the unit, so that they do not depend on the order of the readings. A sum is held in two
integers, whole units and billionths, since one would overflow at 9.2e9 units.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

NANO = 1_000_000_000
MAX_IN_NANOS = 9_000_000_000  # whole units that an int64 of billionths can hold
MEANS = ["temperature_c", "humidity_pct", "occupancy"]
MEASURED = ["energy_usage_kwh", *MEANS]
COUNTS = ["readings_seen", "readings_expected"]
IS_CAPPED = "is_capped"  # 1 when a device has reached the number of readings that are used of one hour, else 0
VALUES = [*MEASURED, *COUNTS, IS_CAPPED]

DEVICE = ["hour_index", "device_id"]
READING = [*DEVICE, "measured_us"]


def first_readings(rows: pd.DataFrame, max_readings: int) -> pd.DataFrame:
    """The first `max_readings` of each device in each hour (`hour_index`), numbered in `device_count`. `rows` are
    in the order of arrival."""
    numbered = rows.assign(device_count=rows.groupby(DEVICE, sort=False).cumcount() + 1)
    return numbered[numbered["device_count"] <= max_readings]


def hour_states(rows: pd.DataFrame, max_readings: int) -> pd.DataFrame:
    """VALUES of each hour (`hour_index`) at its `start_us` and at each later arrival (`at_us`), in that order.

    Of the readings of one device and time the one that arrived last is used. `rows` (`first_readings`, with start_us) are in the
    order of arrival.
    """
    rows = rows.sort_values("hour_index", kind="stable", ignore_index=True)
    at_us = np.maximum(rows["start_us"], rows["arrival_us"])
    is_last = ~pd.DataFrame({"hour_index": rows["hour_index"], "at_us": at_us}).duplicated(keep="last")
    counts = pd.DataFrame({
        "readings": ~rows.duplicated(READING),
        "devices": ~rows.duplicated(DEVICE),
        IS_CAPPED: rows["device_count"] == max_readings,
    })  # fmt: skip
    so_far = _running_sums(pd.concat([_changes_by_reading(rows), counts.astype(np.int64)], axis=1), rows["hour_index"])[
        is_last
    ]
    energy, *means = MEASURED
    columns = {"hour_index": rows.loc[is_last, "hour_index"], "at_us": at_us[is_last], energy: _totals(so_far, energy)}
    for name in means:
        columns[name] = _totals(so_far, name) / so_far[f"{name}_count"].replace(0, np.nan)
    columns["readings_seen"] = so_far["readings"].astype(float)
    columns["readings_expected"] = so_far["devices"] * 60 / rows.loc[is_last, "interval_minutes"]
    columns[IS_CAPPED] = (so_far[IS_CAPPED] > 0).astype(float)
    return pd.DataFrame(columns).reset_index(drop=True)


def are_equal(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(rows,): whether all values are equal, NaN equal to NaN."""
    equal: NDArray[np.bool_] = ((a == b) | (np.isnan(a) & np.isnan(b))).all(axis=1)
    return equal


def _changes_by_reading(rows: pd.DataFrame) -> pd.DataFrame:
    """What each reading adds to the sums of its hour: its exact values, without those of the reading that it replaces."""
    exact = {}
    for name in MEASURED:
        nanos = np.rint(rows[name].fillna(0).to_numpy() * NANO).astype(np.int64)
        exact[f"{name}_units"], exact[f"{name}_nanos"] = np.divmod(nanos, NANO)
        exact[f"{name}_count"] = rows[name].notna().to_numpy().astype(np.int64)
    values = pd.DataFrame(exact)
    if rows.duplicated(READING).any():
        values -= values.groupby([rows[name] for name in READING], sort=False).shift(fill_value=0)
    return values


def _running_sums(changes: pd.DataFrame, hour_index: pd.Series) -> pd.DataFrame:
    """The sums within each hour, row by row; the rows of an hour are side by side."""
    return changes.groupby(hour_index, sort=False).cumsum()


def _totals(sums: pd.DataFrame, name: str) -> pd.Series:
    """Sums as floats. Where one int64 can hold the billionths they are divided as a whole, as in every earlier release: a sum
    that differed in its last bit would make a revision."""
    nanos = sums[f"{name}_nanos"]
    units = sums[f"{name}_units"] + nanos // NANO
    is_small = units.abs() < MAX_IN_NANOS
    in_nanos = (units.where(is_small, 0) * NANO + nanos % NANO) / NANO
    return in_nanos.where(is_small, units + nanos % NANO / NANO)
