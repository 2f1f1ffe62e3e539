"""The training reference: how the inputs were distributed that a model learned from, to tell later whether those of today are
like them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wattcast_models.features import CONTEXT_INPUTS
from wattcast_models.readings import Building

FORMAT = 1
RELATIVE = (
    "energy_usage_kwh",
    "occupancy",
)  # of unlike sizes from building to building: as multiples of their own level
WEEK_HOURS, LEVEL_HOURS = 7 * 24, 28 * 24
QUANTILES = 101
MOST_VALUES = 200_000  # of a feature and month, so that memory does not grow with the data
DIGITS = 6


def reference(buildings: Iterable[Building]) -> dict[str, Any]:
    """Of each input and month of the year (UTC; "all": of any) the quantiles 0, 0.01, ..., 1 of its hourly values.

    Energy and occupancy are the hours of a week over the mean of the 28 days before it. An input that no building has, and a
    month without a week of hours, are left out.
    """
    parts: dict[tuple[str, str], list[NDArray[np.float64]]] = defaultdict(list)
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for building in buildings:
        for name, months, values in _weeks(building):
            for month in np.unique(months):
                key = (name, str(month))
                if counts[key] < MOST_VALUES:
                    parts[key].append(values[months == month])
                    counts[key] += len(parts[key][-1])
    features: dict[str, dict[str, list[float]]] = {}
    for name in CONTEXT_INPUTS:
        months_of = {month: np.concatenate(found) for (of, month), found in parts.items() if of == name}
        kept = {month: values for month, values in months_of.items() if len(values) >= WEEK_HOURS}
        if kept:
            kept["all"] = np.concatenate(list(kept.values()))
            features[name] = {month: _quantiles(kept[month]) for month in sorted(kept, key=_order)}
    return {"format": FORMAT, "relative": list(RELATIVE), "features": features}


def is_reference(found: Any) -> bool:
    """Whether this is a reference of the format that is written here."""
    if (
        not isinstance(found, Mapping)
        or found.get("format") != FORMAT
        or not isinstance(found.get("features"), Mapping)
        or not isinstance(found.get("relative"), list)
        or not all("all" in months for months in found["features"].values())
    ):
        return False
    cells = [cell for months in found["features"].values() for cell in months.values()]
    return all(len(cell) == QUANTILES and np.isfinite(cell).all() and (np.diff(cell) >= 0).all() for cell in cells)


def _weeks(building: Building) -> Iterator[tuple[str, NDArray[np.int64], NDArray[np.float64]]]:
    """By input and whole week of a building: the month (1 to 12) of each measured hour, and its values."""
    hours = np.arange(building.start, building.start + building.hours).astype("datetime64[h]")
    months = hours.astype("datetime64[M]").astype(np.int64) % 12 + 1
    for column, name in enumerate(CONTEXT_INPUTS):
        series = np.asarray(building.values[:, column], np.float64)
        first = LEVEL_HOURS if name in RELATIVE else 0
        for start in range(first, building.hours - WEEK_HOURS + 1, WEEK_HOURS):
            week, of = series[start : start + WEEK_HOURS], months[start : start + WEEK_HOURS]
            if name in RELATIVE:
                before = series[start - LEVEL_HOURS : start]
                level = before[np.isfinite(before)].mean() if np.isfinite(before).any() else 0.0
                if level <= 0:
                    continue
                week = week / level
            is_there = np.isfinite(week)
            if is_there.any():
                yield name, of[is_there], week[is_there]


def _quantiles(values: NDArray[np.float64]) -> list[float]:
    return [float(f"{value:.{DIGITS}g}") for value in np.quantile(values, np.linspace(0, 1, QUANTILES))]


def _order(month: str) -> int:
    return int(month) if month.isdigit() else 13
