"""A forecast uses the newest revision that was available at its issue time, nothing later."""

import numpy as np
import pytest

from wattcast.forecast.history import History, Issue, due_issues
from wattcast.times import HOUR_US

WAIT_US = 3 * HOUR_US


def history(*rows: tuple[int, float, float]) -> History:
    """Of (hour, available at hours, energy in kWh)."""
    hour, available, energy = (np.array(column) for column in zip(*rows, strict=True))
    return History(hour.astype(np.int64), (available * HOUR_US).astype(np.int64), energy.reshape(-1, 1).astype(float))


def due(
    past: History, *origins: int, clock: float, hindsight: bool = False, active_within_hours: int = 720
) -> list[Issue]:
    return due_issues(
        past, np.array(origins), clock_us=int(clock * HOUR_US), max_wait_us=WAIT_US,
        active_within_hours=active_within_hours, hindsight=hindsight,
    )  # fmt: skip


def test_an_hour_has_the_newest_revision_available_at_the_time_and_nan_before_the_first() -> None:
    past = history((10, 11.1, 1.0), (10, 12.5, 2.0), (10, 20.0, 3.0), (12, 13.1, 4.0))
    at = {time: past.as_of(int(time * HOUR_US), first_hour=9, hours=5)[:, 0] for time in (11.0, 11.1, 12.5, 13.1, 20.0)}
    nan = np.nan
    np.testing.assert_array_equal(at[11.0], [nan, nan, nan, nan, nan])
    np.testing.assert_array_equal(at[11.1], [nan, 1.0, nan, nan, nan])
    np.testing.assert_array_equal(at[12.5], [nan, 2.0, nan, nan, nan])
    np.testing.assert_array_equal(at[13.1], [nan, 2.0, nan, 4.0, nan])
    np.testing.assert_array_equal(at[20.0], [nan, 3.0, nan, 4.0, nan])


def test_hours_outside_the_window_are_not_in_it() -> None:
    past = history((10, 11, 1.0), (11, 12, 2.0), (12, 13, 3.0))
    np.testing.assert_array_equal(past.as_of(99 * HOUR_US, first_hour=11, hours=1)[:, 0], [2.0])
    assert not past.has_values(99 * HOUR_US, first_hour=13, hours=5)
    assert past.has_values(13 * HOUR_US, first_hour=12, hours=5)
    assert not past.has_values(13 * HOUR_US - 1, first_hour=12, hours=5)


def test_an_origin_is_issued_when_the_hour_before_it_closes_and_a_correction_does_not_move_that() -> None:
    past = history((10, 11.2, 1.0), (10, 30.0, 2.0))
    assert due(past, 11, clock=11.2) == [Issue(11, int(11.2 * HOUR_US))]
    assert due(past, 11, clock=40) == [Issue(11, int(11.2 * HOUR_US))]


def test_a_silent_building_is_issued_after_the_longest_wait_and_not_before() -> None:
    past = history((10, 11.2, 1.0))
    assert due(past, 12, 13, clock=14.9) == []
    assert due(past, 12, 13, clock=15.0) == [Issue(12, 15 * HOUR_US)]
    assert due(past, 12, 13, clock=16.0) == [Issue(12, 15 * HOUR_US), Issue(13, 16 * HOUR_US)]


def test_an_hour_that_closes_after_the_longest_wait_does_not_put_off_its_forecast() -> None:
    past = history((10, 11.2, 1.0), (11, 50.0, 2.0))
    assert due(past, 12, clock=60) == [Issue(12, 15 * HOUR_US)]


def test_a_building_is_forecast_only_while_a_recent_value_was_available() -> None:
    past = history((10, 11.2, 1.0), (20, 90.0, 2.0))
    assert due(past, 14, clock=99, active_within_hours=4) == [Issue(14, 17 * HOUR_US)]
    assert due(past, 15, clock=99, active_within_hours=4) == []
    assert due(past, 22, clock=99, active_within_hours=4) == []


@pytest.mark.parametrize("clock", [20.0, 99.0])
def test_with_hindsight_everything_available_today_counts(clock: float) -> None:
    past = history((10, 11.2, 1.0), (10, 19.0, 2.0))
    assert due(past, 11, clock=clock, hindsight=True) == [Issue(11, int(clock * HOUR_US))]
