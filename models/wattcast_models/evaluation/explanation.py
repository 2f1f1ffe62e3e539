"""What drove a forecast, hour by hour, as figures and in words."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wattcast_models import calendar as local
from wattcast_models.networks import MEDIAN, QUANTILES

Floats = NDArray[np.float64]

CALENDAR, RECENT_LEVEL, WEATHER, OCCUPANCY = GROUPS = ("calendar", "recent_level", "weather", "occupancy")
BECAUSE = {
    CALENDAR: "because it is {day}",
    RECENT_LEVEL: "from the level of the last days",
    WEATHER: "from the weather",
    OCCUPANCY: "from occupancy",
}
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True)
class Explanation:
    """A forecast of L hours and what it is made of, in kWh; every array begins with (L,)."""

    local_time: pd.DatetimeIndex  # with the building's time zone
    day: list[str]  # that each hour is on, in words: "a working Monday"
    quantiles_kwh: Floats  # (L, 3): P10, P50, P90
    base_kwh: Floats
    contributions_kwh: dict[str, Floats]  # by GROUPS; base and contributions sum to P50

    @property
    def frame(self) -> pd.DataFrame:
        """A row per hour: target_hour (UTC), local_time, p10_kwh, p50_kwh, p90_kwh, base_kwh and those of GROUPS."""
        levels = {f"p{100 * level:.0f}_kwh": self.quantiles_kwh[:, at] for at, level in enumerate(QUANTILES)}
        parts = {f"{group}_kwh": self.contributions_kwh[group] for group in GROUPS}
        times = {"target_hour": self.local_time.tz_convert("UTC"), "local_time": self.local_time}
        return pd.DataFrame(times | levels | {"base_kwh": self.base_kwh} | parts)

    @property
    def p50_kwh(self) -> Floats:
        return self.quantiles_kwh[:, QUANTILES.index(MEDIAN)]

    @property
    def most_driven(self) -> int:
        """The number of the hour whose contributions are largest together, whatever their signs."""
        return int(np.abs(list(self.contributions_kwh.values())).sum(axis=0).argmax())

    @property
    def decimals(self) -> int:
        """How many decimals give the largest figure three digits."""
        largest = float(np.abs(self.quantiles_kwh).max())
        return max(0, 2 - int(np.floor(np.log10(largest)))) if largest > 0 else 0

    def signed(self, group: str, hour: int) -> str:
        """A contribution with its sign; "0" or "0.0" has none."""
        text = f"{self.contributions_kwh[group][hour]:+.{self.decimals}f}"
        return text if float(text) else text[1:]


def sentence(explained: Explanation, hour: int) -> str:
    """What drives an hour, given by its number, in words; what would read as 0 is left out."""
    p50, base = (f"{kwh[hour]:.{explained.decimals}f}" for kwh in (explained.p50_kwh, explained.base_kwh))
    parts = {group: explained.signed(group, hour) for group in GROUPS}
    because = [
        f", {kwh} {BECAUSE[group].format(day=explained.day[hour])}" for group, kwh in parts.items() if float(kwh)
    ]
    time = explained.local_time[hour]
    return f"{time:%A} {time.day} {time:%B %H:%M}: {p50} kWh: {base} on average at that hour{''.join(because)}."


def day_in_words(hour: NDArray[np.int16]) -> str:
    """Which day an hour is on, from its local calendar, (local.COLUMNS,)."""
    if hour[local.HOLIDAY]:
        return "a holiday"
    return f"a {'' if hour[local.DAY_OFF] else 'working '}{WEEKDAYS[hour[local.WEEKDAY]]}"
