"""The issue window."""

from datetime import datetime, timedelta

import numpy as np
import pytest

from wattcast.forecast.origins import OriginSpan, issue_window, live_span
from wattcast.times import HOUR, HOUR_US

ORIGIN = datetime(2017, 6, 5)
CLOCK = 400_000  # in hours since 1970
NOVEMBER = CLOCK + 300 * 24


def test_the_issue_windows_of_all_buildings_reach_from_waiting_to_the_newest_hour() -> None:
    window = {"max_wait": 3 * HOUR, "catch_up_hours": 24}
    by_hours = live_span(newest_hour=ORIGIN, clock=ORIGIN + timedelta(minutes=70), **window)  # type: ignore[arg-type]
    by_waiting = live_span(newest_hour=ORIGIN, clock=ORIGIN + timedelta(hours=9, minutes=59), **window)  # type: ignore[arg-type]
    assert by_hours == OriginSpan(ORIGIN - 25 * HOUR, ORIGIN + HOUR, catch_up_hours=24)
    assert by_waiting == OriginSpan(ORIGIN - 17 * HOUR, ORIGIN + 6 * HOUR, catch_up_hours=24)


@pytest.mark.parametrize(
    ("hours", "windows"),
    [
        ([CLOCK - 2, CLOCK - 1], [CLOCK]),
        ([CLOCK - 9], [CLOCK - 3]),  # silent: the newest origin that has waited
        ([CLOCK + 5], [CLOCK + 6]),  # of a partition that is ahead of the slowest one
        ([], [CLOCK - 3]),
        ([CLOCK - 1, NOVEMBER], [CLOCK, NOVEMBER + 1]),
        ([NOVEMBER - 1, NOVEMBER], [CLOCK - 3, NOVEMBER + 1]),
    ],
)
def test_a_building_has_the_origins_of_its_own_newest_hours(hours: list[int], windows: list[int]) -> None:
    origins = issue_window(
        np.array(hours, np.int64), clock_us=CLOCK * HOUR_US + 7, max_wait_us=3 * HOUR_US, catch_up_hours=24
    )
    assert origins.tolist() == [origin for last in windows for origin in range(last - 23, last + 1)]
