"""Raw arrays to network inputs: each row scaled by its own past, the past hours worth repeating, the local calendar."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wattcast_models import calendar as local

Floats = NDArray[np.float32]
Inputs = Mapping[str, NDArray[Any]]

CONTEXT_INPUTS = ("energy_usage_kwh", "temperature_c", "humidity_pct", "occupancy")  # (n, context hours)
FUTURE_INPUTS = ("future_temperature_c", "future_humidity_pct")  # (n, lead hours)
PLACE_INPUTS = ("timezone", "country", "closures")  # (n,)

SEQUENCE_HOURS = 168
SEQUENCE = ("energy", "energy_present", "temperature", "temperature_present", "hour_sin", "hour_cos", "day_off")
DAY_LAGS, WEEK_LAGS = range(1, 8), range(1, 5)
LAGS = tuple([f"day_{lag}" for lag in DAY_LAGS] + [f"week_{lag}" for lag in WEEK_LAGS])
PROFILES = ("hour_of_week", "same_kind_of_day", "same_kind_of_day_lately")
CANDIDATES = LAGS + PROFILES

CALENDAR_FEATURES = (
    "hour_sin hour_cos hour_sin_2 hour_cos_2 monday tuesday wednesday thursday friday saturday sunday "
    "weekend holiday day_off off_before off_after lead first_day"
).split()
SEASON_FEATURES = ["season_sin", "season_cos"]
ENERGY_FEATURES = [
    *CANDIDATES,
    *(f"{name}_missing" for name in CANDIDATES),
    *(f"{lag}_same_kind" for lag in LAGS),
    *("profile_hour_before profile_hour_after level_3h level_24h change_3h change_24h change_week history".split()),
]
TEMPERATURE_FEATURES = (
    "temperature_24h temperature_24h_missing temperature_day_1 temperature_week_1 temperature_change "
    "future_temperature future_temperature_missing future_temperature_change"
).split()
HUMIDITY_FEATURES = "humidity_24h humidity_24h_missing future_humidity future_humidity_missing".split()
OCCUPANCY_FEATURES = "occupancy_24h occupancy_day_1 occupancy_week_1 occupancy_missing".split()
FEATURES_OF = {
    "energy_usage_kwh": ENERGY_FEATURES,
    "calendar": CALENDAR_FEATURES,
    "day_of_year": SEASON_FEATURES,
    "temperature_c": TEMPERATURE_FEATURES,
    "humidity_pct": HUMIDITY_FEATURES,
    "occupancy": OCCUPANCY_FEATURES,
}

LARGEST = 30.0  # scaled values beyond it are spikes: as an input they say no more than this


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
    """The network inputs for the target hours origin + `leads`, made of hours before the origin and future weather only."""
    context = {name: tail(inputs[name], context_hours) for name in CONTEXT_INPUTS}
    energy, present, loc, scale = normalise(context["energy_usage_kwh"])  # (n, C), (n, C), (n, 1), (n, 1)
    past, target = _calendars(inputs, context_hours, leads)  # (n, C, columns), (n, leads, columns)
    lags = _lag_index(past, target, leads)  # (n, leads, lags)
    columns = {
        **_calendar_columns(target, leads),
        **_energy_columns(energy, present, past, target, lags),
        **_temperature_columns(inputs, context["temperature_c"], lags, leads),
        **_humidity_columns(inputs, context["humidity_pct"], leads),
        **_occupancy_columns(context["occupancy"], lags),
    }
    names = [name for used in inputs_used for name in FEATURES_OF[used]]
    missing = np.stack([columns[f"{name}_missing"] for name in CANDIDATES], axis=-1)
    return Features(
        sequence=_sequence(
            energy, present, context["temperature_c"], past, with_weather="temperature_c" in inputs_used
        ),
        leads=_stacked([columns[name] for name in names], len(energy), len(leads)),
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
    every = local.local_calendar(origin + offsets, *(inputs[name] for name in PLACE_INPUTS))
    return every[:, :context_hours], every[:, context_hours:]


def _lag_index(past: NDArray[np.int16], target: NDArray[np.int16], leads: NDArray[np.int64]) -> NDArray[np.int64]:
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


def _calendar_columns(target: NDArray[np.int16], leads: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    hour, season = (
        2 * np.pi * target[..., local.HOUR] / np.float32(24),
        2 * np.pi * target[..., local.DAY_OF_YEAR] / np.float32(365.25),
    )
    weekday = target[..., local.WEEKDAY]
    waves = [np.sin(hour), np.cos(hour), np.sin(2 * hour), np.cos(2 * hour)]
    flags = [target[..., column] for column in (local.WEEKEND, local.HOLIDAY, local.DAY_OFF, local.OFF_BEFORE)]
    weekdays = [weekday == day for day in range(7)]
    rest = [target[..., local.OFF_AFTER], leads[None, :] / 168, leads[None, :] < 24]
    columns = dict(zip(CALENDAR_FEATURES, waves + weekdays + flags + rest, strict=True))
    return columns | {"season_sin": np.sin(season), "season_cos": np.cos(season)}


def _energy_columns(
    energy: Floats,
    present: NDArray[np.bool_],
    past: NDArray[np.int16],
    target: NDArray[np.int16],
    lags: NDArray[np.int64],
) -> dict[str, NDArray[Any]]:
    columns: dict[str, NDArray[Any]] = {}
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
) -> dict[str, NDArray[Any]]:
    """Means over the context at the target's hour: of its weekday, of its kind of day (off or not), and of that lately."""
    hours = energy.shape[1]
    lately = (
        np.exp(np.arange(-hours, 0) / (3 * 24)).astype(np.float32)[None, :] * present
    )  # weights fall to 1/e in 3 days
    week, kind = (_profile_key(calendar) for calendar in (past, target)), None
    (past_week, past_kind), (week_key, kind) = week
    columns: dict[str, NDArray[Any]] = {}
    profiles = zip(
        PROFILES, (past_week, past_kind, past_kind), (week_key, kind, kind), (present, present, lately), strict=True
    )
    for name, past_key, key, weight in profiles:
        mean, weight_seen = _means(energy, weight, past_key)  # (n, keys)
        columns[name] = np.take_along_axis(mean, key, axis=1)
        columns[f"{name}_missing"] = np.take_along_axis(weight_seen, key, axis=1) <= 0
    for name, step in (("profile_hour_before", -1), ("profile_hour_after", 1)):
        neighbour = kind // 24 * 24 + (kind + step) % 24
        columns[name] = np.take_along_axis(mean, neighbour, axis=1)
    return columns


def _profile_key(calendar: NDArray[np.int16]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
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


def _level_columns(energy: Floats, present: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
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


def _filled(values: NDArray[Any]) -> tuple[Floats, NDArray[np.bool_]]:
    present = np.isfinite(values)
    return np.where(present, values, 0).astype(np.float32), present


def _temperature_columns(
    inputs: Inputs, context: Floats, lags: NDArray[np.int64], leads: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    past, seen = _filled((context - 10) / 10)  # (n, C)
    future, known = _filled((np.asarray(inputs["future_temperature_c"], np.float32)[:, leads] - 10) / 10)
    row, day, week = np.arange(len(past))[:, None], lags[..., 0], lags[..., len(DAY_LAGS)]
    last_day, day_seen = _mean(past[:, -24:], seen[:, -24:]), seen[:, -24:].any(axis=1, keepdims=True)
    at_day, at_week = (np.where(lag >= 0, past[row, lag], 0) for lag in (day, week))
    return {
        "temperature_24h": last_day,
        "temperature_24h_missing": ~day_seen,
        "temperature_day_1": at_day,
        "temperature_week_1": at_week,
        "temperature_change": last_day - _mean(past[:, -192:-168], seen[:, -192:-168]),
        "future_temperature": future,
        "future_temperature_missing": ~known,
        "future_temperature_change": np.where(known & (week >= 0) & seen[row, week], future - at_week, 0),
    }


def _humidity_columns(inputs: Inputs, context: Floats, leads: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    past, seen = _filled((context[:, -24:] - 70) / 30)
    future, known = _filled((np.asarray(inputs["future_humidity_pct"], np.float32)[:, leads] - 70) / 30)
    return {
        "humidity_24h": _mean(past, seen),
        "humidity_24h_missing": ~seen.any(axis=1, keepdims=True),
        "future_humidity": future,
        "future_humidity_missing": ~known,
    }


def _occupancy_columns(context: Floats, lags: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Occupancy as a share of the row's own mean."""
    people, seen = _filled(context)
    people = np.clip(people / np.maximum(_mean(people, seen), np.float32(0.1)), 0, LARGEST)
    row, day, week = np.arange(len(people))[:, None], lags[..., 0], lags[..., len(DAY_LAGS)]
    return {
        "occupancy_24h": _mean(people[:, -24:], seen[:, -24:]),
        "occupancy_day_1": np.where(day >= 0, people[row, day], 0),
        "occupancy_week_1": np.where(week >= 0, people[row, week], 0),
        "occupancy_missing": ~seen.any(axis=1, keepdims=True),
    }


def _sequence(
    energy: Floats, present: NDArray[np.bool_], temperature: Floats, past: NDArray[np.int16], *, with_weather: bool
) -> Floats:
    recent = slice(-SEQUENCE_HOURS, None)
    warmth, seen = _filled((temperature[:, recent] - 10) / 10)
    hour = 2 * np.pi * past[:, recent, local.HOUR] / np.float32(24)
    weather = [warmth * with_weather, seen * with_weather]
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
