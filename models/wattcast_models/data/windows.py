"""Windows: the origins at which long hourly series may be cut, and the inputs and targets cut there."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wattcast_models.data.readings import METADATA, Building
from wattcast_models.features.raw_inputs import CONTEXT_INPUTS
from wattcast_models.time_units import DAY_HOURS

MIN_HISTORY_HOURS = 7 * DAY_HOURS


@dataclass(frozen=True)
class Origins:
    """Where windows are cut: numbers of buildings and positions in their series."""

    building: NDArray[np.int64]  # (windows,)
    hour: NDArray[np.int64]  # (windows,)

    def __len__(self) -> int:
        return len(self.hour)

    def pick(self, rows: NDArray[np.int64]) -> "Origins":
        return Origins(self.building[rows], self.hour[rows])


@dataclass(frozen=True)
class WindowRanges:
    """Ranges of consecutive hours that may be the origin of a window."""

    building: NDArray[np.int64]  # (ranges,) numbers of buildings
    first: NDArray[np.int64]  # (ranges,) positions in their series
    hours: NDArray[np.int64]  # (ranges,) lengths

    @property
    def windows(self) -> int:
        return int(self.hours.sum())

    def sample(self, count: int, rng: np.random.Generator) -> Origins:
        """`count` origins, with replacement; every hour is equally likely."""
        end = np.cumsum(self.hours)
        drawn = rng.integers(0, end[-1], count)
        row = np.searchsorted(end, drawn, side="right")
        return Origins(self.building[row], self.first[row] + drawn - (end[row] - self.hours[row]))


def split_by_time(
    buildings: Sequence[Building], *, lead_hours: int, validation_share: float
) -> tuple[WindowRanges, WindowRanges]:
    """The origins for training and those for validation, which are in the last share of each building's time.

    No training window reaches into that share. An origin has at least 24 measured hours of energy in the week before it and 12 on
    the day after it.
    """
    training: list[WindowRanges] = []
    validation: list[WindowRanges] = []
    for number, building in enumerate(buildings):
        measured = np.concatenate([[0], np.cumsum(np.isfinite(building.values[:, 0]))])  # hours before a position
        hours = np.arange(MIN_HISTORY_HOURS, building.hours - DAY_HOURS + 1)
        border = int(building.hours * (1 - validation_share))
        has_past = measured[hours] - measured[hours - MIN_HISTORY_HOURS] >= 24
        has_future = measured[hours + DAY_HOURS] - measured[hours] >= 12
        is_training = np.minimum(hours + lead_hours, building.hours) <= border
        training.append(_ranges(number, hours, has_past & has_future & is_training))
        validation.append(_ranges(number, hours, has_past & has_future & (hours >= border)))
    return _concatenated(training), _concatenated(validation)


def _ranges(number: int, hours: NDArray[np.int64], is_origin: NDArray[np.bool_]) -> WindowRanges:
    """The consecutive hours of one building that are origins."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], is_origin.astype(np.int8), [0]])))
    begin, end = edges[::2], edges[1::2]
    return WindowRanges(np.full(len(begin), number), hours[begin], end - begin)


def _concatenated(parts: Sequence[WindowRanges]) -> WindowRanges:
    empty = [np.empty(0, np.int64)]
    columns = zip(*([part.building, part.first, part.hours] for part in parts), strict=True) if parts else [empty] * 3
    return WindowRanges(*(np.concatenate(column) for column in columns))


def cut_windows(
    buildings: Sequence[Building], origins: Origins, *, context_hours: int, lead_hours: int
) -> tuple[dict[str, NDArray[np.generic]], NDArray[np.float32]]:
    """The raw inputs of these windows, and the energy that followed, (n, lead_hours) kWh.

    Hours before an origin are as they were known there (`Building.context_as_known`), hours after it as they are known now. The
    future weather is the measured weather. Values are NaN before the first and after the last hour of a series.
    """
    length = context_hours + lead_hours
    values = np.full((len(origins), length, len(CONTEXT_INPUTS)), np.nan, np.float32)
    for row, (number, hour) in enumerate(zip(origins.building, origins.hour, strict=True)):
        building, origin = buildings[number], int(hour)
        first = max(origin - context_hours, 0)
        context, future = building.context_as_known(first, origin), building.values[origin : origin + lead_hours]
        values[row, context_hours - len(context) : context_hours] = context
        values[row, context_hours : context_hours + len(future)] = future
    building_of_row = [buildings[number] for number in origins.building]
    start = np.array([building.start for building in building_of_row])
    inputs: dict[str, NDArray[np.generic]] = {
        "origin": (start + origins.hour).astype("datetime64[h]").astype("datetime64[s]"),
        "future_temperature_c": values[:, context_hours:, 1],
        "future_humidity_pct": values[:, context_hours:, 2],
    }
    for name in METADATA:
        inputs[name] = np.array([building.metadata.get(name, "") for building in building_of_row], object)
    for column, name in enumerate(CONTEXT_INPUTS):
        inputs[name] = values[:, :context_hours, column]
    return inputs, values[:, context_hours:, 0]
