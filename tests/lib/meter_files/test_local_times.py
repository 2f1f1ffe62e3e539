"""Local times become UTC: both hours of the autumn night are kept, and times that do not exist are refused."""

from pathlib import Path

import pandas as pd
import pytest
from tests.lib.meter_files.files import assert_truth, lines, readings, truth, written

from wattcast.meter_files.mapping import Choices
from wattcast.meter_files.reader import read_readings
from wattcast.meter_files.refusals import Ambiguous, FileRefused

BERLIN, LONDON = "Europe/Berlin", "Europe/London"


def local_file(file: Path, rows: pd.DataFrame, zone: str, *, shift: str = "0min", newest_first: bool = False) -> Path:
    """Times on the clock of a zone, in the order of time or against it."""
    ordered = rows.iloc[::-1] if newest_first else rows

    def line(time: pd.Timestamp, kwh: float) -> str:
        return f"{(time + pd.Timedelta(shift)).tz_convert(zone):%Y-%m-%d %H:%M},hall,{kwh}"

    return written(file, lines(ordered, "timestamp,building_id,energy_usage_kwh", line))


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("minutes", [15, 60])
@pytest.mark.parametrize(
    ("zone", "start"), [(LONDON, "2025-10-25"), (BERLIN, "2026-03-28"), ("America/New_York", "2026-10-31")]
)
def test_days_of_25_and_23_hours_are_whole(
    tmp_path: Path, zone: str, start: str, minutes: int, newest_first: bool
) -> None:
    rows = truth(start=start, zone=zone, minutes=minutes)
    assert_truth(readings(local_file(tmp_path / "a.csv", rows, zone, newest_first=newest_first), timezone=zone), rows)


@pytest.mark.parametrize("start", ["2025-10-25", "2026-03-28"])
def test_ends_of_intervals_may_be_those_of_the_clock_or_the_start_plus_the_interval(tmp_path: Path, start: str) -> None:
    rows = truth(start=start, zone=BERLIN, minutes=15)
    by_clock = local_file(tmp_path / "a.csv", rows, BERLIN, shift="15min")
    assert_truth(readings(by_clock, timezone=BERLIN, stamps="end"), rows)

    def line(time: pd.Timestamp, kwh: float) -> str:
        return f"{time.tz_convert(BERLIN).tz_localize(None) + pd.Timedelta('15min'):%Y-%m-%d %H:%M},hall,{kwh}"

    added = written(tmp_path / "b.csv", lines(rows, "timestamp,building_id,energy_usage_kwh", line))
    assert_truth(readings(added, timezone=BERLIN, stamps="end"), rows)


def test_standard_time_all_the_year_is_noticed_in_spring_and_read_by_its_offset(tmp_path: Path) -> None:
    rows = truth(start="2026-03-28", zone=BERLIN)
    file = local_file(tmp_path / "a.csv", rows, "Etc/GMT-1")
    with pytest.raises(Ambiguous, match=r"2026-03-29 02:00 does not exist in Europe/Berlin.*--timezone \+01:00"):
        readings(file, timezone=BERLIN)
    assert_truth(readings(file, timezone="+01:00"), rows)


def test_repeated_hour_that_occurs_once_is_summer_time_and_counted(tmp_path: Path) -> None:
    rows = truth(start="2025-10-25", zone=LONDON, days=2)
    of_standard_time = rows["measured_at"] == pd.Timestamp("2025-10-26T01:00Z")
    file = local_file(tmp_path / "a.csv", rows[~of_standard_time], LONDON)
    result, _ = read_readings(file, Choices(timezone=LONDON))
    assert_truth(result.frame, rows[~of_standard_time])
    assert dict(result.problems) == {"times in the repeated hour of autumn that occur once: taken as summer time": 1}


def test_two_devices_have_the_repeated_hour_each(tmp_path: Path) -> None:
    rows = truth(start="2025-10-25", zone=LONDON)
    clock = rows["measured_at"].dt.tz_convert(LONDON).dt.strftime("%Y-%m-%d %H:%M")
    table = rows.assign(measured_at=clock, device_id="a")
    pd.concat([table, table.assign(device_id="b")]).sort_values("measured_at", kind="stable").to_csv(
        tmp_path / "a.csv", index=False
    )
    frame = read_readings(tmp_path / "a.csv", Choices(timezone=LONDON))[0].frame
    for _, of_device in frame.groupby("device_id"):
        assert_truth(of_device, rows)


@pytest.mark.parametrize("hours", ["counted", "clock"])
@pytest.mark.parametrize("start", ["2025-10-25", "2026-03-28"])
def test_numbered_hours_may_be_counted_through_or_those_of_the_clock(tmp_path: Path, start: str, hours: str) -> None:
    rows = truth(start=start, zone=BERLIN)
    clock = rows["measured_at"].dt.tz_convert(BERLIN)
    number = clock.groupby(clock.dt.date).cumcount() + 1 if hours == "counted" else clock.dt.hour + 1
    table = pd.DataFrame({"date": clock.dt.strftime("%d/%m/%Y"), "hour": number, "kWh": rows["energy_usage_kwh"]})
    table.to_csv(tmp_path / "a.csv", index=False)
    assert_truth(readings(tmp_path / "a.csv", timezone=BERLIN, building="hall", date_order="day"), rows)


def test_times_with_and_without_a_zone_in_one_file_are_refused_with_the_line(tmp_path: Path) -> None:
    text = "timestamp,building_id,energy_usage_kwh\n2026-01-01T00:00:00Z,a,1\n2026-01-01T01:00:00,a,2\n"
    with pytest.raises(FileRefused, match="some times have a zone and others have none, such as line 3"):
        readings(written(tmp_path / "a.csv", text))


def test_header_may_say_utc_and_a_zone_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    rows = truth()
    file = written(
        tmp_path / "a.csv", lines(rows, "time_utc,building,energy [kWh]", lambda t, v: f"{t:%Y-%m-%d %H:%M},hall,{v}")
    )
    assert_truth(readings(file), rows)
    with pytest.raises(FileRefused, match="There is no time zone Europe/Berlln"):
        readings(local_file(tmp_path / "b.csv", rows, BERLIN), timezone="Europe/Berlln")
