"""Conversion of the rows of a file, read as its mapping says, to readings of the contract."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from wattcast.meter_files.detection.cells import (
    TimeCells,
    clock_cells,
    minutes_of_numbers,
    moments,
    numbers_of_day,
)
from wattcast.meter_files.detection.headers import header_of
from wattcast.meter_files.detection.numbers import bad_numbers, numbers
from wattcast.meter_files.intervals import (
    LONGER_THAN_AN_HOUR,
    REPEATED,
    SNAPPED,
    device_minutes,
    is_longer_than_an_hour,
    snapped,
)
from wattcast.meter_files.local_times import UtcTimes, midnights, utc_times, zone_of
from wattcast.meter_files.mapping import CONTRACT_COLUMNS, FEATURES, UNITS_KW, UNITS_KWH, Mapping
from wattcast.meter_files.refusals import Ambiguous, FileRefused, bad_row
from wattcast.meter_files.registers import interval_usage
from wattcast.meter_files.rows import groups_of, long_rows, row_times, seconds

SKIPPED = "rows that cannot be read and were left out"
NO_ENERGY = "rows without energy"
SECONDS_OF_DAY = 86_400
MAX_SKIPPED_SHARE = 0.5
MAX_CONFLICTS_SHARE = 0.1  # of times with several values: a feed with corrections has few


@dataclass(frozen=True)
class Readings:
    """Readings in the columns of the contract, `measured_at` in UTC at the start of the interval, sorted by device and time.

    `problems` counts what was left out or changed, by a sentence. `minutes` is the interval by building.
    """

    frame: pd.DataFrame
    problems: Counter[str]
    minutes: dict[str, int]


def streamed(raw: pd.DataFrame, mapping: Mapping, file: Path) -> pd.DataFrame:
    """The readings of some rows of a file whose mapping is streamable, in their order, with the columns that the file has.

    Raises:
        FileRefused: a row cannot be read.
    """
    rows, _ = _readable(raw, mapping, file)
    times = row_times(rows, mapping.date_order, file, may_skip=mapping.skip_bad_rows)
    _check_zones(times, rows, mapping, file)
    readings = _contract(rows, times.utc, _energy(rows, mapping, file), mapping, file)
    return readings[~groups_of(readings).isin(mapping.left_out)] if mapping.left_out else readings


def converted(raw: pd.DataFrame, mapping: Mapping, file: Path) -> Readings:
    """The readings of all rows of a file.

    Raises:
        FileRefused: a row cannot be read, or intervals are needed and unknown.
        Ambiguous: local times do not exist in the zone.
    """
    rows, problems = _readable(raw, mapping, file)
    times = row_times(rows, mapping.date_order, file, may_skip=mapping.skip_bad_rows)
    if mapping.skip_bad_rows and np.isnan(times.local).any():
        is_time = ~np.isnan(times.local)
        problems[SKIPPED] += int((~is_time).sum())
        if problems[SKIPPED] > MAX_SKIPPED_SHARE * len(raw):
            raise FileRefused(f"{file.name}: {problems[SKIPPED]} of {len(raw)} rows cannot be read; see --preview.")
        rows, times = rows[is_time], TimeCells(times.local[is_time], times.offset_minutes[is_time])
    _check_zones(times, rows, mapping, file)
    groups = groups_of(rows).reset_index(drop=True)
    utc = _utc(rows, times, groups, mapping, problems).reset_index(drop=True)
    readings = _contract(rows, utc, _energy(rows, mapping, file), mapping, file)
    return _by_interval(readings, groups, mapping, problems, file)


def _readable(raw: pd.DataFrame, mapping: Mapping, file: Path) -> tuple[pd.DataFrame, Counter[str]]:
    """Rows by role; with `skip_bad_rows` without those whose id is missing or whose energy is no number."""
    if missing := [name for name in (*mapping.columns.values(), *mapping.meters) if name not in raw]:
        raise FileRefused(f"{file.name} has no column {missing[0]}: it has {', '.join(map(str, raw.columns))}.")
    rows = long_rows(
        raw, layout=mapping.layout, columns=mapping.columns, meters=mapping.meters, building=mapping.building
    )
    has_id = rows["building_id"].notna().to_numpy()
    if not has_id.all() and not mapping.skip_bad_rows:
        raise bad_row(
            f"{file.name} has rows without measured_at or building_id, such as line {rows.index[~has_id][0]}."
        )
    is_bad = ~has_id | (bad_numbers(rows["energy_usage_kwh"], mapping.decimal) if mapping.skip_bad_rows else False)
    if not is_bad.any():
        return rows, Counter()
    return rows[~is_bad], Counter({SKIPPED: int(is_bad.sum())})


def _check_zones(times: TimeCells, rows: pd.DataFrame, mapping: Mapping, file: Path) -> None:
    if mapping.timezone is None and times.is_naive.any():
        raise Ambiguous(
            f"{file.name} has times without a zone, such as line {rows.index[times.is_naive][0]}.", "timezone",
            option="--timezone ZONE",
        )  # fmt: skip


def _utc(
    rows: pd.DataFrame, times: TimeCells, groups: pd.Series, mapping: Mapping, problems: Counter[str]
) -> pd.Series:
    """UTC times of rows, not yet moved to the start of the interval."""
    if mapping.timezone is None:
        return times.utc
    local = moments(times.local)
    are_ends = mapping.stamps == "end"
    if mapping.layout == "days" and are_ends:
        local = local.where(clock_cells(rows["time_of_day"]) != 0, local + pd.Timedelta(days=1))
    values = numbers_of_day(rows["time_of_day"]) if "time_of_day" in rows else None
    if values is not None:
        counted = _counted_from_midnight(local, values, groups, mapping.timezone, are_ends=are_ends)
        if counted is not None:
            return counted
    if not are_ends:
        result = utc_times(local, groups, mapping.timezone, are_ends=False)
        problems.update(result.problems)
        return result.times
    return _ends(local, groups, mapping, problems)


def _ends(local: pd.Series, groups: pd.Series, mapping: Mapping, problems: Counter[str]) -> pd.Series:
    """UTC of the ends of intervals. Some files write the end that the clock shows, others add the interval to the start on the
    clock: the reading with fewer repeated times is right."""
    zone = mapping.timezone or "UTC"
    minutes = pd.to_timedelta(device_minutes(local, groups, mapping.interval_minutes), unit="min")
    candidates: list[UtcTimes] = []
    refusals: list[Ambiguous] = []
    for shift in (minutes * 0, minutes):
        try:
            result = utc_times(local - shift, groups, zone, are_ends=not shift.any())
        except Ambiguous as refusal:
            refusals.append(refusal)
        else:
            candidates.append(UtcTimes(result.times + shift, result.problems))
    if not candidates:
        raise refusals[0]
    best = min(candidates, key=lambda candidate: _repeats(candidate.times, groups))
    problems.update(best.problems)
    return best.times


def _repeats(times: pd.Series, groups: pd.Series) -> int:
    return int(pd.DataFrame({"group": groups.to_numpy(), "time": times.to_numpy()}).duplicated().sum())


def _counted_from_midnight(
    local: pd.Series, values: npt.NDArray[np.float64], groups: pd.Series, timezone: str, *, are_ends: bool
) -> pd.Series | None:
    """UTC where the intervals of a day of 23 or 25 hours are counted through; None where no day has other than 24 hours, or
    its numbers are those of the clock."""
    zone, first = zone_of(timezone), 1 if are_ends else 0
    interval_s = 60.0 * minutes_of_numbers(values)
    elapsed = pd.Series(pd.to_timedelta(values * interval_s, unit="s"), index=local.index)
    day = local - elapsed
    midnight = midnights(day, zone)
    length = seconds(midnights(day + pd.Timedelta(days=1), zone) - midnight)
    is_usual = length == SECONDS_OF_DAY
    last = (
        pd.DataFrame({"group": groups, "day": day, "value": values}).groupby(["group", "day"])["value"].transform("max")
    )
    is_counted = (last - first + 1) * interval_s == length
    if not is_counted[~is_usual].any():
        return None
    by_clock = utc_times(local.where(is_usual, day), groups, timezone, are_ends=are_ends).times
    return by_clock.where(is_usual, midnight + elapsed)


def _energy(rows: pd.DataFrame, mapping: Mapping, file: Path) -> npt.NDArray[np.floating]:
    values = numbers(rows["energy_usage_kwh"], mapping.decimal, file)
    factor = (UNITS_KWH | UNITS_KW)[mapping.unit]
    return values if factor == 1 else values.astype(np.float64) * factor


def _contract(
    rows: pd.DataFrame, utc: pd.Series, energy: npt.NDArray[np.floating], mapping: Mapping, file: Path
) -> pd.DataFrame:
    """Rows in the columns of the contract; a feature that the file lacks is null, a device that it lacks is left out."""
    columns: dict[str, object] = {"building_id": rows["building_id"].to_numpy(object)}
    if "device_id" in rows:
        columns["device_id"] = rows["device_id"].to_numpy(object)
    columns["measured_at"] = pd.DatetimeIndex(utc, tz="UTC")
    for name in FEATURES:
        if name == "energy_usage_kwh":
            columns[name] = energy
        elif name in rows:
            values = numbers(rows[name], mapping.decimal, file)
            is_fahrenheit = name == "temperature_c" and header_of(mapping.columns[name]).is_fahrenheit
            columns[name] = (values - 32) / 1.8 if is_fahrenheit else values
        else:
            columns[name] = np.full(len(rows), np.nan, np.float32)
    return pd.DataFrame(columns)


def _by_interval(
    readings: pd.DataFrame, groups: pd.Series, mapping: Mapping, problems: Counter[str], file: Path
) -> Readings:
    """Readings at the start of their intervals, with the energy of the interval."""
    rows = _in_order(readings.assign(group=groups.to_numpy()), mapping, problems, file)
    if mapping.quantity == "register":
        interval = pd.to_timedelta(rows["minutes"], unit="min")
        usage = interval_usage(rows["energy_usage_kwh"], rows["measured_at"], rows["group"], interval)
        problems.update(usage.problems)
        rows["energy_usage_kwh"] = usage.energy
        rows = rows[rows["energy_usage_kwh"].notna()]
    elif mapping.unit in UNITS_KW:
        rows["energy_usage_kwh"] = rows["energy_usage_kwh"] * rows["minutes"] / 60
    is_long = is_longer_than_an_hour(rows)
    problems[LONGER_THAN_AN_HOUR] += int(is_long.sum())
    rows = rows[~is_long]
    if rows.empty:
        raise FileRefused(f"{file.name} has no readings of an hour or less: {'; '.join(+problems)}.")
    if mapping.stamps == "end":
        rows = rows.assign(measured_at=rows["measured_at"] - pd.to_timedelta(rows["minutes"], unit="min"))
    problems[NO_ENERGY] += int(rows["energy_usage_kwh"].isna().sum())
    by_building = rows.groupby("building_id")["minutes"].min()
    minutes = {str(name): int(value) for name, value in by_building.items()}
    frame = rows.reindex(columns=[name for name in CONTRACT_COLUMNS if name in rows or name != "device_id"])
    return Readings(frame.reset_index(drop=True), +problems, minutes)


def _in_order(rows: pd.DataFrame, mapping: Mapping, problems: Counter[str], file: Path) -> pd.DataFrame:
    """Rows by device and time, each once, with the minutes of their interval and with times at its begin or end.

    Raises:
        Ambiguous, FileRefused: so many times occur with several values that a column of devices seems to be missing.
    """
    minutes = device_minutes(rows["measured_at"], rows["group"], mapping.interval_minutes)
    times, problems[SNAPPED] = snapped(rows["measured_at"], minutes)
    rows = rows.assign(measured_at=times, minutes=minutes)
    rows = rows.sort_values(["group", "measured_at"], kind="stable", ignore_index=True)
    is_repeated = rows.duplicated(["group", "measured_at"], keep="last")
    problems[REPEATED] += int(is_repeated.sum())
    if is_repeated.any():
        _check_repeated(rows, mapping, file)
    return rows[~is_repeated].reset_index(drop=True)


def _check_repeated(rows: pd.DataFrame, mapping: Mapping, file: Path) -> None:
    by_time = rows.groupby(["group", "measured_at"])["energy_usage_kwh"].agg(["min", "max"])
    conflicts = int((by_time["max"] > by_time["min"]).sum())
    if conflicts <= max(MAX_CONFLICTS_SHARE * len(by_time), 1):
        return
    question = f"{file.name} has {conflicts:,} times with several values: is a column of devices missing?"
    answers: dict[str, object] = {
        f"--map device_id={header!r}": {"device_id": header}
        for header in mapping.ignored
        if "device_id" not in mapping.columns
    }
    if answers:
        raise Ambiguous(question, "columns", answers)
    raise FileRefused(question)
