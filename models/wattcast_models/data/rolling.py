"""Rolling origins: the hours of a building's last weeks from which a backtest forecasts, and how far ahead."""

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from wattcast_models.data.readings import Building
from wattcast_models.data.windows import Origins
from wattcast_models.features import calendar as local
from wattcast_models.features.raw_inputs import CONTEXT_INPUTS, PLACE_INPUTS
from wattcast_models.time_units import DAY_HOURS, WEEK_HOURS

UNKNOWN, FORECAST, MEASURED = FUTURE_WEATHER = (
    "unknown",
    "forecast",
    "measured",
)  # forecast: measured plus usual errors
OPTIONAL_INPUTS = CONTEXT_INPUTS[1:]


@dataclass(frozen=True)
class Rolling:
    """The protocol of a backtest. The default is day-ahead from each midnight, with the future weather unknown.

    Origins are at some hours of the day (standard time of the building) in the last share of its time. ValueError for values
    that are out of range.
    """

    test_share: float = 0.2  # of each building's time, at its end
    origin_hours: tuple[int, ...] = (0,)
    lead_hours: int = DAY_HOURS
    future_weather: str = UNKNOWN
    without: tuple[str, ...] = ()  # inputs that are hidden from the methods

    def __post_init__(self) -> None:
        if not 0 < self.test_share <= 1:
            raise ValueError(f"The test share must be above 0 and at most 1, not {self.test_share}.")
        if not self.origin_hours or not all(0 <= hour < DAY_HOURS for hour in self.origin_hours):
            raise ValueError(f"Origin hours are 0 to 23, not {', '.join(map(str, self.origin_hours)) or 'none'}.")
        if not 1 <= self.lead_hours <= WEEK_HOURS:
            raise ValueError(f"Lead hours are 1 to {WEEK_HOURS}, not {self.lead_hours}.")
        if self.future_weather not in FUTURE_WEATHER:
            raise ValueError(f"The future weather is {', '.join(FUTURE_WEATHER)}, not {self.future_weather}.")
        if unknown := set(self.without) - set(OPTIONAL_INPUTS):
            raise ValueError(
                f"A backtest can be without {', '.join(OPTIONAL_INPUTS)}, not {', '.join(sorted(unknown))}."
            )


def scoring_start(building: Building, test_share: float) -> int:
    """The position of the first hour that may be scored. Nothing is fitted on this hour or later ones."""
    return int(np.ceil(building.hours * (1 - test_share)))


def before_test_span(building: Building, test_share: float) -> Building:
    """The building without the hours that may be scored."""
    hours = slice(scoring_start(building, test_share))
    revisions = building.revisions.of(hours) if building.revisions else None
    return replace(building, values=building.values[hours], revisions=revisions)


def scoring_origins(building: Building, rolling: Rolling) -> Origins:
    """The origins whose lead hours all lie in the test span, after at least a week of context."""
    first = max(scoring_start(building, rolling.test_share), WEEK_HOURS)
    return _origins(building, rolling.origin_hours, first, building.hours - rolling.lead_hours)


def fitting_origins(building: Building, rolling: Rolling) -> Origins:
    """The midnights whose lead hours all lie before the test span, after at least a week of context."""
    return _origins(building, (0,), WEEK_HOURS, scoring_start(building, rolling.test_share) - rolling.lead_hours)


def _origins(building: Building, hours_of_day: Collection[int], first: int, last: int) -> Origins:
    position = np.arange(first, last + 1)
    hour_of_day = (building.start + position + standard_offset_hours(building)) % DAY_HOURS
    hours = position[np.isin(hour_of_day, list(hours_of_day))]
    return Origins(np.zeros(len(hours), np.int64), hours)


def standard_offset_hours(building: Building) -> int:
    """The building's offset from UTC outside daylight saving time: the smallest of the year."""
    year = building.start + np.arange(0, 8766, 24)[None, :]
    place = ([building.metadata.get(name, "")] for name in PLACE_INPUTS)
    return int(local.local_calendar(year, *place)[..., local.OFFSET_HOURS].min())
