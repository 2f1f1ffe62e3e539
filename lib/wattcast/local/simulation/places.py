"""The weather and the local calendar of simulated places, by minute of a UTC day."""

from datetime import date
from functools import lru_cache
from typing import NamedTuple

import holidays
import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
MINUTES_PER_DAY = 24 * 60
WARM_UP_DAYS = 14
CLOCKS_KEPT = 64  # more than there are sites


class Site(NamedTuple):
    """A place: its civil time and its climate in °C."""

    name: str
    timezone: str
    country: str
    mean_c: float
    yearly_swing_c: float
    daily_swing_c: float
    is_southern: bool = False


SITES = (
    Site("London", "Europe/London", "GB", 11.5, 7.0, 3.5),
    Site("Berlin", "Europe/Berlin", "DE", 10.5, 10.0, 4.5),
    Site("New York", "America/New_York", "US", 13.0, 12.0, 4.0),
    Site("Madrid", "Europe/Madrid", "ES", 15.0, 10.5, 6.0),
    Site("Chicago", "America/Chicago", "US", 10.5, 14.0, 5.0),
    Site("Sydney", "Australia/Sydney", "AU", 18.5, 5.5, 4.0, is_southern=True),
)


class Clock(NamedTuple):
    """Local time by minute of a UTC day, (1440,) each; a holiday counts as a day of rest like Sunday."""

    hour: Floats  # of the local day, with its fraction
    is_saturday: npt.NDArray[np.bool_]
    is_rest: npt.NDArray[np.bool_]


@lru_cache(maxsize=CLOCKS_KEPT)
def local_clock(timezone: str, country: str, closures: str, day: date) -> Clock:
    """The clock of a UTC day in a place, over changes of daylight saving time; `closures`: "12-24 12-27" or empty."""
    utc = pd.date_range(day.isoformat(), periods=MINUTES_PER_DAY, freq="min", tz="UTC")
    local = utc.tz_convert(timezone).tz_localize(None)
    midnight = local.normalize()
    dates, date_of = np.unique(midnight.to_numpy(), return_inverse=True)
    local_dates = [pd.Timestamp(value).date() for value in dates]
    public = _public_holidays(country, day.year)
    rest = [d.weekday() == 6 or d in public or d.strftime("%m-%d") in closures.split() for d in local_dates]
    saturday = [d.weekday() == 5 for d in local_dates]
    hour = ((local - midnight).total_seconds() / 3600).to_numpy()
    return Clock(hour, np.array(saturday)[date_of], np.array(rest)[date_of])


@lru_cache(maxsize=CLOCKS_KEPT)
def _public_holidays(country: str, year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays(country, years=[year - 1, year, year + 1]))


class Weather:
    """A site's outdoor air: its yearly and daily course, and spells of some days (an AR(1) process from day to day)."""

    def __init__(self, site: Site, rng: np.random.Generator) -> None:
        self._site, self._rng = site, rng
        self._spell_c = np.zeros(2)  # deviation at the start and at the end of the day
        self._damp_pct = np.zeros(2)
        for _ in range(WARM_UP_DAYS):
            self._step()

    def _step(self) -> None:
        self._spell_c = np.array([self._spell_c[1], 0.8 * self._spell_c[1] + self._rng.normal(0, 2.0)])
        self._damp_pct = np.array([self._damp_pct[1], 0.7 * self._damp_pct[1] + self._rng.normal(0, 6.0)])

    def next_day(self, day: date) -> tuple[Floats, Floats]:
        """Temperature in °C and relative humidity in %, (1440,) each, by minute of the UTC day; call day after day."""
        self._step()
        site, minute = self._site, np.arange(MINUTES_PER_DAY)
        warmest_day = 201 if not site.is_southern else 18
        season = (day.timetuple().tm_yday + minute / MINUTES_PER_DAY - warmest_day) / 365.25
        local_hour = local_clock(site.timezone, site.country, "", day).hour
        daily = site.daily_swing_c * np.cos(2 * np.pi * (local_hour - 15) / 24)
        spell = np.interp(minute, [0, MINUTES_PER_DAY], self._spell_c)
        damp = np.interp(minute, [0, MINUTES_PER_DAY], self._damp_pct)
        temperature = site.mean_c + site.yearly_swing_c * np.cos(2 * np.pi * season) + daily + spell
        return temperature, np.clip(72 - 2.5 * daily - spell + damp, 15, 100)
