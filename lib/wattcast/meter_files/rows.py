"""The rows of a table as one row per reading, in columns named by their role, with their times still as the file has them."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from wattcast.meter_files.detection.cells import (
    TimeCells,
    clock_cells,
    minutes_of_numbers,
    numbers_of_day,
    refuse_times,
    time_cells,
)
from wattcast.meter_files.mapping import DateOrder, Layout
from wattcast.meter_files.refusals import bad_row

UNIT_IN_BRACKETS = re.compile(r"\s*[(\[](kWh|Wh|MWh|kW|MW|W)[)\]]\s*$", re.IGNORECASE)


def long_rows(
    raw: pd.DataFrame, *, layout: Layout, columns: Mapping[str, str], meters: Sequence[str], building: str | None
) -> pd.DataFrame:
    """One row per reading, in columns named by role; the index is still the line. Ids are text without blanks around them,
    None where they are missing; a wide table has a building per column. With `building`, all rows are of that building, and
    ids of buildings become devices."""
    rows = raw[list(columns.values())].set_axis(list(columns), axis="columns")
    if layout == "wide":
        id_name = "device_id" if building else "building_id"
        parts = [rows.assign(energy_usage_kwh=raw[name]) for name in meters]
        for part, name in zip(parts, meters, strict=True):
            part[id_name] = meter_id(name)
        rows = pd.concat(parts)
    elif layout == "days":
        rows = rows.rename(columns={"measured_at": "date"})
        parts = [rows.assign(time_of_day=name.upper().removeprefix("H"), energy_usage_kwh=raw[name]) for name in meters]
        rows = pd.concat(parts).sort_index(kind="stable")
    for name in ("building_id", "device_id"):
        if name in rows:
            rows[name] = _ids(rows[name])
    return _of_building(rows, building)


def _of_building(rows: pd.DataFrame, building: str | None) -> pd.DataFrame:
    if building and "building_id" in rows and rows["building_id"].nunique() > 1:
        ids = rows["building_id"]
        rows["device_id"] = ids + " " + rows["device_id"].fillna("") if "device_id" in rows else ids
    if building or "building_id" not in rows:
        rows["building_id"] = building
    return rows


def meter_id(header: str) -> str:
    """The name of a meter in the header of its column: without a unit in brackets."""
    return UNIT_IN_BRACKETS.sub("", header).strip()


def _ids(cells: pd.Series) -> pd.Series:
    if pd.api.types.is_float_dtype(cells.dtype) and (cells.dropna() % 1 == 0).all():
        cells = cells.astype("Int64")
    codes, distinct = pd.factorize(cells, use_na_sentinel=True)
    ids = np.array([str(cell).strip() or None for cell in distinct] + [None], object)
    return pd.Series(ids[codes], index=cells.index, dtype=object)


def groups_of(rows: pd.DataFrame) -> pd.Series:
    """The device of each row, as one text."""
    if "device_id" not in rows:
        return rows["building_id"].astype(str)
    return rows["building_id"].astype(str) + "\0" + rows["device_id"].astype(str)


def row_times(rows: pd.DataFrame, order: DateOrder, file: Path, *, may_skip: bool) -> TimeCells:
    """The time of each row as its clock shows it. NaN where it is missing, or no time and `may_skip`.

    Raises:
        FileRefused: a cell is no time.
    """
    role = next(name for name in ("measured_at", "interval_end", "date") if name in rows)
    cells = rows[role]
    times = time_cells(cells, order)
    is_wrong = np.isnan(times.local)
    if role == "date" and "time_of_day" in rows:
        seconds = day_seconds(rows["time_of_day"])
        is_wrong |= np.isnan(seconds)
        times = TimeCells(np.floor(times.local / 86_400) * 86_400 + seconds, times.offset_minutes)
    if is_wrong.any() and not may_skip:
        blank = cells.isna() | (cells.astype(str).str.strip() == "")
        if (is_wrong & blank.to_numpy()).any():
            line = rows.index[is_wrong & blank.to_numpy()][0]
            raise bad_row(f"{file.name} has rows without {role} or building_id, such as line {line}.")
        is_date_wrong = is_wrong & np.isnan(time_cells(cells, order).local)
        named = cells if is_date_wrong.any() else rows["time_of_day"]
        refuse_times(named.rename(role if is_date_wrong.any() else "time_of_day"), is_wrong, file)
    return times


def day_seconds(cells: pd.Series) -> npt.NDArray[np.float64]:
    """Seconds since midnight of times of day, or of the numbers of the intervals of a day."""
    values = numbers_of_day(cells)
    return clock_cells(cells) if values is None else values * 60.0 * minutes_of_numbers(values)


def usual_minutes(times: pd.Series, groups: pd.Series) -> pd.Series:
    """The usual minutes between the readings of each row's device; NaN where it has one reading. Rows in any order."""
    codes, names = pd.factorize(groups)
    frame = pd.DataFrame({"group": codes, "time": times.to_numpy("datetime64[us]")}).dropna().drop_duplicates()
    frame = frame.sort_values(["group", "time"], kind="stable")
    minutes = (seconds_between(frame["time"]) / 60).where(frame["group"].eq(frame["group"].shift()))
    rounded = minutes.where(minutes < 1, minutes.round())
    counts = pd.DataFrame({"group": frame["group"], "minutes": rounded}).dropna().value_counts().reset_index()
    usual = counts.drop_duplicates("group").set_index("group")["minutes"]
    by_code = usual.reindex(range(len(names))).to_numpy(np.float64)
    return pd.Series(by_code[codes], index=groups.index)


def seconds_between(times: pd.Series) -> pd.Series:
    """The seconds from the row before to each row; NaN in the first."""
    return seconds(times.diff())


def seconds(durations: pd.Series) -> "pd.Series[float]":
    """Durations in seconds; NaN for NaT."""
    micros = durations.to_numpy("timedelta64[us]").astype(np.float64)
    return pd.Series(np.where(durations.isna(), np.nan, micros / 1e6), index=durations.index)
