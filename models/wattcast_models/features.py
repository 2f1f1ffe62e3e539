"""Raw arrays to network inputs: each row scaled by its own past, the past hours worth repeating, the local calendar."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wattcast_models import calendar as local
from wattcast_models.columns import (
    CANDIDATES,
    DAY_LAGS,
    LARGEST,
    WEEK_LAGS,
    Floats,
    calendar_columns,
    energy_columns,
    feature_names,
    humidity_columns,
    occupancy_columns,
    temperature_columns,
    warmth,
)

Inputs = Mapping[str, NDArray[Any]]

CONTEXT_INPUTS = ("energy_usage_kwh", "temperature_c", "humidity_pct", "occupancy")  # (n, context hours)
FUTURE_INPUTS = ("future_temperature_c", "future_humidity_pct")  # (n, lead hours)
PLACE_INPUTS = ("timezone", "country", "closures")  # (n,)

SEQUENCE_HOURS = 168
SEQUENCE = ("energy", "energy_present", "temperature", "temperature_present", "hour_sin", "hour_cos", "day_off")


@dataclass(frozen=True)
class Features:
    """What a network reads of n forecasts at some lead hours; every value finite."""

    sequence: Floats  # (n, SEQUENCE_HOURS, len(SEQUENCE)): the last hours before the origin
    leads: Floats  # (n, leads, features): what is known of each target hour
    candidates: Floats  # (n, leads, len(CANDIDATES)): scaled past values at that hour; 0 where missing
    missing: NDArray[np.bool_]  # (n, leads, len(CANDIDATES))
    loc: NDArray[np.float64]  # (n, 1) kWh
    scale: NDArray[np.float64]  # (n, 1) kWh, > 0


def features(inputs: Inputs, *, inputs_used: Sequence[str], context_hours: int, leads: NDArray[np.int64]) -> Features:
    """The network inputs for the hours origin + `leads`, made of hours before the origin and future weather only."""
    context = {name: tail(inputs[name], context_hours) for name in CONTEXT_INPUTS}
    energy, present, loc, scale = normalise(context["energy_usage_kwh"])  # (n, C), (n, C), (n, 1), (n, 1)
    past, target = _calendars(inputs, context_hours, leads)  # (n, C, columns), (n, leads, columns)
    lags = lag_index(past, target, leads)  # (n, leads, lags)
    future = [np.asarray(inputs[name], np.float32)[:, leads] for name in FUTURE_INPUTS]  # (n, leads)
    columns = {
        **calendar_columns(target, leads),
        **energy_columns(energy, present, past, target, lags),
        **temperature_columns(context["temperature_c"], future[0], lags),
        **humidity_columns(context["humidity_pct"], future[1]),
        **occupancy_columns(context["occupancy"], lags),
    }
    missing = np.stack([columns[f"{name}_missing"] for name in CANDIDATES], axis=-1)
    return Features(
        sequence=_sequence(
            energy, present, context["temperature_c"], past, with_weather="temperature_c" in inputs_used
        ),
        leads=_stacked([columns[name] for name in feature_names(inputs_used)], len(energy), len(leads)),
        candidates=np.stack([columns[name] for name in CANDIDATES], axis=-1),
        missing=missing.astype(bool),
        loc=loc,
        scale=scale,
    )


def tail(values: NDArray[Any], hours: int) -> Floats:
    """The last `hours` columns as float32, infinite as missing, filled up on the left with NaN when there are fewer."""
    last = np.asarray(values, np.float32)[:, -hours:]
    last = np.where(np.isfinite(last), last, np.float32(np.nan))
    return np.pad(last, ((0, 0), (hours - last.shape[1], 0)), constant_values=np.nan)


def normalise(
    energy: Floats,
) -> tuple[Floats, NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]:
    """Energy (n, hours) as (scaled, present, loc, scale); missing hours are 0. Inverse: scaled * scale + loc.

    loc is the median and scale the mean distance from it without the outer 1 % of hours at either end, at least 1 % of
    the median's size and 1e-4 kWh, so that a flat meter and one wild reading both give sober values.
    """
    present = np.isfinite(energy)
    ordered = np.sort(energy.astype(np.float64), axis=1)  # NaN last
    count = present.sum(axis=1, keepdims=True)
    middle = [np.take_along_axis(ordered, np.maximum(rank, 0), axis=1) for rank in ((count - 1) // 2, count // 2)]
    loc = np.where(count > 0, (middle[0] + middle[1]) / 2, 0.0) if energy.shape[1] else np.zeros_like(count, float)
    rank = np.arange(energy.shape[1])[None, :]
    is_inner = (rank >= count // 100) & (rank < count - count // 100)
    distance = np.where(is_inner, np.abs(ordered - loc), 0.0).sum(axis=1, keepdims=True)
    scale = np.maximum(distance / np.maximum(is_inner.sum(axis=1, keepdims=True), 1), 0.01 * np.abs(loc) + 1e-4)
    scaled = np.where(present, np.clip((energy - loc) / scale, -LARGEST, LARGEST), 0.0).astype(np.float32)
    return scaled, present, loc, scale


def _calendars(
    inputs: Inputs, context_hours: int, leads: NDArray[np.int64]
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    origin = np.asarray(inputs["origin"]).astype("datetime64[h]").astype(np.int64)[:, None]  # (n, 1)
    offsets = np.concatenate([np.arange(-context_hours, 0), leads])[None, :]
    every = local.local_calendar(
        origin + offsets, *([str(value or "") for value in inputs[name]] for name in PLACE_INPUTS)
    )
    return every[:, :context_hours], every[:, context_hours:]


def lag_index(past: NDArray[np.int16], target: NDArray[np.int16], leads: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where in the context the same local hour lies 1-7 days before the origin's day and 1-4 weeks before the target,
    (n, leads, lags); -1 where it is outside. A clock change in between moves the index by the hour that it moved."""
    hours = past.shape[1]
    by_day = [hours - 24 * lag + leads % 24 for lag in DAY_LAGS]
    by_week = [hours - 168 * lag + leads for lag in WEEK_LAGS]
    index = np.stack(by_day + by_week, axis=-1)[None]  # (1, leads, lags)
    inside = np.clip(index, 0, hours - 1)
    moved = target[..., None, local.OFFSET_HOURS] - past[:, inside[0], local.OFFSET_HOURS]  # (n, leads, lags)
    index = index + moved.astype(np.int64)
    return np.where((index >= 0) & (index < hours), index, -1)


def _sequence(
    energy: Floats, present: NDArray[np.bool_], temperature: Floats, past: NDArray[np.int16], *, with_weather: bool
) -> Floats:
    recent = slice(-SEQUENCE_HOURS, None)
    warm, seen = warmth(temperature[:, recent])
    hour = 2 * np.pi * past[:, recent, local.HOUR] / np.float32(24)
    weather = [warm * with_weather, seen * with_weather]
    columns = [
        energy[:, recent],
        present[:, recent],
        *weather,
        np.sin(hour),
        np.cos(hour),
        past[:, recent, local.DAY_OFF],
    ]
    return np.stack([np.asarray(column, np.float32) for column in columns], axis=-1)


def _stacked(columns: Sequence[NDArray[Any]], rows: int, leads: int) -> Floats:
    """(n, leads), (n, 1) or (1, leads) columns as one (n, leads, features) array."""
    stacked = np.empty((rows, leads, len(columns)), np.float32)
    for number, column in enumerate(columns):
        stacked[..., number] = column
    return stacked
