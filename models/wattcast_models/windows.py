"""Training windows: cut from long hourly series at random origins, with parts hidden as they will be missing in use."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wattcast_models.features import CONTEXT_INPUTS, Inputs
from wattcast_models.readings import METADATA, Building

LEAST_HISTORY_HOURS = 7 * 24


@dataclass(frozen=True)
class Origins:
    """Where windows may be cut: `building` numbers and `hour` positions in their series, both (windows,)."""

    building: NDArray[np.int64]
    hour: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.hour)

    def pick(self, rows: NDArray[np.int64]) -> "Origins":
        return Origins(self.building[rows], self.hour[rows])


def split_origins(
    buildings: Sequence[Building], *, lead_hours: int, validation_share: float
) -> tuple[Origins, Origins]:
    """Origins for training and for validation: the last share of each building's time validates, and no training
    window reaches into it. An origin has a day of energy both in the week before it and among the hours after it."""
    train: list[Origins] = []
    validation: list[Origins] = []
    for number, building in enumerate(buildings):
        seen = np.concatenate([[0], np.cumsum(np.isfinite(building.values[:, 0]))])
        hours = np.arange(LEAST_HISTORY_HOURS, building.hours - 24 + 1)
        border = int(building.hours * (1 - validation_share))
        has_past = seen[hours] - seen[hours - LEAST_HISTORY_HOURS] >= 24
        has_future = seen[hours + 24] - seen[hours] >= 12
        hours = hours[has_past & has_future]
        ends = np.minimum(hours + lead_hours, building.hours)
        for kept, into in ((hours[ends <= border], train), (hours[hours >= border], validation)):
            into.append(Origins(np.full(len(kept), number), kept))
    return _joined(train), _joined(validation)


def _joined(parts: Sequence[Origins]) -> Origins:
    return Origins(
        np.concatenate([part.building for part in parts]) if parts else np.empty(0, np.int64),
        np.concatenate([part.hour for part in parts]) if parts else np.empty(0, np.int64),
    )


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


def hidden(inputs: Inputs, rng: np.random.Generator) -> dict[str, NDArray[np.generic]]:
    """A copy with parts of random rows missing: future weather (half of the rows), each context series (one in five),
    a gap of up to three days, the recent hours (stale), all but the recent days (short history), metadata of a place.

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

    gap_start = any_hour(0, hours)
    gap = (position >= gap_start) & (position < gap_start + any_hour(1, 73))
    is_hidden = (gap | (rng.random((rows, hours)) < 0.02)) & some(0.2)
    is_hidden |= (position >= hours - any_hour(1, 25)) & some(0.05)
    is_hidden |= (position < hours - any_hour(24, hours)) & some(0.1)
    changed["energy_usage_kwh"] = np.where(is_hidden, np.float32(np.nan), energy)
    for name in CONTEXT_INPUTS[1:]:
        changed[name] = np.where(some(0.2), np.float32(np.nan), inputs[name])
    no_forecast = some(0.6)
    for name in ("future_temperature_c", "future_humidity_pct"):
        changed[name] = np.where(no_forecast | some(0.1), np.float32(np.nan), inputs[name])
    unknown = some(0.05)[:, 0]
    for name in ("country", "closures"):
        changed[name] = np.where(unknown, "", inputs[name])
    return changed
