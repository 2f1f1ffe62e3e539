"""Synthetic buildings to train with beside recorded ones: of other countries, climates and uses."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wattcast_models.data.readings import Building
from wattcast_models.features import calendar as local

Floats = NDArray[np.float64]

PLACES = (  # timezone, country, mean temperature in deg C, its swing over the year (negative in the south)
    ("Europe/London", "GB", 10, 6),
    ("Europe/Berlin", "DE", 10, 9),
    ("Europe/Helsinki", "FI", 6, 12),
    ("Europe/Madrid", "ES", 15, 9),
    ("America/New_York", "US", 13, 12),
    ("America/Chicago", "US", 10, 14),
    ("America/Los_Angeles", "US", 18, 5),
    ("America/Phoenix", "US", 24, 11),
    ("America/Sao_Paulo", "BR", 20, -3),
    ("Australia/Sydney", "AU", 18, -6),
    ("Pacific/Auckland", "NZ", 15, -5),
    ("Africa/Johannesburg", "ZA", 16, -6),
    ("Asia/Dubai", "AE", 28, 8),
    ("Asia/Riyadh", "SA", 26, 11),
    ("Asia/Kolkata", "IN", 26, 7),
    ("Asia/Singapore", "SG", 28, 1),
    ("Asia/Tokyo", "JP", 16, 11),
)
FIRST_YEAR, LAST_YEAR = 2015, 2025


@dataclass(frozen=True)
class _Hours:
    """The local clock of a building's hours; every array is (hours,)."""

    hour: NDArray[np.int64]
    weekday: NDArray[np.int64]
    day: NDArray[np.int64]  # since the first hour
    season: Floats  # 0 to 2 pi, 0 at the turn of the year
    holiday: NDArray[np.bool_]
    weekend: NDArray[np.bool_]


def synthetic_buildings(count: int, *, days: int = 120, seed: int = 0) -> list[Building]:
    """`count` hourly series of `days` days with random places, dates and sizes; the same seed gives the same buildings."""
    rng = np.random.default_rng([seed, 20])
    return [_building(number, days, rng) for number in range(count)]


def _building(number: int, days: int, rng: np.random.Generator) -> Building:
    timezone, country, mean_c, swing_c = PLACES[rng.integers(len(PLACES))]
    first = np.datetime64(f"{FIRST_YEAR}-01-01", "h").astype(int)
    start = int(first + rng.integers((LAST_YEAR - FIRST_YEAR) * 8766 - 24 * days))
    hours = _hours(start, days, timezone, country)
    temperature = _temperature(hours, mean_c, swing_c, rng)
    humidity = np.clip(75 - 1.5 * (temperature - mean_c) + _noise(len(temperature), 0.95, 12, rng), 5, 100)
    presence = _presence(hours, rng)  # 0 to 1
    people = np.round(presence * 10 ** rng.uniform(0.5, 3) * np.exp(_noise(len(presence), 0.5, 0.15, rng)))
    energy = _energy(hours, temperature, presence, rng)
    values = np.stack([energy, temperature, humidity, people], axis=1).astype(np.float32)
    values[:, 1:] = np.where(rng.random(3) < (0.15, 0.25, 0.4), np.nan, values[:, 1:])
    has_place = rng.random() < 0.9
    place = {"timezone": timezone, "country": country} if has_place else {}
    return Building(f"synthetic_{number}", start, values, {"building_type": "", "closures": ""} | place)


def _hours(start: int, days: int, timezone: str, country: str) -> _Hours:
    clock = local.local_calendar(start + np.arange(24 * days)[None], [timezone], [country], [""])[0].astype(np.int64)
    day = np.cumsum(np.diff(clock[:, local.WEEKDAY], prepend=clock[0, local.WEEKDAY]) != 0)
    return _Hours(
        hour=clock[:, local.HOUR],
        weekday=clock[:, local.WEEKDAY],
        day=day,
        season=2 * np.pi * clock[:, local.DAY_OF_YEAR] / 365.25,
        holiday=clock[:, local.HOLIDAY].astype(bool),
        weekend=clock[:, local.WEEKEND].astype(bool),
    )


def _noise(count: int, memory: float, spread: float, rng: np.random.Generator) -> Floats:
    """Autoregressive noise of order 1 with coefficient `memory` and standard deviation `spread`, (count,)."""
    shocks = rng.normal(0, spread * np.sqrt(1 - memory**2), count)
    noise = np.empty(count)
    level = rng.normal(0, spread)
    for step in range(count):
        level = memory * level + shocks[step]
        noise[step] = level
    return noise


def _temperature(hours: _Hours, mean_c: float, swing_c: float, rng: np.random.Generator) -> Floats:
    weather = _noise(hours.day[-1] + 1, 0.7, rng.uniform(1, 5), rng)[hours.day]
    of_day = rng.uniform(1, 6) * np.cos(2 * np.pi * (hours.hour - 15) / 24)
    return np.asarray(mean_c - swing_c * np.cos(hours.season - 0.35) + of_day + weather, float)


def _presence(hours: _Hours, rng: np.random.Generator) -> Floats:
    """How much the building is in use, 0 to 1: an office, a shop, a home, or a plant that never stops."""
    use = rng.choice(["work", "shop", "home", "always"], p=[0.45, 0.25, 0.2, 0.1])
    if use == "always":
        return np.full(len(hours.hour), 1.0)
    if use == "home":
        at_home = np.isin(hours.hour, np.arange(rng.integers(5, 8), 9)) | (hours.hour >= rng.integers(16, 20))
        is_day_off = hours.weekend | hours.holiday
        by_day = np.where(at_home, 1.0, np.where(is_day_off, 0.6, 0.3))
        return np.asarray(by_day * (1 - 0.4 * (hours.hour < 5)), float)
    opens, closes = rng.integers(5, 11), rng.integers(14, 23)
    is_open_day = ~hours.weekend if use == "work" else hours.weekday != rng.choice([5, 6, 7])  # 7: open every day
    if rng.random() < 0.8:
        is_open_day = is_open_day & ~hours.holiday
    is_open = (hours.hour >= opens) & (hours.hour < closes) & is_open_day
    soft = rng.choice([1, 2, 3])
    softened = np.convolve(is_open.astype(float), np.ones(soft) / soft, mode="same")
    elsewhere = rng.choice([0.0, 0.1, 0.3]) * ((hours.hour >= opens) & (hours.hour < closes))
    lunch = 1 - rng.choice([0.0, 0.2]) * (hours.hour == 12)
    return np.asarray(np.maximum(softened, elsewhere) * lunch, float)


def _energy(hours: _Hours, temperature: Floats, presence: Floats, rng: np.random.Generator) -> Floats:
    """kWh per hour: base load, use, slow heating and cooling, noise, a change of level, solar power, the meter's resolution."""
    count = len(presence)
    slow = np.convolve(temperature, np.ones(6) / 6, mode="full")[:count]
    cooling = rng.choice([0, 1]) * rng.uniform(0, 0.08) * np.maximum(slow - rng.uniform(16, 24), 0)
    heating = rng.choice([0, 1]) * rng.uniform(0, 0.08) * np.maximum(rng.uniform(8, 17) - slow, 0)
    load = rng.uniform(0.1, 0.8) + rng.uniform(0.1, 1.2) * presence + (heating + cooling) * (0.3 + 0.7 * presence)
    load *= np.exp(_noise(count, rng.uniform(0, 0.9), rng.uniform(0.01, 0.12), rng))
    load *= np.exp(_noise(hours.day[-1] + 1, 0.6, rng.uniform(0, 0.06), rng))[hours.day]
    if rng.random() < 0.2:
        load[rng.integers(count) :] *= rng.uniform(0.6, 1.5)
    if rng.random() < 0.12:
        clear = rng.uniform(0.2, 1, hours.day[-1] + 1)[hours.day]
        load -= rng.uniform(0.2, 1.5) * clear * np.maximum(np.sin(np.pi * (hours.hour - 6) / 12), 0)
    if rng.random() < 0.02:
        load[:] = load.mean()
    steps = rng.choice([1e-4, 0.01, 0.05])
    load = np.round(load / steps) * steps * 10 ** rng.uniform(-0.5, 3)
    return np.asarray(np.where(rng.random(count) < rng.choice([0, 0.01]), np.nan, load), float)
