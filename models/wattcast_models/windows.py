"""Training windows: cut from long hourly series at random origins, then spoilt as inputs will be in use."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wattcast_models.features import CONTEXT_INPUTS, DAY_HOURS, Inputs
from wattcast_models.readings import METADATA, Building

LEAST_HISTORY_HOURS = 7 * DAY_HOURS
FORECAST_ERROR = {"future_temperature_c": 1.5, "future_humidity_pct": 10.0}  # standard deviation a day ahead


@dataclass(frozen=True)
class Origins:
    """Where windows may be cut: `building` numbers and `hour` positions in their series, both (windows,)."""

    building: NDArray[np.int64]
    hour: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.hour)

    def pick(self, rows: NDArray[np.int64]) -> "Origins":
        return Origins(self.building[rows], self.hour[rows])


@dataclass(frozen=True)
class Stretches:
    """Unbroken runs of hours at which windows may begin: of `building` numbers, from `first` on, `hours` long, (runs,)."""

    building: NDArray[np.int64]
    first: NDArray[np.int64]
    hours: NDArray[np.int64]

    @property
    def windows(self) -> int:
        return int(self.hours.sum())

    def sample(self, count: int, rng: np.random.Generator) -> Origins:
        """`count` origins, each hour as likely as any other."""
        end = np.cumsum(self.hours)
        chosen = rng.integers(0, end[-1], count)
        run = np.searchsorted(end, chosen, side="right")
        return Origins(self.building[run], self.first[run] + chosen - (end[run] - self.hours[run]))


def split_by_time(
    buildings: Sequence[Building], *, lead_hours: int, validation_share: float
) -> tuple[Stretches, Stretches]:
    """Where windows for training and for validation begin: the last share of each building's time validates, and no
    training window reaches into it. An origin has a day of energy in the week before it and half a day after it."""
    parts: tuple[list[Stretches], list[Stretches]] = ([], [])
    for number, building in enumerate(buildings):
        seen = np.concatenate([[0], np.cumsum(np.isfinite(building.values[:, 0]))])
        hours = np.arange(LEAST_HISTORY_HOURS, building.hours - DAY_HOURS + 1)
        border = int(building.hours * (1 - validation_share))
        has_past = seen[hours] - seen[hours - LEAST_HISTORY_HOURS] >= 24
        has_future = seen[hours + DAY_HOURS] - seen[hours] >= 12
        is_training = np.minimum(hours + lead_hours, building.hours) <= border
        for kept, into in zip((is_training, hours >= border), parts, strict=True):
            into.append(_runs(number, hours, has_past & has_future & kept))
    return _joined(parts[0]), _joined(parts[1])


def _runs(number: int, hours: NDArray[np.int64], kept: NDArray[np.bool_]) -> Stretches:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], kept.astype(np.int8), [0]])))
    begin, end = edges[::2], edges[1::2]
    return Stretches(np.full(len(begin), number), hours[begin], end - begin)


def _joined(parts: Sequence[Stretches]) -> Stretches:
    empty = [np.empty(0, np.int64)]
    columns = zip(*([part.building, part.first, part.hours] for part in parts), strict=True) if parts else [empty] * 3
    return Stretches(*(np.concatenate(column) for column in columns))


def cut(
    buildings: Sequence[Building], origins: Origins, *, context_hours: int, lead_hours: int
) -> tuple[dict[str, NDArray[np.generic]], NDArray[np.float32]]:
    """The raw inputs of these windows, with the measured weather as future weather, and the energy that followed,
    (n, lead_hours) kWh; NaN before the first and after the last hour of a series.

    The hours before an origin are as they were known there (`Building.known`), those after it as they are known now.
    """
    length = context_hours + lead_hours
    values = np.full((len(origins), length, len(CONTEXT_INPUTS)), np.nan, np.float32)
    for row, (number, hour) in enumerate(zip(origins.building, origins.hour, strict=True)):
        building, origin = buildings[number], int(hour)
        first = max(origin - context_hours, 0)
        known, followed = building.known(first, origin), building.values[origin : origin + lead_hours]
        values[row, context_hours - len(known) : context_hours] = known
        values[row, context_hours : context_hours + len(followed)] = followed
    chosen = [buildings[number] for number in origins.building]
    start = np.array([building.start for building in chosen])
    inputs: dict[str, NDArray[np.generic]] = {
        "origin": (start + origins.hour).astype("datetime64[h]").astype("datetime64[s]"),
        "future_temperature_c": values[:, context_hours:, 1],
        "future_humidity_pct": values[:, context_hours:, 2],
    }
    for name in METADATA:
        inputs[name] = np.array([building.place.get(name, "") for building in chosen], object)
    for column, name in enumerate(CONTEXT_INPUTS):
        inputs[name] = values[:, :context_hours, column]
    return inputs, values[:, context_hours:, 0]


def as_in_use(
    inputs: Inputs, actual: NDArray[np.float32], rng: np.random.Generator
) -> tuple[dict[str, NDArray[np.generic]], NDArray[np.float32]]:
    """A copy as a forecast will meet it: weather forecasts that err, unsteady meters, and parts of random rows missing.

    Missing are future weather (more than half of the rows), each other series (one in five), a gap of up to three
    days, the recent hours (stale), all but the recent days (short history), metadata of a place. Noise makes loads of all
    degrees of steadiness out of few buildings, and keeps the outer quantiles honest on those noisier than any trained on.
    Inputs are scaled by row, so a change of unit or size needs no copies of its own.
    """
    changed = dict(inputs)
    energy = np.array(inputs["energy_usage_kwh"])
    rows, hours = energy.shape
    position = np.arange(hours)[None, :]

    def some(share: float) -> NDArray[np.bool_]:
        return rng.random((rows, 1)) < share

    def any_hour(lowest: int, highest: int) -> NDArray[np.int64]:
        return rng.integers(lowest, highest, (rows, 1))

    unsteady = np.concatenate([energy, actual], axis=1) * _unsteadiness((rows, hours + actual.shape[1]), rng)
    energy, actual = unsteady[:, :hours], unsteady[:, hours:]
    gap_start = any_hour(0, hours)
    gap = (position >= gap_start) & (position < gap_start + any_hour(1, 73))
    is_hidden = (gap | (rng.random((rows, hours), np.float32) < 0.02)) & some(0.1)
    is_hidden |= (position >= hours - any_hour(1, 25)) & some(0.04)
    is_hidden |= (position < hours - any_hour(24, hours)) & some(0.1)
    changed["energy_usage_kwh"] = np.where(is_hidden, np.float32(np.nan), energy)
    for name in CONTEXT_INPUTS[1:]:
        changed[name] = np.where(some(0.2), np.float32(np.nan), inputs[name])
    no_forecast = some(0.6)
    for name, forecast in forecast_weather(inputs, rng).items():
        changed[name] = np.where(no_forecast | some(0.1), np.float32(np.nan), forecast)
    unknown = some(0.05)[:, 0]
    for name in ("country", "closures"):
        changed[name] = np.where(unknown, "", inputs[name])
    return changed, actual


def forecast_weather(inputs: Inputs, rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
    """The future weather of these inputs, as measured, with errors of the size that forecasts have."""
    return {
        name: inputs[name] + _forecast_error(error, inputs[name].shape, rng) for name, error in FORECAST_ERROR.items()
    }


def _unsteadiness(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """Factors of the load, (n, hours): most rows 1, some with noise from hour to hour, some from day to day."""
    rows, hours = shape
    hourly, daily = (
        ((rng.random((rows, 1)) < share) * largest * rng.random((rows, 1)) ** 2).astype(np.float32)
        for share, largest in ((0.4, 0.5), (0.3, 0.4))
    )
    day = (np.arange(hours) + rng.integers(0, DAY_HOURS, (rows, 1))) // DAY_HOURS  # that begins at any hour
    of_day = np.take_along_axis(rng.standard_normal((rows, hours // DAY_HOURS + 2), np.float32), day, axis=1)
    return (1 + hourly * rng.standard_normal(shape, np.float32)) * (1 + daily * of_day)


def _forecast_error(error: float, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """Errors of weather forecasts, (n, leads): of standard deviation `error` a day ahead, growing with the lead, the
    same for hours near each other."""
    rows, leads = shape
    steps = rng.standard_normal((rows, -(-leads // 6) + 1))  # one every six hours
    lasting = rng.standard_normal((rows, 1))
    at = np.arange(leads) / 6
    low = at.astype(int)
    between = steps[:, low] * (1 - (at - low)) + steps[:, low + 1] * (at - low)
    size = error * (0.5 + 0.5 * np.sqrt(np.arange(leads) / DAY_HOURS))
    return np.asarray((0.8 * lasting + 0.6 * between) * size, np.float32)
