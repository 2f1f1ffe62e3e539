"""The explanation of a forecast, hour by hour, in figures and in words."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wattcast_models.features import calendar as local
from wattcast_models.quantiles import MEDIAN, QUANTILES

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
    """A forecast of L hours as a base and contributions, in kWh; the first axis of every array is (L,)."""

    local_time: pd.DatetimeIndex  # in the time zone of the building
    day: list[str]  # the day of each hour in words: "a working Monday"
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
    def most_driven_hour(self) -> int:
        """The index of the hour with the largest sum of absolute contributions."""
        return int(np.abs(list(self.contributions_kwh.values())).sum(axis=0).argmax())

    @property
    def decimals(self) -> int:
        """The number of decimals that shows the largest figure with three digits."""
        largest = float(np.abs(self.quantiles_kwh).max())
        return max(0, 2 - int(np.floor(np.log10(largest)))) if largest > 0 else 0

    def signed(self, group: str, hour: int) -> str:
        """A contribution with its sign; "0" and "0.0" have none."""
        text = f"{self.contributions_kwh[group][hour]:+.{self.decimals}f}"
        return text if float(text) else text[1:]


def explanation_sentence(explained: Explanation, hour: int) -> str:
    """The explanation of the hour with this index in words; contributions that round to 0 are left out."""
    p50, base = (f"{kwh[hour]:.{explained.decimals}f}" for kwh in (explained.p50_kwh, explained.base_kwh))
    parts = {group: explained.signed(group, hour) for group in GROUPS}
    reasons = [
        f", {kwh} {BECAUSE[group].format(day=explained.day[hour])}" for group, kwh in parts.items() if float(kwh)
    ]
    time = explained.local_time[hour]
    return f"{time:%A} {time.day} {time:%B %H:%M}: {p50} kWh: {base} on average at that hour{''.join(reasons)}."


def day_in_words(hour: NDArray[np.int16]) -> str:
    """The kind of day of an hour, from its local calendar, (local.COLUMNS,)."""
    if hour[local.HOLIDAY]:
        return "a holiday"
    return f"a {'' if hour[local.DAY_OFF] else 'working '}{WEEKDAYS[hour[local.WEEKDAY]]}"
