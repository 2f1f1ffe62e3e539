"""What the values mean: unit, interval usage or register, and which end of its interval a time stamps."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from wattcast.meter_files.detection.columns import Columns
from wattcast.meter_files.detection.headers import CONTRACT, unit_of
from wattcast.meter_files.mapping import UNITS, UNITS_KW, Choices, Evidence
from wattcast.meter_files.refusals import Ambiguous, FileRefused

MIN_REGISTER_ROWS = 48
MAX_FALLS, MIN_RISES = 0.005, 0.1  # shares of the steps of a register
DAY = pd.Timedelta(days=1)


def unit_evidence(columns: Columns, sample: pd.DataFrame, choices: Choices, file: Path) -> Evidence:
    """The unit of the energy values.

    Raises:
        Ambiguous: the file names none, or its column of units contradicts the header.
        FileRefused: the column of units has several.
    """
    if choices.unit:
        return Evidence("unit", choices.unit, "as requested")
    energy = columns.roles.get("energy_usage_kwh")
    header_units = {unit for name in columns.meters if (unit := unit_of(name))}
    if len(header_units) > 1 and columns.layout == "wide":
        raise FileRefused(
            f"{file.name} has columns in {', '.join(sorted(header_units))}: leave out those that are no meters with --ignore."
        )
    header_unit = energy.unit if energy else next(iter(header_units)) if len(header_units) == 1 else None
    answers: dict[str, object] = {f"--unit {unit}": unit for unit in ("kWh", "Wh", "MWh", "kW", "W")}
    if "unit" in columns.roles:
        texts = {str(cell).strip() for cell in sample[columns.roles["unit"].text].dropna().unique()} - {""}
        units = {unit_of(text) or text for text in texts}
        if len(units) > 1 or units - set(UNITS):
            raise FileRefused(
                f"{file.name} has readings in {', '.join(sorted(units))}: only one unit of energy or power can be read."
            )
        if units and header_unit and units != {header_unit}:
            raise Ambiguous(
                f"{file.name} says {units.pop()} in its column of units, and {header_unit} in its header.",
                "unit",
                answers,
            )
        if units:
            return Evidence("unit", units.pop(), "the column of units")
    if header_unit:
        return Evidence("unit", header_unit, f"the header {energy.text if energy else columns.meters[0]}")
    raise Ambiguous(f"{file.name} does not say the unit of its energy.", "unit", answers)


def quantity_evidence(
    columns: Columns,
    unit: str,
    values: npt.NDArray[np.floating],
    groups: npt.NDArray[np.object_],
    choices: Choices,
    file: Path,
) -> Evidence:
    """Whether values are the usage of intervals or registers. `values` and the group of each are in the order of the file.

    Raises:
        Ambiguous: the header and the values contradict each other.
    """
    if choices.quantity:
        return Evidence("quantity", choices.quantity, "as requested")
    if unit in UNITS_KW:
        return Evidence("quantity", "usage", f"{unit} is power")
    energy = columns.roles.get("energy_usage_kwh")
    falling_never = never_falling(values, groups)
    says_register = energy is not None and energy.is_register
    answers: dict[str, object] = {"--register": "register", "--usage": "usage"}
    if says_register and not falling_never:
        raise Ambiguous(
            f"{file.name}: {energy.text if energy else ''} sounds like a register, but its values fall.",
            "quantity",
            answers,
        )
    if says_register:
        return Evidence("quantity", "register", f"the header {energy.text if energy else ''}, and values never fall")
    if falling_never:
        raise Ambiguous(
            f"{file.name}: the values of {falling_never[0]} never fall: is this a cumulative register?",
            "quantity",
            answers,
        )
    return Evidence("quantity", "usage", "values rise and fall")


def never_falling(values: npt.NDArray[np.floating], groups: npt.NDArray[np.object_]) -> list[str]:
    """The groups whose values rise or stay but hardly ever fall, or the other way round in a file that goes back in time."""
    frame = pd.DataFrame({"group": groups, "value": values}).dropna()
    suspicious = []
    for name, rows in frame.groupby("group", sort=False):
        steps = np.diff(rows["value"].to_numpy(np.float64))
        if len(steps) < MIN_REGISTER_ROWS:
            continue
        rises, falls = float(np.mean(steps > 0)), float(np.mean(steps < 0))
        if min(rises, falls) <= MAX_FALLS and max(rises, falls) >= MIN_RISES:
            suspicious.append(str(name))
    return suspicious


def stamps_evidence(
    columns: Columns, times: pd.Series, minutes: int, *, is_register: bool, has_24: bool, choices: Choices, file: Path
) -> Evidence:
    """Which end of its interval a time stamps. `times` are those that the clock shows, `minutes` the usual step.

    Raises:
        Ambiguous: the file covers whole days only if its times are ends, and no header says which they are.
    """
    if choices.stamps:
        return Evidence("stamps", choices.stamps, "as requested")
    header = columns.roles.get("measured_at")
    if "interval_end" in columns.roles:
        return Evidence("stamps", "end", f"the header {columns.roles['interval_end'].text}")
    if is_register:
        return Evidence("stamps", "end", "a register is read at the end of what it has counted")
    if has_24:
        return Evidence("stamps", "end", "a day ends at 24:00")
    if columns.layout == "days":
        return Evidence("stamps", "start", "the first time of day in the header")
    first, last = times.min(), times.max()
    looks_like_ends = (
        minutes < 24 * 60 and first == first.normalize() + pd.Timedelta(minutes=minutes) and last == last.normalize()
    )
    if looks_like_ends and header is not None and header.text not in CONTRACT:
        raise Ambiguous(
            f"{file.name} begins at {first:%H:%M} and ends at {last:%H:%M}: these may be the ends of intervals.",
            "stamps",
            {"--end-stamps": "end", "--start-stamps": "start"},
        )
    hint = "; it begins and ends as a file of ends does: compare, and see --end-stamps" if looks_like_ends else ""
    return Evidence("stamps", "start", f"nothing says that they are ends{hint}")
