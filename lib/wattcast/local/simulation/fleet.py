"""Simulated buildings with the same reading interval: their energy use of a day, from weather, people and calendar."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from wattcast.local.simulation.building_types import TYPES
from wattcast.local.simulation.places import MINUTES_PER_DAY, SITES, Floats, local_clock

INTERVALS_MINUTES = (5, 10, 15, 30, 60)
HEATED_BELOW_C, COOLED_ABOVE_C = 15.0, 19.0


@dataclass(frozen=True)
class SimulatedBuilding:
    building_id: str
    site: int  # place in SITES
    building_type: str
    interval_minutes: int
    area_m2: float
    efficiency: float  # factor on its whole power
    opens_later_hours: float  # than its type
    rng: np.random.Generator

    def metadata(self) -> dict[str, object]:
        site = SITES[self.site]
        return {
            "building_id": self.building_id,
            "site": site.name,
            "timezone": site.timezone,
            "country": site.country,
            "building_type": self.building_type,
            "closures": TYPES[self.building_type].closures,
            "reading_interval_minutes": self.interval_minutes,
            "allows_negative_energy": False,
        }


def simulated_building(number: int, interval_minutes: int | None, seed: int) -> SimulatedBuilding:
    """Building `number` (from 0); for one seed it is the same in every simulation."""
    rng = np.random.default_rng([seed, 1, number])
    site, building_type = int(rng.integers(len(SITES))), list(TYPES)[number % len(TYPES)]
    own_interval = int(rng.choice(INTERVALS_MINUTES))
    return SimulatedBuilding(
        building_id=f"sim_{number + 1:04d}",
        site=site,
        building_type=building_type,
        interval_minutes=interval_minutes or own_interval,
        area_m2=TYPES[building_type].area_m2 * rng.lognormal(0, 0.5),
        efficiency=rng.lognormal(0, 0.2),
        opens_later_hours=rng.normal(0, 0.5),
        rng=rng,
    )


class Group:
    """The buildings of one interval, a row each in its arrays; codes are their positions in the whole fleet."""

    def __init__(self, codes: list[int], fleet: list[SimulatedBuilding]) -> None:
        self._buildings = [fleet[code] for code in codes]
        self._codes = np.array(codes, np.int32)
        self._interval = self._buildings[0].interval_minutes
        self._steps = MINUTES_PER_DAY // self._interval
        self._site = np.array([building.site for building in self._buildings])
        kinds = [TYPES[building.building_type] for building in self._buildings]
        area = np.array([[building.area_m2] for building in self._buildings])  # (buildings, 1), like the next three
        self._capacity: Floats = area * np.array([[kind.capacity_per_m2] for kind in kinds])
        self._kw_per_w_per_m2: Floats = area * np.array([[building.efficiency] for building in self._buildings]) / 1000
        self._opens_later = np.array([[building.opens_later_hours] for building in self._buildings])
        watts = [(k.base_w_per_m2, k.use_w_per_m2, k.heating_w_per_m2_k, k.cooling_w_per_m2_k) for k in kinds]
        self._watts = np.array(watts).T  # (4, buildings)
        self._rows_by_site_and_type: dict[tuple[int, str], list[int]] = {}
        for row, building in enumerate(self._buildings):
            self._rows_by_site_and_type.setdefault((building.site, building.building_type), []).append(row)
        self._attendance = np.zeros(len(codes))  # slow deviations from the usual, AR(1) from day to day
        self._level = np.zeros(len(codes))

    def next_day(self, day: date, air: list[tuple[Floats, Floats]]) -> pd.DataFrame:
        """One UTC day: timestamp, building (code) and the features; `air` is each site's temperature and humidity."""
        n, steps = len(self._buildings), self._steps
        noise = np.stack([building.rng.standard_normal(2 + 3 * steps) for building in self._buildings])
        self._attendance = 0.6 * self._attendance + 0.06 * noise[:, 0]  # (buildings,)
        self._level = 0.9 * self._level + 0.015 * noise[:, 1]
        flicker = noise[:, 2:].reshape(n, 3, steps)
        temperature, humidity = (self._by_interval(np.stack(series))[self._site] for series in zip(*air, strict=True))
        people = self._people(day) * (1 + self._attendance[:, None]) * (1 + 0.05 * flicker[:, 0])  # (buildings, steps)
        draw_kw = self._draw_kw(people, temperature) * np.exp(self._level[:, None] + 0.03 * flicker[:, 1])
        start = np.datetime64(day.isoformat(), "ms") + np.arange(steps) * np.timedelta64(self._interval, "m")
        columns = {
            "temperature_c": np.round(temperature + 0.1 * flicker[:, 2], 1),
            "humidity_pct": np.round(humidity, 1),
            "occupancy": np.round(np.maximum(people, 0)),
            "energy_usage_kwh": np.round(draw_kw * self._interval / 60, 3),
        }
        head = {
            "timestamp": pd.DatetimeIndex(np.tile(start, n)).tz_localize("UTC"),
            "building": np.repeat(self._codes, steps),
        }
        return pd.DataFrame(head | {name: values.ravel().astype(np.float32) for name, values in columns.items()})

    def _by_interval(self, minutes: Floats) -> Floats:
        """Means over the intervals: (..., 1440) -> (..., steps)."""
        means: Floats = minutes.reshape(*minutes.shape[:-1], self._steps, self._interval).mean(axis=-1)
        return means

    def _people(self, day: date) -> Floats:
        """The people usually present, (buildings, steps), by local time, weekend, holiday and closure."""
        middle = np.arange(self._steps) * self._interval + self._interval // 2
        share: Floats = np.empty((len(self._buildings), self._steps))
        for (site, building_type), rows in self._rows_by_site_and_type.items():
            kind = TYPES[building_type]
            clock = local_clock(SITES[site].timezone, SITES[site].country, kind.closures, day)
            hour = clock.hour[middle] - self._opens_later[rows]
            share[rows] = kind.presence(hour, clock.is_saturday[middle], clock.is_rest[middle])
        return share * self._capacity

    def _draw_kw(self, people: Floats, temperature: Floats) -> Floats:
        """Power in kW, (buildings, steps), of people and temperature (°C) of the same shape."""
        base, use, heating, cooling = self._watts[..., None]  # (buildings, 1) each
        presence = np.maximum(people, 0) / self._capacity
        air = heating * np.maximum(HEATED_BELOW_C - temperature, 0) + cooling * np.maximum(
            temperature - COOLED_ABOVE_C, 0
        )
        watts_per_m2: Floats = base + use * presence + air * (0.4 + 0.6 * np.minimum(presence, 1))
        return self._kw_per_w_per_m2 * watts_per_m2
