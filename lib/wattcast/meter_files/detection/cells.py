"""The times in the cells of a column, whatever their type: texts, times with or without a zone, or numbers since 1970."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from wattcast.meter_files.detection.stamps import (
    DAY_S,
    EPOCH_UNITS,
    Stamp,
    epoch_unit,
    local_seconds,
    stamp,
    time_of_day,
)
from wattcast.meter_files.mapping import DateOrder
from wattcast.meter_files.refusals import FileRefused, bad_row

Floats = npt.NDArray[np.float64]
MAX_NUMBER_OF_DAY = 100  # the 25 hours of the longest day in quarter hours


@dataclass(frozen=True)
class TimeCells:
    """Times by row: `local` seconds since 1970 on the clock that is shown, and the offset of that clock from UTC in minutes,
    NaN where the time has none. `local` is NaN where the cell is no time."""

    local: Floats
    offset_minutes: Floats

    @property
    def is_naive(self) -> npt.NDArray[np.bool_]:
        return np.isnan(self.offset_minutes) & ~np.isnan(self.local)

    @property
    def utc(self) -> pd.Series:
        """Times in UTC without a zone, taken as UTC where they have no offset."""
        return moments(self.local - 60 * np.nan_to_num(self.offset_minutes))


def moments(seconds: Floats) -> pd.Series:
    """Times without a zone of seconds since 1970, to the microsecond; NaT for NaN."""
    micros = np.round(np.nan_to_num(seconds) * 1e6).astype(np.int64).astype("datetime64[us]")
    return pd.Series(micros).mask(np.isnan(seconds))


def _seconds(times: pd.Series) -> Floats:
    seconds = times.to_numpy("datetime64[us]").astype(np.int64) / 1e6
    return np.where(times.isna(), np.nan, seconds)


def distinct_stamps(cells: pd.Series) -> list[Stamp]:
    """The different texts of a column that are times, in the order of their first occurrence."""
    if cells.dtype.kind != "O":
        return []
    texts = (cell for cell in pd.unique(cells) if isinstance(cell, str))
    return [one for one in map(stamp, texts) if one is not None]


def time_cells(cells: pd.Series, order: DateOrder) -> TimeCells:
    """The times in a column."""
    if isinstance(cells.dtype, pd.DatetimeTZDtype):
        utc = cells.dt.tz_convert("UTC").dt.tz_localize(None)
        return TimeCells(_seconds(utc), np.where(utc.isna(), np.nan, 0.0))
    if cells.dtype.kind == "M":
        return TimeCells(_seconds(cells), np.full(len(cells), np.nan))
    if unit := epoch_of(cells):
        seconds = pd.to_numeric(cells, errors="coerce").to_numpy(np.float64, na_value=np.nan) / EPOCH_UNITS[unit]
        return TimeCells(seconds, np.where(np.isnan(seconds), np.nan, 0.0))
    codes, distinct = pd.factorize(cells.astype(object), use_na_sentinel=True)
    local, offsets = _distinct_times(list(distinct), order)
    at = np.where(codes < 0, len(distinct), codes)
    return TimeCells(np.append(local, np.nan)[at], np.append(offsets, np.nan)[at])


def _distinct_times(distinct: Sequence[object], order: DateOrder) -> tuple[Floats, Floats]:
    stamps = [stamp(cell) if isinstance(cell, str) else None for cell in distinct]
    local = local_seconds(stamps, order)
    offsets = np.array([np.nan if one is None or one.offset_minutes is None else one.offset_minutes for one in stamps])
    for row, cell in enumerate(distinct):
        if isinstance(cell, datetime):
            local[row] = round(pd.Timestamp(cell.replace(tzinfo=None)).timestamp(), 3)
            zone_offset = cell.utcoffset()
            offsets[row] = zone_offset.total_seconds() / 60 if zone_offset is not None else np.nan
        elif isinstance(cell, date):
            local[row] = pd.Timestamp(cell).timestamp()
    return local, offsets.astype(np.float64)


def epoch_of(cells: pd.Series) -> str | None:
    """The unit of a column of numbers that count from 1970; None if it has other values."""
    if cells.dtype.kind in "iuf":
        return epoch_unit(cells.dropna().astype(float))
    if cells.dtype.kind != "O":
        return None
    texts = cells.dropna().astype(object)
    is_number = all(isinstance(cell, (int, float)) or (isinstance(cell, str) and _is_count(cell)) for cell in texts)
    return epoch_unit(texts.astype(float)) if len(texts) and is_number else None


def _is_count(text: str) -> bool:
    return len(text.strip()) >= 9 and text.strip().replace(".", "", 1).isdigit()


def clock_cells(cells: pd.Series) -> Floats:
    """Seconds of the day of times of day such as 00:15, 24:00 or 1:15 PM; NaN where a cell is none."""
    codes, distinct = pd.factorize(cells.astype(object), use_na_sentinel=True)
    seconds = np.array([_clock(cell) for cell in distinct] + [np.nan], np.float64)
    return np.asarray(seconds[np.where(codes < 0, len(distinct), codes)])


def _clock(cell: object) -> float:
    if isinstance(cell, datetime):
        cell = cell.time()
    if isinstance(cell, time):
        return round(cell.hour * 3600 + cell.minute * 60 + cell.second + cell.microsecond / 1e6, 0)
    if isinstance(cell, pd.Timedelta):
        return cell.total_seconds()
    seconds = time_of_day(cell) if isinstance(cell, str) else None
    return np.nan if seconds is None else float(seconds)


def numbers_of_day(cells: pd.Series) -> Floats | None:
    """The numbers of intervals of the day, such as hours 1 to 24; None where a cell is no such number."""
    values = pd.to_numeric(cells.astype(object), errors="coerce").to_numpy(np.float64)
    is_number = (values == np.round(values)) & (values >= 0) & (values <= MAX_NUMBER_OF_DAY)
    return values if len(values) and bool(is_number.all()) else None


def minutes_of_numbers(values: Floats) -> int:
    """The minutes of the intervals that are numbered: 60 up to 25 in a day, 30 up to 50, else 15."""
    return 60 if values.max() <= 25 else 30 if values.max() <= 50 else 15


def refuse_times(cells: pd.Series, is_wrong: npt.NDArray[np.bool_], file: Path) -> None:
    """Raises FileRefused, or Ambiguous where the row could be left out, with the first cell that is no time."""
    line, cell = cells.index[is_wrong][0], cells[is_wrong].iloc[0]
    if isinstance(cell, (int, float, np.number)):
        raise FileRefused(
            f"{file.name}, line {line}: {cells.name} must be times, or seconds, ms, us or ns since 1970 in the years 2000 to "
            f"2199, but is {cell}."
        )
    raise bad_row(f"{file.name}, line {line}: {cells.name} contains {cell!r}, which is not a time.")


def has_midnight_as_24(cells: pd.Series) -> bool:
    """Whether a time of a column of texts is written as 24:00."""
    return any(one.seconds == DAY_S for one in distinct_stamps(cells))
