import numpy as np
import pytest

from wattcast_models.features import calendar as local


def clock(moments: list[str], timezone: str = "UTC", country: str = "", closures: str = "") -> np.ndarray:
    hours = np.array(moments, "datetime64[h]").astype(np.int64)[None]
    return local.local_calendar(hours, [timezone], [country], [closures])[0]


def test_local_hours_skip_one_when_clocks_go_forward_and_repeat_one_when_they_go_back() -> None:
    spring = clock(["2024-03-31T00", "2024-03-31T01", "2024-03-31T02"], "Europe/London")
    autumn = clock(["2024-10-27T00", "2024-10-27T01", "2024-10-27T02"], "Europe/London")
    assert spring[:, local.HOUR].tolist() == [0, 2, 3]
    assert autumn[:, local.HOUR].tolist() == [1, 1, 2]


def test_a_place_ahead_of_utc_is_already_in_its_next_day() -> None:
    (row,) = clock(["2024-12-24T20"], "Asia/Tokyo", "JP")
    assert row[[local.HOUR, local.WEEKDAY, local.DAY_OF_YEAR]].tolist() == [5, 2, 360]


@pytest.mark.parametrize(
    ("day", "country", "closures", "is_off"),
    [
        ("2024-08-26", "GB", "", 1),  # the summer bank holiday of England
        ("2024-08-26", "GB-SCT", "", 0),
        ("2024-08-26", "", "", 0),
        ("2024-07-04", "US", "", 1),
        ("2024-07-04", "GB", "", 0),
        ("2024-12-27", "GB", "12-24 12-27", 1),
        ("2024-12-27", "GB", "", 0),
        ("2024-02-29", "", "02-29 nonsense", 1),
        ("2024-05-18", "", "", 1),  # a Saturday
        ("2024-05-17", "SA", "", 1),  # a Friday in Saudi Arabia
        ("2024-05-19", "SA", "", 0),  # a Sunday there
        ("2024-05-15", "Atlantis", "", 0),
    ],
)
def test_days_off_are_weekends_public_holidays_and_closures_of_the_place(
    day: str, country: str, closures: str, is_off: int
) -> None:
    assert clock([f"{day}T12"], "UTC", country, closures)[0, local.DAY_OFF] == is_off


def test_the_days_beside_a_day_off_are_known() -> None:
    rows = clock(["2024-12-24T12", "2024-12-27T12"], "Europe/London", "GB")
    assert rows[:, [local.OFF_BEFORE, local.DAY_OFF, local.OFF_AFTER]].tolist() == [[0, 0, 1], [1, 0, 1]]


@pytest.mark.parametrize("timezone", ["", "Mars/Olympus", "../etc/passwd", "Europe"])
def test_an_unknown_time_zone_counts_as_utc(timezone: str) -> None:
    assert (clock(["2024-05-15T07"], timezone) == clock(["2024-05-15T07"], "UTC")).all()


def test_each_row_has_the_calendar_of_its_own_place() -> None:
    hours = np.full((3, 1), np.datetime64("2024-07-04T12", "h").astype(np.int64))
    rows = local.local_calendar(hours, ["UTC", "America/New_York", "UTC"], ["", "US", ""], ["", "", "07-04"])
    assert rows[:, 0, local.HOUR].tolist() == [12, 8, 12]
    assert rows[:, 0, local.HOLIDAY].tolist() == [0, 1, 1]
