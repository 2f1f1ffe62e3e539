"""The columns that a network reads of a target hour: their names, and how each is made of the past and the calendar.

Columns are (n, leads), (n, 1) or (1, leads) arrays, finite, 0 where missing; `lags` is `features.lag_index`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wattcast_models import calendar as local

Floats = NDArray[np.float32]
Columns = dict[str, NDArray[Any]]

LARGEST = 30.0  # scaled values beyond it are spikes: as an input they say no more than this

DAY_LAGS, WEEK_LAGS = range(1, 8), range(1, 5)
LAGS = tuple([f"day_{lag}" for lag in DAY_LAGS] + [f"week_{lag}" for lag in WEEK_LAGS])
PROFILES = ("hour_of_week", "same_kind_of_day", "same_kind_of_day_lately")
CANDIDATES = LAGS + PROFILES

CALENDAR_FEATURES = [
    "hour_sin",
    "hour_cos",
    "hour_sin_2",
    "hour_cos_2",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "weekend",
    "holiday",
    "day_off",
    "off_before",
    "off_after",
    "lead",
    "first_day",
]
SEASON_FEATURES = ["season_sin", "season_cos"]
ENERGY_FEATURES = [
    *CANDIDATES,
    *(f"{name}_missing" for name in CANDIDATES),
    *(f"{lag}_same_kind" for lag in LAGS),
    "profile_hour_before",
    "profile_hour_after",
    "level_3h",
    "level_24h",
    "change_3h",
    "change_24h",
    "change_week",
    "history",
]
TEMPERATURE_FEATURES = [
    "temperature_24h",
    "temperature_24h_missing",
    "temperature_day_1",
    "temperature_week_1",
    "temperature_change",
    "future_temperature",
    "future_temperature_missing",
    "future_temperature_change",
]
HUMIDITY_FEATURES = ["humidity_24h", "humidity_24h_missing", "future_humidity", "future_humidity_missing"]
OCCUPANCY_FEATURES = ["occupancy_24h", "occupancy_day_1", "occupancy_week_1", "occupancy_missing"]
FEATURES_OF = {
    "energy_usage_kwh": ENERGY_FEATURES,
    "calendar": CALENDAR_FEATURES,
    "day_of_year": SEASON_FEATURES,
    "temperature_c": TEMPERATURE_FEATURES,
    "humidity_pct": HUMIDITY_FEATURES,
    "occupancy": OCCUPANCY_FEATURES,
}


def feature_names(inputs: Sequence[str]) -> list[str]:
    """The columns of these inputs in the order in which the networks read them."""
    return [name for used in inputs for name in FEATURES_OF[used]]


def calendar_columns(target: NDArray[np.int16], leads: NDArray[np.int64]) -> Columns:
    """What the clock and the calendar say of each target hour, and how far ahead it is."""
    hour = 2 * np.pi * target[..., local.HOUR] / np.float32(24)
    season = 2 * np.pi * target[..., local.DAY_OF_YEAR] / np.float32(365.25)
    weekday = target[..., local.WEEKDAY]
    waves = [np.sin(hour), np.cos(hour), np.sin(2 * hour), np.cos(2 * hour)]
    flags = [target[..., column] for column in (local.WEEKEND, local.HOLIDAY, local.DAY_OFF, local.OFF_BEFORE)]
    weekdays = [weekday == day for day in range(7)]
    rest = [target[..., local.OFF_AFTER], leads[None, :] / 168, leads[None, :] < 24]
    columns = dict(zip(CALENDAR_FEATURES, waves + weekdays + flags + rest, strict=True))
    return columns | {"season_sin": np.sin(season), "season_cos": np.cos(season)}


def energy_columns(
    energy: Floats,
    present: NDArray[np.bool_],
    past: NDArray[np.int16],
    target: NDArray[np.int16],
    lags: NDArray[np.int64],
) -> Columns:
    """The past hours worth repeating, if they are there and were the same kind of day, and the level of the load."""
    columns: Columns = {}
    row = np.arange(len(energy))[:, None, None]
    found = present[row, lags] & (lags >= 0)  # (n, leads, lags)
    value = np.where(found, energy[row, lags], np.float32(0))
    same_kind = past[row, lags, local.DAY_OFF] == target[..., None, local.DAY_OFF]
    for number, name in enumerate(LAGS):
        columns[name], columns[f"{name}_missing"] = value[..., number], ~found[..., number]
        columns[f"{name}_same_kind"] = same_kind[..., number] & found[..., number]
    columns |= _profile_columns(energy, present, past, target)
    return columns | _level_columns(energy, present)


def _profile_columns(
    energy: Floats, present: NDArray[np.bool_], past: NDArray[np.int16], target: NDArray[np.int16]
) -> Columns:
    """Means over the context at the target's hour: of its weekday, of its kind of day (off or not), of that lately."""
    hours = energy.shape[1]
    lately = present * np.exp(np.arange(-hours, 0) / 72).astype(np.float32)  # weights fall to 1/e in three days
    (past_week, past_kind), (week, kind) = _profile_keys(past), _profile_keys(target)
    columns: Columns = {}
    profiles = zip(
        PROFILES, (past_week, past_kind, past_kind), (week, kind, kind), (present, present, lately), strict=True
    )
    for name, past_key, key, weight in profiles:
        mean, weight_seen = _means(energy, weight, past_key)  # (n, keys)
        columns[name] = np.take_along_axis(mean, key, axis=1)
        columns[f"{name}_missing"] = np.take_along_axis(weight_seen, key, axis=1) <= 0
    for name, step in (("profile_hour_before", -1), ("profile_hour_after", 1)):
        neighbour = kind // 24 * 24 + (kind + step) % 24
        columns[name] = np.take_along_axis(mean, neighbour, axis=1)
    return columns


def _profile_keys(calendar: NDArray[np.int16]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The hour of the week, 0 to 167, and the hour of the kind of day, 0 to 47."""
    hour, weekday, day_off = (
        calendar[..., column].astype(np.int64) for column in (local.HOUR, local.WEEKDAY, local.DAY_OFF)
    )
    return weekday * 24 + hour, day_off * 24 + hour


def _means(energy: Floats, weight: NDArray[Any], key: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Weighted means of each row's energy by key, (n, 168), and the weights behind them; 0 where there is nothing."""
    flat = (np.arange(len(key))[:, None] * 168 + key).ravel()
    size = len(key) * 168
    total = np.bincount(flat, weights=(energy * weight).ravel(), minlength=size)
    seen = np.bincount(flat, weights=weight.ravel().astype(np.float64), minlength=size)
    mean = np.divide(total, seen, out=np.zeros_like(total), where=seen > 0)
    return mean.reshape(-1, 168).astype(np.float32), seen.reshape(-1, 168).astype(np.float32)


def _level_columns(energy: Floats, present: NDArray[np.bool_]) -> Columns:
    """How high the last hours, day and week are, and against the same hours a week earlier; each (n, 1)."""

    def level(hours: int, ago: int = 0) -> Floats:
        end = energy.shape[1] - ago
        return _mean(energy[:, max(end - hours, 0) : end], present[:, max(end - hours, 0) : end])

    return {
        "level_3h": level(3),
        "level_24h": level(24),
        "change_3h": level(3) - level(3, ago=168),
        "change_24h": level(24) - level(24, ago=168),
        "change_week": level(168) - level(504, ago=168),
        "history": present.mean(axis=1, keepdims=True),
    }


def _mean(values: Floats, present: NDArray[np.bool_]) -> Floats:
    total = np.where(present, values, np.float32(0)).sum(axis=1, keepdims=True)
    return np.asarray(total / np.maximum(present.sum(axis=1, keepdims=True), 1), np.float32)


def _any(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(mask.any(axis=1, keepdims=True))


def warmth(temperature_c: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Temperature in network units, 0 where missing, and where it is present."""
    return _standard(temperature_c, 10, 10)


def _standard(values: Floats, middle: float, spread: float) -> tuple[Floats, NDArray[np.bool_]]:
    present = np.isfinite(values)
    return np.where(present, np.clip((values - middle) / spread, -5, 5), 0).astype(np.float32), present


def temperature_columns(context: Floats, future: Floats, lags: NDArray[np.int64]) -> Columns:
    """Temperature of the last day, at the lags and, when forecast, of the target hour."""
    past, seen = warmth(context)  # (n, C)
    ahead, known = warmth(future)  # (n, leads)
    row, day, week = np.arange(len(past))[:, None], lags[..., 0], lags[..., len(DAY_LAGS)]
    last_day, day_seen = _mean(past[:, -24:], seen[:, -24:]), _any(seen[:, -24:])
    at_day, at_week = (np.where(lag >= 0, past[row, lag], 0) for lag in (day, week))
    return {
        "temperature_24h": last_day,
        "temperature_24h_missing": ~day_seen,
        "temperature_day_1": at_day,
        "temperature_week_1": at_week,
        "temperature_change": last_day - _mean(past[:, -192:-168], seen[:, -192:-168]),
        "future_temperature": ahead,
        "future_temperature_missing": ~known,
        "future_temperature_change": np.where(known & (week >= 0) & seen[row, week], ahead - at_week, 0),
    }


def humidity_columns(context: Floats, future: Floats) -> Columns:
    """Humidity of the last day and, when forecast, of the target hour."""
    past, seen = _standard(context[:, -24:], 70, 30)
    ahead, known = _standard(future, 70, 30)  # (n, leads)
    return {
        "humidity_24h": _mean(past, seen),
        "humidity_24h_missing": ~_any(seen),
        "future_humidity": ahead,
        "future_humidity_missing": ~known,
    }


def occupancy_columns(context: Floats, lags: NDArray[np.int64]) -> Columns:
    """Occupancy as a share of the row's own mean."""
    seen = np.isfinite(context)
    people = np.where(seen, context, np.float32(0))
    people = np.clip(people / np.maximum(_mean(people, seen), np.float32(0.1)), 0, LARGEST)
    row, day, week = np.arange(len(people))[:, None], lags[..., 0], lags[..., len(DAY_LAGS)]
    return {
        "occupancy_24h": _mean(people[:, -24:], seen[:, -24:]),
        "occupancy_day_1": np.where(day >= 0, people[row, day], 0),
        "occupancy_week_1": np.where(week >= 0, people[row, week], 0),
        "occupancy_missing": ~_any(seen),
    }
