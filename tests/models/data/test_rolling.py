"""The protocol of a backtest: its origins, and what it refuses."""

from typing import Any

import numpy as np
import pytest

from wattcast_models.data.readings import Building
from wattcast_models.data.rolling import Rolling, scoring_origins


@pytest.mark.parametrize(
    ("timezone", "hour"), [("Europe/London", 0), ("America/New_York", 5), ("Australia/Sydney", 14)]
)
def test_origins_are_midnights_of_standard_time_in_summer_too(timezone: str, hour: int) -> None:
    start = int(np.datetime64("2024-01-01", "h").astype(int))
    building = Building("b", start, np.ones((366 * 24, 4), np.float32), {"timezone": timezone})
    origins = scoring_origins(building, Rolling(0.5))
    assert set((start + origins.hour) % 24) == {hour}
    assert (np.diff(origins.hour) == 24).all()
    assert 182 <= len(origins) <= 183
    assert origins.hour.max() + 24 <= building.hours


def test_other_origins_and_leads_stay_inside_the_last_share() -> None:
    start = int(np.datetime64("2024-01-01", "h").astype(int))
    building = Building("b", start, np.ones((366 * 24, 4), np.float32), {"timezone": "Asia/Tokyo"})
    origins = scoring_origins(building, Rolling(0.1, (6, 18), 168))
    assert set((start + origins.hour + 9) % 24) == {6, 18}
    assert origins.hour.min() >= 0.9 * building.hours
    assert building.hours - 12 < origins.hour.max() + 168 <= building.hours


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"test_share": 0.0}, "The test share must be above 0"),
        ({"origin_hours": ()}, "Origin hours are 0 to 23, not none"),
        ({"origin_hours": (0, 24)}, "Origin hours are 0 to 23, not 0, 24"),
        ({"lead_hours": 169}, "Lead hours are 1 to 168, not 169"),
    ],
)
def test_a_protocol_that_cannot_be_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Rolling(**options)


@pytest.mark.parametrize("wrong", [{"future_weather": "sunny"}, {"without": ("energy_usage_kwh",)}])
def test_a_protocol_that_cannot_be_is_a_value_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"sunny|energy_usage_kwh"):
        Rolling(**wrong)
