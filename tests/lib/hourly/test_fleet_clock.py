"""The clock of all buildings: no record that is stamped far ahead of the others moves it, and it goes on after a pause."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from wattcast.hourly.fleet_clock import SUSTAINED_HOURS, ArrivalHour, low_watermark_of
from wattcast.times import HOUR

JANUARY, NOVEMBER = datetime(2026, 1, 31), datetime(2026, 11, 30)
DAY = timedelta(days=1)


def arrivals(first: datetime, hours: int, buildings: int, *, name: str = "b1", partition: int = 0) -> list[ArrivalHour]:
    """Arrivals in consecutive hours, at half past."""
    starts = [first + number * HOUR for number in range(hours)]
    return [
        ArrivalHour(start, ("readings", partition), start + HOUR / 2, buildings, name if buildings else None)
        for start in starts
    ]


def clock(*spans: Iterable[ArrivalHour]) -> datetime | None:
    return low_watermark_of([arrival for span in spans for arrival in span], DAY)


def test_one_record_far_ahead_does_not_move_the_clock_and_the_others_go_on() -> None:
    fleet, ahead = arrivals(JANUARY, 10, 12), arrivals(NOVEMBER, 1, 1, name="town-hall", partition=1)
    assert clock(fleet, ahead) == clock(fleet) == JANUARY + 9.5 * HOUR
    assert clock(arrivals(JANUARY, 20, 12), ahead) == JANUARY + 19.5 * HOUR
    assert clock(arrivals(JANUARY, 10, 1), ahead) == JANUARY + 9.5 * HOUR


def test_a_rejected_record_far_ahead_does_not_move_the_clock() -> None:
    assert clock(arrivals(JANUARY, 10, 1), arrivals(NOVEMBER, 1, 0)) == JANUARY + 9.5 * HOUR


def test_records_a_day_apart_each_do_not_move_the_clock_step_by_step() -> None:
    steps = [arrivals(JANUARY + 9 * HOUR + number * 23 * HOUR, 1, 1, name="x") for number in range(1, 10)]
    assert clock(arrivals(JANUARY, 10, 12), *steps) == JANUARY + 32.5 * HOUR


def test_the_clock_goes_on_after_a_pause_of_days_with_the_first_hour_of_most_buildings() -> None:
    assert clock(arrivals(JANUARY, 10, 12), arrivals(NOVEMBER, 1, 7)) == NOVEMBER + HOUR / 2
    assert clock(arrivals(JANUARY, 10, 1), arrivals(NOVEMBER, 1, 1)) == NOVEMBER + HOUR / 2


def test_the_clock_goes_on_after_a_pause_when_a_few_buildings_sent_readings_for_a_day() -> None:
    few = SUSTAINED_HOURS - 1
    assert clock(arrivals(JANUARY, 10, 12), arrivals(NOVEMBER, few, 2)) == JANUARY + 9.5 * HOUR
    assert clock(arrivals(JANUARY, 10, 12), arrivals(NOVEMBER, few + 1, 2)) == NOVEMBER + 23.5 * HOUR


def test_the_clock_goes_on_without_a_break_when_most_buildings_fall_silent() -> None:
    for hours in range(1, 80):
        silent = arrivals(JANUARY + 10 * HOUR, hours, 2)
        assert clock(arrivals(JANUARY, 10, 12), silent) == JANUARY + (9.5 + hours) * HOUR


def test_the_clock_is_that_of_the_slowest_partition_that_is_not_idle() -> None:
    assert clock(arrivals(JANUARY, 30, 5), arrivals(JANUARY, 9, 5, partition=1)) == JANUARY + 8.5 * HOUR
    assert clock(arrivals(JANUARY, 40, 5), arrivals(JANUARY, 9, 5, partition=1)) == JANUARY + 39.5 * HOUR
    assert clock() is None


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 5), st.integers(0, 2)), max_size=40))
def test_the_clock_is_an_arrival_and_does_not_depend_on_the_order(rows: list[tuple[int, int, int]]) -> None:
    hours = [arrivals(JANUARY + hour * HOUR, 1, count, partition=part)[0] for hour, count, part in rows]
    result = low_watermark_of(hours, DAY)
    assert result in ({arrival.newest for arrival in hours} or {None})
    assert low_watermark_of(hours[::-1], DAY) == result
