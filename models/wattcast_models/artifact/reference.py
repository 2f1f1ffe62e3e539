"""The training reference: the distribution of the inputs that a model was trained on, to detect drift later."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wattcast_models.data.readings import Building
from wattcast_models.features.raw_inputs import CONTEXT_INPUTS
from wattcast_models.time_units import DAY_HOURS, WEEK_HOURS

FORMAT = 1
RELATIVE = ("energy_usage_kwh", "occupancy")  # as multiples of the building's own level, since buildings differ in size
LEVEL_HOURS = 28 * DAY_HOURS
QUANTILE_COUNT = 101
MAX_VALUES = 200_000  # of an input and month, so that memory does not grow with the data
DIGITS = 6


def training_reference(buildings: Iterable[Building]) -> dict[str, Any]:
    """For each input and month of the year (UTC; "all": any month) the quantiles 0, 0.01, ..., 1 of its hourly values.

    Energy and occupancy are the hours of a week divided by the mean of the 28 days before it. An input that no building has, and
    a month with less than a week of hours, are left out.
    """
    parts: dict[tuple[str, str], list[NDArray[np.float64]]] = defaultdict(list)
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for building in buildings:
        for name, months, values in _weeks(building):
            for month in np.unique(months):
                key = (name, str(month))
                if counts[key] < MAX_VALUES:
                    parts[key].append(values[months == month])
                    counts[key] += len(parts[key][-1])
    features: dict[str, dict[str, list[float]]] = {}
    for name in CONTEXT_INPUTS:
        by_month = {month: np.concatenate(weeks) for (input_name, month), weeks in parts.items() if input_name == name}
        by_month = {month: values for month, values in by_month.items() if len(values) >= WEEK_HOURS}
        if by_month:
            by_month["all"] = np.concatenate(list(by_month.values()))
            features[name] = {month: _quantiles(by_month[month]) for month in sorted(by_month, key=_order)}
    return {"format": FORMAT, "relative": list(RELATIVE), "features": features}


def is_reference(value: Any) -> bool:
    """Whether `value` is a reference in the format of `training_reference`."""
    if (
        not isinstance(value, Mapping)
        or value.get("format") != FORMAT
        or not isinstance(value.get("features"), Mapping)
        or not isinstance(value.get("relative"), list)
        or not all("all" in months for months in value["features"].values())
    ):
        return False
    cells = [cell for months in value["features"].values() for cell in months.values()]
    return all(len(cell) == QUANTILE_COUNT and np.isfinite(cell).all() and (np.diff(cell) >= 0).all() for cell in cells)


def _weeks(building: Building) -> Iterator[tuple[str, NDArray[np.int64], NDArray[np.float64]]]:
    """For each input and whole week of a building: the input, the month (1 to 12) of each measured hour, and its value."""
    hours = np.arange(building.start, building.start + building.hours).astype("datetime64[h]")
    months = hours.astype("datetime64[M]").astype(np.int64) % 12 + 1
    for column, name in enumerate(CONTEXT_INPUTS):
        series = np.asarray(building.values[:, column], np.float64)
        first = LEVEL_HOURS if name in RELATIVE else 0
        for start in range(first, building.hours - WEEK_HOURS + 1, WEEK_HOURS):
            week, week_months = series[start : start + WEEK_HOURS], months[start : start + WEEK_HOURS]
            if name in RELATIVE:
                before = series[start - LEVEL_HOURS : start]
                level = before[np.isfinite(before)].mean() if np.isfinite(before).any() else 0.0
                if level <= 0:
                    continue
                week = week / level
            is_measured = np.isfinite(week)
            if is_measured.any():
                yield name, week_months[is_measured], week[is_measured]


def _quantiles(values: NDArray[np.float64]) -> list[float]:
    return [float(f"{value:.{DIGITS}g}") for value in np.quantile(values, np.linspace(0, 1, QUANTILE_COUNT))]


def _order(month: str) -> int:
    return int(month) if month.isdigit() else 13
