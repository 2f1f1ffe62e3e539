"""Which column has which role, and whether rows are readings, times of several meters, or days."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from wattcast.meter_files.detection.cells import clock_cells, distinct_stamps, epoch_of, numbers_of_day
from wattcast.meter_files.detection.headers import CONTRACT, Header, header_of, is_never_usage, likely_name, unit_of
from wattcast.meter_files.detection.numbers import is_missing
from wattcast.meter_files.detection.stamps import time_of_day
from wattcast.meter_files.mapping import TIME_ROLES, Choices, Layout
from wattcast.meter_files.refusals import Ambiguous, FileRefused
from wattcast.meter_files.table import Table

MIN_TIMES_OF_DAY = 20  # columns that name a time of day, in a table with a row per day
SURE_SHARE = 0.9


@dataclass(frozen=True)
class Columns:
    """The header of each role, the headers of a column per meter or time of day, and those that are not used."""

    layout: Layout
    roles: dict[str, Header]
    meters: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


def columns_of(table: Table, sample: pd.DataFrame, choices: Choices) -> Columns:
    """The roles of the columns of a table.

    Raises:
        FileRefused: a mapped column does not exist, no column has the times, or one is misspelt.
        Ambiguous: several columns may have the same role, or which has the energy is open.
    """
    for role, header in choices.columns.items():
        if header not in table.columns:
            raise FileRefused(
                f"{table.file.name} has no column {header} for {role}: it has {', '.join(table.columns)}."
            )
    mapped = set(choices.columns.values())
    headers = [header_of(name) for name in table.columns if name not in mapped and name not in choices.ignored]
    days = [header.text for header in headers if _is_time_of_day(header.text)]
    is_by_day = choices.layout == "days" or (choices.layout is None and len(days) >= MIN_TIMES_OF_DAY)
    if is_by_day and not days:
        raise FileRefused(f"{table.file.name} has no columns that are named by a time of day.")
    if is_by_day:
        headers = [header for header in headers if header.text not in days]
    roles = {header.role: header for header in _unique(table, headers, choices) if header.role}
    for role, name in choices.columns.items():
        roles[role] = replace(header_of(name), role=role, unit=unit_of(name) if role == "energy_usage_kwh" else None)
    roles = _times(roles, sample, table)
    unknown = [header.text for header in headers if header.text not in {used.text for used in roles.values()}]
    if is_by_day:
        return Columns("days", {**roles, **_without_energy(roles)}, tuple(days), tuple(unknown))
    return _long_or_wide(table, sample, choices, roles, unknown)


def _without_energy(roles: dict[str, Header]) -> dict[str, Header]:
    return {role: header for role, header in roles.items() if role != "energy_usage_kwh"}


def _is_time_of_day(header: str) -> bool:
    text = header.strip()
    if text.upper().startswith("H") and text[1:].isdigit():
        return int(text[1:]) <= 25
    return time_of_day(text) is not None or (text.isdigit() and int(text) <= 100)


def _unique(table: Table, headers: Sequence[Header], choices: Choices) -> list[Header]:
    """The headers with a role, one for each: a name of the contract before other words."""
    chosen: dict[str, Header] = {}
    for header in headers:
        role = header.role
        if role is None or role in choices.columns:
            continue
        before = chosen.get(role)
        if before is None or (header.text in CONTRACT and before.text not in CONTRACT) or header.text == "measured_at":
            chosen[role] = header
        elif before.text in CONTRACT:
            continue
        elif choices.layout != "wide":
            names = [item.text for item in headers if item.role == role]
            raise Ambiguous(
                f"{table.file.name} has several columns that may be {role}: {', '.join(names)}.",
                "columns",
                {f"--map {role}={name!r}": {role: name} for name in names},
            )
    return list(chosen.values())


def _times(roles: dict[str, Header], sample: pd.DataFrame, table: Table) -> dict[str, Header]:
    """The roles with one way to tell the time: a time, a date with a time of day, or a date."""
    roles = dict(roles)
    if "date" in roles and "time_of_day" not in roles:
        clocks = [
            role for role in ("measured_at", "interval_end") if role in roles and _is_clock(sample[roles[role].text])
        ]
        if clocks:
            roles["time_of_day"] = replace(roles[clocks[0]], is_end=clocks[0] == "interval_end")
            roles = {role: header for role, header in roles.items() if role not in clocks}
    if "measured_at" in roles:
        roles.pop("date", None)
        roles.pop("time_of_day", None)
        roles.pop("interval_end", None)
    elif "interval_end" in roles and not ({"date", "time_of_day"} <= set(roles)):
        roles.pop("date", None)
        roles.pop("time_of_day", None)
    else:
        roles.pop("interval_end", None)
    for role in ("time_of_day", "date"):
        alone = {"time_of_day", "date"} & set(roles) == {role}
        if alone and _has_whole_times(sample[roles[role].text]):
            roles["measured_at"] = roles.pop(role)
    if not set(roles) & set(TIME_ROLES):
        raise FileRefused(
            f"{table.file.name} lacks the column measured_at (or timestamp); it has {', '.join(table.columns)}. Name it with "
            "--map measured_at=HEADER."
        )
    if "time_of_day" in roles and "date" not in roles:
        raise FileRefused(
            f"{table.file.name} has times of day without dates: name their column with --map date=HEADER."
        )
    return roles


def _is_clock(cells: pd.Series) -> bool:
    present = cells[~is_missing(cells)]
    is_numbered = numbers_of_day(present) is not None
    return len(present) > 0 and (is_numbered or float(np.mean(~np.isnan(clock_cells(present)))) > SURE_SHARE)


def _has_whole_times(cells: pd.Series) -> bool:
    """Whether the cells have a date and a time of day."""
    if cells.dtype.kind == "M" or isinstance(cells.dtype, pd.DatetimeTZDtype) or epoch_of(cells):
        return True
    stamps = distinct_stamps(cells)
    if stamps:
        return not all(one.is_date_only for one in stamps)
    return any(hasattr(cell, "hour") and hasattr(cell, "year") for cell in cells.dropna().head(100))


def _long_or_wide(
    table: Table, sample: pd.DataFrame, choices: Choices, roles: dict[str, Header], unknown: list[str]
) -> Columns:
    numeric = [name for name in unknown if _is_numeric(sample[name]) and not is_never_usage(name)]
    named = [header_of(name) for name in table.columns if name not in choices.ignored]
    if choices.layout == "wide" or (choices.layout is None and "energy_usage_kwh" not in roles and len(numeric) > 1):
        meters = (
            [header.text for header in named if header.role == "energy_usage_kwh"] if choices.layout == "wide" else []
        )
        wide = tuple(
            name for name in table.columns if name in {*numeric, *meters} and name not in choices.columns.values()
        )
        if not wide:
            raise FileRefused(f"{table.file.name} has no column of numbers that could be a meter.")
        return Columns("wide", _without_energy(roles), wide, tuple(set(unknown) - set(wide)))
    if "energy_usage_kwh" not in roles:
        _refuse_misspelt(table, roles, unknown)
        if len(numeric) == 1:
            answers: dict[str, object] = {f"--map energy_usage_kwh={numeric[0]!r}": {"energy_usage_kwh": numeric[0]}}
            raise Ambiguous(
                f"{table.file.name} lacks the column energy_usage_kwh; {numeric[0]} may be it.", "columns", answers
            )
        raise FileRefused(
            f"{table.file.name} lacks the column energy_usage_kwh; it has {', '.join(table.columns)}. Name it with --map "
            "energy_usage_kwh=HEADER."
        )
    _refuse_misspelt(table, roles, unknown)
    return Columns("long", roles, (), tuple(unknown))


def _is_numeric(cells: pd.Series) -> bool:
    present = cells[~is_missing(cells)].head(1000)
    if pd.api.types.is_numeric_dtype(cells.dtype):
        return len(present) > 0
    is_number = present.map(lambda cell: isinstance(cell, (int, float)) or _looks_numeric(str(cell)))
    return len(present) > 0 and float(is_number.mean()) > SURE_SHARE


def _looks_numeric(text: str) -> bool:
    digits = text.strip().lstrip("+-").replace(",", "").replace(".", "")
    return digits.isdigit()


def _refuse_misspelt(table: Table, roles: dict[str, Header], unknown: list[str]) -> None:
    for name in unknown:
        likely = likely_name(name)
        role = "measured_at" if likely == "timestamp" else likely
        if role and role not in roles:
            raise Ambiguous(
                f"{table.file.name} has the unknown column {name}, which seems to mean {likely}.",
                "columns",
                {f"--map {role}={name!r}": {role: name}},
                f"--ignore {name!r}",
            )
