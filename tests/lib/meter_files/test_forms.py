"""Files as meter portals, building operators and utilities export them give the readings that they hold."""

from pathlib import Path

import pandas as pd
import pytest
from tests.lib.meter_files.files import assert_truth, comma, lines, readings, truth, written

BERLIN, PARIS, LONDON = "Europe/Berlin", "Europe/Paris", "Europe/London"


def local(time: pd.Timestamp, zone: str, form: str) -> str:
    return time.tz_convert(zone).strftime(form)


def test_german_export_in_cp1252_with_a_title_and_local_times(tmp_path: Path) -> None:
    rows = truth(start="2026-03-27", minutes=15, zone=BERLIN)
    text = lines(
        rows,
        "Datum;Uhrzeit;Verbrauch Wärme [kWh]",
        lambda time, kwh: f"{local(time, BERLIN, '%d.%m.%Y;%H:%M')};{comma(kwh)}",
        "\r\n",
    )
    text = text.replace("Verbrauch Wärme", "Verbrauch")
    file = written(tmp_path / "a.csv", f"Lastgang Zählpunkt 17\r\nStraße 5;;\r\n{text}", "cp1252")
    assert_truth(readings(file, timezone=BERLIN, building="hall"), rows)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_encodings_are_detected(tmp_path: Path, encoding: str) -> None:
    rows = truth(building="Café Zürich")
    file = written(
        tmp_path / "a.csv",
        lines(rows, "Zeitstempel;Gebäude;Verbrauch (kWh)", lambda t, v: f"{t.isoformat()};Café Zürich;{comma(v)}"),
        encoding,
    )
    assert_truth(readings(file), rows)


def test_power_in_kw_of_quarter_hours_at_their_ends_with_24_00(tmp_path: Path) -> None:
    rows = truth(minutes=15, zone=BERLIN)

    def line(time: pd.Timestamp, kwh: float) -> str:
        start, end = time.tz_convert(BERLIN), time.tz_convert(BERLIN) + pd.Timedelta(minutes=15)
        clock = "24:00" if end.day != start.day else f"{end:%H:%M}"
        return f"{start:%d.%m.%y} {clock};{comma(kwh * 4)}"

    file = written(tmp_path / "a.csv", lines(rows, "Zeitpunkt;Leistung (kW)", line))
    assert_truth(readings(file, timezone=BERLIN, building="hall"), rows)


def test_french_load_curve_in_watts_with_the_date_in_words(tmp_path: Path) -> None:
    rows = truth(minutes=30, zone=PARIS)
    months = {3: "mars"}

    def line(time: pd.Timestamp, kwh: float) -> str:
        there = time.tz_convert(PARIS)
        return f"{there.day} {months[there.month]} {there.year} {there:%H:%M}\t{comma(kwh * 2000)}"

    file = written(tmp_path / "a.tsv", lines(rows, "Horodate\tPuissance (W)", line))
    assert_truth(readings(file, timezone=PARIS, building="hall"), rows)


def test_month_first_with_am_and_pm(tmp_path: Path) -> None:
    rows = truth(start="2026-03-12", zone="America/Chicago")
    file = written(
        tmp_path / "a.csv",
        lines(
            rows, "Start Time,Usage (kWh)", lambda t, v: f"{local(t, 'America/Chicago', '%-m/%-d/%Y %-I:%M %p')},{v}"
        ),
    )
    assert_truth(readings(file, timezone="America/Chicago", building="hall"), rows)


def test_day_first_is_seen_where_only_the_steps_show_it(tmp_path: Path) -> None:
    rows = truth(start="2026-03-05")
    file = written(
        tmp_path / "a.csv", lines(rows, "Fecha hora;Consumo (kWh)", lambda t, v: f"{t:%d/%m/%Y %H:%M};{comma(v)}")
    )
    assert_truth(readings(file, timezone="UTC", building="hall"), rows)


def test_spanish_hours_1_to_24(tmp_path: Path) -> None:
    rows = truth(start="2026-03-28", zone="Europe/Madrid", days=2)
    text = ["CUPS;Fecha;Hora;Consumo_kWh"]
    for day in (28, 29):  # on 29 March the third hour does not exist: this distributor counts through to 23
        of_day = [
            value
            for time, value in zip(rows["measured_at"], rows["energy_usage_kwh"], strict=True)
            if time.tz_convert("Europe/Madrid").day == day
        ]
        text += [f"ES001;{day}/03/2026;{hour};{comma(value)}" for hour, value in enumerate(of_day, start=1)]
    file = written(tmp_path / "a.csv", "\n".join(text))
    assert_truth(
        readings(file, timezone="Europe/Madrid", columns={"building_id": "CUPS"}), rows.assign(building_id="ES001")
    )


def test_dutch_register_becomes_usage(tmp_path: Path) -> None:
    rows = truth(days=4)
    register = (1000 + rows["energy_usage_kwh"].cumsum()).round(5)
    stamped = rows.assign(energy_usage_kwh=register, measured_at=rows["measured_at"] + pd.Timedelta(hours=1))
    first = pd.DataFrame({"measured_at": rows["measured_at"][:1], "energy_usage_kwh": 1000.0})
    text = lines(
        pd.concat([first, stamped]), "Tijdstip;Meterstand (kWh)", lambda t, v: f"{t:%Y-%m-%d %H:%M};{comma(v)}"
    )
    assert_truth(readings(written(tmp_path / "a.csv", text), timezone="UTC", building="hall"), rows)


def test_wide_table_of_meters(tmp_path: Path) -> None:
    one, two = truth(building="North (main)"), truth(building="South")
    table = pd.DataFrame(
        {
            "Timestamp": one["measured_at"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "North (main) (kWh)": one["energy_usage_kwh"],
            "South (kWh)": two["energy_usage_kwh"],
        }
    )
    table.to_csv(tmp_path / "a.csv", index=False)
    assert_truth(readings(tmp_path / "a.csv"), pd.concat([one, two]))


def test_half_hours_of_a_day_in_columns(tmp_path: Path) -> None:
    rows = truth(minutes=30, zone=LONDON)
    clock = rows["measured_at"].dt.tz_convert(LONDON)
    table = rows.assign(Date=clock.dt.strftime("%d/%m/%Y"), clock=clock.dt.strftime("%H:%M"))
    wide = table.pivot(index="Date", columns="clock", values="energy_usage_kwh").reset_index()
    wide.insert(0, "MPAN", "1012")
    wide.to_csv(tmp_path / "a.csv", index=False)
    mapped = {"building_id": "MPAN"}
    assert_truth(
        readings(tmp_path / "a.csv", timezone=LONDON, unit="kWh", columns=mapped, date_order="day"),
        rows.assign(building_id="1012"),
    )


def test_half_hours_of_a_day_in_columns_named_by_their_ends(tmp_path: Path) -> None:
    rows = truth(minutes=30, zone=LONDON)
    start = rows["measured_at"].dt.tz_convert(LONDON)
    table = rows.assign(
        date=start.dt.strftime("%Y-%m-%d"),
        clock=(start + pd.Timedelta(minutes=30)).dt.strftime("%H:%M"),
        row=range(len(rows)),
    )
    columns = table["clock"].head(48).tolist()
    wide = table.pivot(index="date", columns="clock", values="energy_usage_kwh")[columns].reset_index()
    wide.to_csv(tmp_path / "a.csv", index=False)
    assert_truth(readings(tmp_path / "a.csv", timezone=LONDON, unit="kWh", building="hall"), rows)


@pytest.mark.parametrize(("unit", "factor"), [("s", 1), ("ms", 1000), ("us", 1_000_000), ("ns", 1_000_000_000)])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_numbers_since_1970_are_times_of_their_unit(tmp_path: Path, unit: str, factor: int, kind: str) -> None:
    rows = truth()
    seconds = rows["measured_at"].dt.tz_localize(None).to_numpy("datetime64[s]").astype("int64")
    table = rows.assign(timestamp=seconds * factor).drop(columns="measured_at")
    file = tmp_path / f"a.{kind}"
    table.to_csv(file, index=False) if kind == "csv" else table.to_parquet(file)
    assert_truth(readings(file), rows)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_parquet_with_times_of_any_unit(tmp_path: Path, unit: str) -> None:
    rows = truth()
    times = rows["measured_at"].dt.tz_convert("Asia/Tokyo").astype(f"datetime64[{unit}, Asia/Tokyo]")
    rows.assign(measured_at=times).to_parquet(tmp_path / "a.parquet")
    assert_truth(readings(tmp_path / "a.parquet"), rows)
    rows.assign(measured_at=rows["measured_at"].dt.tz_localize(None)).to_parquet(tmp_path / "naive.parquet")
    assert_truth(readings(tmp_path / "naive.parquet", timezone="UTC"), rows)


@pytest.mark.parametrize("is_text", [False, True])
def test_workbook_with_a_title_and_an_empty_sheet(tmp_path: Path, is_text: bool) -> None:
    rows = truth(minutes=15, zone=BERLIN)
    clock = rows["measured_at"].dt.tz_convert(BERLIN).dt.tz_localize(None)
    table = pd.DataFrame(
        {
            "Zeitstempel": clock.dt.strftime("%d.%m.%Y %H:%M") if is_text else clock,
            "Verbrauch (kWh)": rows["energy_usage_kwh"],
        }
    )
    with pd.ExcelWriter(tmp_path / "a.xlsx", engine="openpyxl") as book:
        pd.DataFrame({"Notes": ["exported"]}).to_excel(book, sheet_name="Info", index=False)
        table.to_excel(book, sheet_name="Lastgang", index=False, startrow=3)
    assert_truth(readings(tmp_path / "a.xlsx", timezone=BERLIN, building="hall"), rows)


def test_messages_of_the_topic_one_per_line(tmp_path: Path) -> None:
    rows = truth()
    messages = rows.assign(
        schema_version=1,
        device_id="m1",
        firmware="1.2",
        measured_at=rows["measured_at"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    messages.to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    assert_truth(readings(tmp_path / "a.jsonl"), rows)


def test_ids_that_look_like_something_else_are_texts(tmp_path: Path) -> None:
    ids = ["NA", "null", "007", "1e3", "TRUE"]
    rows = pd.concat([truth(building=name) for name in ids])
    rows.to_csv(tmp_path / "a.csv", index=False)
    assert_truth(readings(tmp_path / "a.csv"), rows)


def test_separators_at_the_end_of_lines_and_blanks_around_ids(tmp_path: Path) -> None:
    rows = truth()
    file = written(
        tmp_path / "a.csv",
        lines(rows, "building_id,timestamp,energy_usage_kwh", lambda t, v: f"hall ,{t.isoformat()},{v},"),
    )
    assert_truth(readings(file), rows)


def test_fahrenheit_becomes_celsius_and_home_assistant_units_are_read(tmp_path: Path) -> None:
    text = "entity_id,last_changed,state,unit_of_measurement,Temperature (°F)\n"
    text += "".join(f"sensor.house,2026-03-01T{hour:02}:00:00.000Z,{500 + hour % 3},Wh,50\n" for hour in range(24))
    from wattcast.meter_files.mapping import Choices
    from wattcast.meter_files.reader import read_readings

    frame = read_readings(written(tmp_path / "a.csv", text), Choices(columns={"building_id": "entity_id"}))[0].frame
    assert frame["energy_usage_kwh"].tolist()[:3] == [0.5, 0.501, 0.502]
    assert frame["temperature_c"].tolist() == [10.0] * 24
