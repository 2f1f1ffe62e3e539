"""What is in doubt or wrong is refused with the place and the option that settles it; nothing is guessed in silence."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.lib.meter_files.files import assert_truth, lines, readings, truth, written

from wattcast.meter_files.mapping import Choices, Mapping, read_mapping, save_mapping
from wattcast.meter_files.reader import read_readings, reading_chunks
from wattcast.meter_files.refusals import Ambiguous, FileRefused

HEAD = "timestamp,building_id,energy_usage_kwh\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{HEAD}2026-01-05T00:00:00,a,1\n", "times without a zone.*Add --timezone ZONE"),
        ("timestamp,energy_usage_kwh\n2026-01-05T00:00:00Z,1\n", "lacks the column building_id. Add --building ID"),
        ("timestamp,meter,energy_usage_kwh\n2026-01-05T00:00:00Z,m,1\n", "--map building_id='meter'|--building ID"),
        (
            "timestamp,building_id,value\n2026-01-05T00:00:00Z,a,1\n",
            r"does not say the unit of its energy. Add --unit kWh or",
        ),
        (
            f'{HEAD}2026-01-05T00:00:00Z,a,"4,822"\n',
            "4,822 may have a decimal comma or thousands. Add --decimal ',' or",
        ),
        (
            f"{HEAD}05/01/2026 00:00,a,1\n05/01/2026 01:00,a,2\n",
            "may begin with the day or the month. Add --dayfirst or --month",
        ),
        (
            "timestamp,building_id,kWh,Verbrauch\n2026-01-05T00:00:00Z,a,1,2\n",
            "several columns.*--map energy_usage_kwh='kWh' or",
        ),
        (
            "timestamp,building_id,energy_usage_kwh,temperatur_cc\n2026-01-05T00:00:00Z,a,1,2\n",
            "seems to mean temperature_c",
        ),
        (
            "timestamp,building_id,enrgy_usage_kwh\n2026-01-05T00:00:00Z,a,1\n",
            "--map energy_usage_kwh='enrgy_usage_kwh'",
        ),
        (
            f"{HEAD}2026-01-05T00:00:00Z,a,1\n2026-01-05T01:00:00Z,a,1,2\n",
            "line 3 has 4 fields, and the header has 3.*--skip-bad",
        ),
        (
            "timestamp,building_id,kWh,unit\n2026-01-05T00:00:00Z,a,1,Wh\n",
            "says Wh in its column of units, and kWh in its header",
        ),
        (
            "time,building_id,kWh\n05.01.2026 00:15,a,1\n05.01.2026 00:30,a,3\n06.01.2026 00:00,a,2\n",
            "--end-stamps or --start-s",
        ),
    ],
)
def test_doubt_names_the_options_that_settle_it(tmp_path: Path, text: str, message: str) -> None:
    choices = {"timezone": "UTC"} if "05.01.2026" in text else {}
    with pytest.raises(Ambiguous, match=message):
        readings(written(tmp_path / "a.csv", text), **choices)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            f"{HEAD}2026-01-05T00:00:00Z,a,many\n",
            "line 2: energy_usage_kwh contains a value that is not a number: 'many'",
        ),
        (f"{HEAD}2026-01-05T00:00:00Z,a,inf\n", "line 2: energy_usage_kwh contains an infinite number"),
        (f"{HEAD}2026-01-05T00:00:00Z,a,1\nsoon,a,1\n", "line 3: measured_at contains 'soon', which is not a time"),
        (f"{HEAD}2026-02-30T00:00:00Z,a,1\n", "'2026-02-30T00:00:00Z', which is not a time"),
        (f"{HEAD}2026-01-05T00:00:00Z,,1\n", "rows without measured_at or building_id, such as line 2"),
        (f"{HEAD},a,1\n", "rows without measured_at or building_id, such as line 2"),
        (HEAD + "".join(f"26-03-0{day} 00:00,a,1\n" for day in range(1, 8)), "begin with the year 26 in two digits"),
        (f"{HEAD}17,a,1\n18,a,2\n", "must be times|is not a time"),
        (HEAD, "has no readings"),
        ("2026-01-05T00:00:00Z,a,1\n2026-01-05T01:00:00Z,a,1\n", "has no header row"),
        ("timestamp,building_id,building_id\n2026-01-05T00:00:00Z,a,1\n", "has the column building_id more than once"),
        ("building_id,energy_usage_kwh\na,1\n", r"lacks the column measured_at \(or timestamp\)"),
        (
            "timestamp,building_id,kWh,unit\n2026-01-05T00:00:00Z,a,1,Wh\n2026-01-05T01:00:00Z,a,1,kW\n",
            "readings in Wh, kW",
        ),
        (
            f"{HEAD}" + "".join(f"2026-01-{day:02}T00:00:00Z,a,310\n" for day in range(1, 20)),
            "readings of 1440 minutes",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(FileRefused, match=message):
        readings(written(tmp_path / "a.csv", text))


def test_bad_rows_are_left_out_and_counted_on_request(tmp_path: Path) -> None:
    rows = truth()
    text = lines(rows, HEAD.strip(), lambda t, v: f"{t.isoformat()},hall,{v}")
    file = written(
        tmp_path / "a.csv",
        text + "2026-03-12T00:00:00Z,hall,Err\nTotal,hall,99\n2026-03-12T01:00:00Z,,1\nEnd of file\n",
    )
    result, _ = read_readings(file, Choices(skip_bad_rows=True))
    assert_truth(result.frame, rows)
    assert dict(result.problems) == {"rows that cannot be read and were left out": 3}


def test_totals_of_days_among_hours_and_of_other_buildings_are_left_out(tmp_path: Path) -> None:
    hours = truth(days=20)
    days = pd.DataFrame(
        {
            "building_id": "hall",
            "measured_at": pd.date_range("2026-03-29", periods=5, tz="UTC"),
            "energy_usage_kwh": 130.0,
        }
    )
    daily = pd.DataFrame(
        {
            "building_id": "daily",
            "measured_at": pd.date_range("2026-03-01", periods=30, tz="UTC"),
            "energy_usage_kwh": 130.0,
        }
    )
    pd.concat([hours, days, daily]).to_csv(tmp_path / "a.csv", index=False)
    result, _ = read_readings(tmp_path / "a.csv")
    assert_truth(result.frame, hours)
    assert list(result.problems.values()) == [35]
    streamed = pd.concat(reading_chunks(tmp_path / "a.csv"))
    assert streamed["building_id"].unique().tolist() == ["hall"]


def test_times_with_several_values_are_a_question_and_devices_are_kept_apart(tmp_path: Path) -> None:
    one, two = truth(), truth()
    rows = pd.concat(
        [one.assign(circuit="a"), two.assign(circuit="b", energy_usage_kwh=lambda part: part["energy_usage_kwh"] + 1)]
    )
    rows.to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(
        Ambiguous, match=r"72 times with several values: is a column of devices missing\?.*device_id='circuit'"
    ):
        readings(tmp_path / "a.csv")
    frame = read_readings(tmp_path / "a.csv", Choices(columns={"device_id": "circuit"}))[0].frame
    assert len(frame) == 2 * len(one)
    rows.drop(columns="circuit").to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(FileRefused, match="is a column of devices missing"):
        readings(tmp_path / "b.csv")


def test_building_that_is_given_holds_and_other_ids_become_its_devices(tmp_path: Path) -> None:
    rows = pd.concat([truth(building="north"), truth(building="south")])
    rows.to_csv(tmp_path / "a.csv", index=False)
    frame = read_readings(tmp_path / "a.csv", Choices(building="campus"))[0].frame
    assert (set(frame["building_id"]), set(frame["device_id"]), len(frame)) == (
        {"campus"},
        {"north", "south"},
        len(rows),
    )
    rows.assign(device_id="m1").to_csv(tmp_path / "b.csv", index=False)
    frame = read_readings(tmp_path / "b.csv", Choices(building="campus"))[0].frame
    assert set(frame["device_id"]) == {"north m1", "south m1"}
    rows[rows["building_id"] == "north"].to_csv(tmp_path / "c.csv", index=False)
    frame = read_readings(tmp_path / "c.csv", Choices(building="campus"))[0].frame
    assert (set(frame["building_id"]), "device_id" in frame) == ({"campus"}, False)


def test_times_a_few_seconds_off_are_moved_and_repeated_readings_count_once(tmp_path: Path) -> None:
    rows = truth(minutes=15)
    jitter = pd.to_timedelta(np.random.default_rng(0).integers(-20, 21, len(rows)), unit="s")
    late = rows.assign(measured_at=rows["measured_at"] + jitter)
    pd.concat([rows.head(3).assign(energy_usage_kwh=0.0), late]).to_csv(tmp_path / "a.csv", index=False)
    result, _ = read_readings(tmp_path / "a.csv")
    assert_truth(result.frame, rows)
    assert set(result.problems) == {
        "times a few seconds off their interval, moved to it",
        "readings that were repeated: the last one counts",
    }


def test_saved_mapping_reads_the_next_file_and_what_is_given_comes_first(tmp_path: Path) -> None:
    form = "Zeit;Zähler;Verbrauch (kWh)"
    rows = truth(start="2026-03-05", days=2)
    file = written(tmp_path / "a.csv", lines(rows, form, lambda t, v: f"{t:%d.%m.%Y %H:%M};hall;{v}"))
    given = Choices(columns={"building_id": "Zähler"}, timezone="UTC", stamps="start")
    result, mapping = read_readings(file, given)
    save_mapping(tmp_path / "m.yaml", mapping)
    saved = read_mapping(tmp_path / "m.yaml")
    again, same = read_readings(file, saved)
    pd.testing.assert_frame_equal(again.frame, result.frame)
    assert same == mapping
    assert Choices(unit="Wh", columns={"device_id": "x"}).over(saved).unit == "Wh"
    assert Choices(columns={"device_id": "x"}).over(saved).columns == {**saved.columns, "device_id": "x"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("colums: {}\n", "unknown key colums"),
        ("unit: kJ\n", "unit must be one of"),
        ("- a\n", "is not a mapping"),
        ("columns: {kwh: a}\n", "kwh is no column"),
    ],
)
def test_wrong_mapping_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(FileRefused, match=message):
        read_mapping(written(tmp_path / "m.yaml", text))


def test_only_rows_that_stand_alone_are_streamed() -> None:
    columns = {"measured_at": "timestamp", "building_id": "b", "energy_usage_kwh": "kWh"}
    assert Mapping(format="CSV", columns=columns).is_streamable
    for change in (
        {"quantity": "register"},
        {"stamps": "end"},
        {"unit": "kW"},
        {"layout": "wide"},
        {"timezone": "Europe/Berlin"},
    ):
        assert not Mapping(format="CSV", columns=columns, **change).is_streamable
