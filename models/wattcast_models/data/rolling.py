"""Rolling origins: from which hours of a building's last weeks a backtest forecasts, and how far."""

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from wattcast_models import calendar as local
from wattcast_models.features import CONTEXT_INPUTS
from wattcast_models.readings import Building
from wattcast_models.windows import Origins

DAY, WEEK = 24, 168
UNKNOWN, FORECAST, MEASURED = FUTURE_WEATHER = (
    "unknown",
    "forecast",
    "measured",
)  # forecast: measured, with errors as usual
MAY_BE_WITHOUT = CONTEXT_INPUTS[1:]


@dataclass(frozen=True)
class Rolling:
    """The protocol of a backtest: origins at some hours of the day (standard time of the building) in the last share of
    its time, each forecasting `lead_hours`, with what is known of the weather after the origin, `without` some inputs.
    The default is day-ahead from each midnight, the weather unknown. ValueError for what cannot be."""

    test_share: float = 0.2
    origin_hours: tuple[int, ...] = (0,)
    lead_hours: int = DAY
    future_weather: str = UNKNOWN
    without: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.test_share <= 1:
            raise ValueError(f"The test share must be above 0 and at most 1, not {self.test_share}.")
        if not self.origin_hours or not all(0 <= hour < DAY for hour in self.origin_hours):
            raise ValueError(f"Origin hours are 0 to 23, not {', '.join(map(str, self.origin_hours)) or 'none'}.")
        if not 1 <= self.lead_hours <= WEEK:
            raise ValueError(f"Lead hours are 1 to {WEEK}, not {self.lead_hours}.")
        if self.future_weather not in FUTURE_WEATHER:
            raise ValueError(f"The future weather is {', '.join(FUTURE_WEATHER)}, not {self.future_weather}.")
        if unknown := set(self.without) - set(MAY_BE_WITHOUT):
            raise ValueError(
                f"A backtest can be without {', '.join(MAY_BE_WITHOUT)}, not {', '.join(sorted(unknown))}."
            )


def scoring_start(building: Building, test_share: float) -> int:
    """The position of the first hour that may be scored: nothing is fitted on hours from it on."""
    return int(np.ceil(building.hours * (1 - test_share)))


def before_share(building: Building, test_share: float) -> Building:
    """The building as it was before the hours that may be scored."""
    kept = slice(scoring_start(building, test_share))
    revisions = building.revisions.of(kept) if building.revisions else None
    return replace(building, values=building.values[kept], revisions=revisions)


def scoring_origins(building: Building, rolling: Rolling) -> Origins:
    """The origins whose hours all lie in the last share of the building's time, behind a week of context."""
    first = max(scoring_start(building, rolling.test_share), WEEK)
    return _origins(building, rolling.origin_hours, first, building.hours - rolling.lead_hours)


def fitting_origins(building: Building, rolling: Rolling) -> Origins:
    """The midnights whose hours all lie before the test span, behind a week of context."""
    return _origins(building, (0,), WEEK, scoring_start(building, rolling.test_share) - rolling.lead_hours)


def _origins(building: Building, hours_of_day: Collection[int], first: int, last: int) -> Origins:
    position = np.arange(first, last + 1)
    hour_of_day = (building.start + position + standard_offset_hours(building)) % DAY
    hours = position[np.isin(hour_of_day, list(hours_of_day))]
    return Origins(np.zeros(len(hours), np.int64), hours)


def standard_offset_hours(building: Building) -> int:
    """The building's distance from UTC outside daylight saving time: the least of the year."""
    year = building.start + np.arange(0, 8766, 24)[None, :]
    place = ([building.place.get(name, "")] for name in ("timezone", "country", "closures"))
    return int(local.local_calendar(year, *place)[..., local.OFFSET_HOURS].min())
