"""Exports in the shape of known portals and systems: which questions they leave open, and that the answers give the truth."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.lib.meter_files.files import assert_truth, comma, lines, truth, written

from wattcast.meter_files.mapping import Choices
from wattcast.meter_files.reader import read_readings
from wattcast.meter_files.refusals import Ambiguous

BERLIN, PARIS, MADRID, LONDON, PACIFIC = (
    "Europe/Berlin",
    "Europe/Paris",
    "Europe/Madrid",
    "Europe/London",
    "America/Los_Angeles",
)
Line = Callable[[pd.Timestamp, float], str]


def settled(file: Path, answers: dict[str, Any]) -> tuple[pd.DataFrame, set[str]]:
    """The readings after all questions are answered, and the questions."""
    choices, questions = Choices(), set()
    while True:
        try:
            return read_readings(file, choices)[0].frame, questions
        except Ambiguous as doubt:
            if doubt.choice in questions:
                raise
            questions.add(doubt.choice)
            choices = replace(choices, **{doubt.choice: answers[doubt.choice]})


def on(zone: str, form: str, *, minutes: int = 0) -> Callable[[pd.Timestamp], str]:
    """A time, moved by some minutes, on the clock of a zone."""
    return lambda time: (time + pd.Timedelta(minutes=minutes)).tz_convert(zone).strftime(form)


SMART = on(BERLIN, "%d.%m.%Y %H:%M")
GRID = on(BERLIN, "%d.%m.%Y;%H:%M")
PORTALS: dict[str, tuple[str, int, str, Line, dict[str, Any]]] = {
    "German grid operator, from and to in two columns": (
        "Datum;von;bis;Verbrauch in kWh;Status", 15, BERLIN,
        lambda t, v: f"{GRID(t)};{on(BERLIN, '%H:%M', minutes=15)(t)};{comma(v)};W",
        {"building": "hall", "timezone": BERLIN},
    ),
    "Californian utility, with a letterhead and the last minute as end": (
        "Name,JANE DOE\nAddress,1 Main Street\n\nTYPE,DATE,START TIME,END TIME,USAGE,UNITS,COST,NOTES", 15, PACIFIC,
        lambda t, v: f"Electric usage,{on(PACIFIC, '%Y-%m-%d,%H:%M')(t)},{on(PACIFIC, '%H:%M', minutes=14)(t)},{v},kWh,$0.03,",
        {"building": "hall", "timezone": PACIFIC},
    ),
    "British supplier, with blanks and prices": (
        "Consumption (kwh), Estimated Cost Inc. Tax (p), Start, End", 30, LONDON,
        lambda t, v: f"{v}, 3.2, {t.tz_convert(LONDON).isoformat()}, {on(LONDON, '%Y-%m-%dT%H:%M:%S%z', minutes=30)(t)}",
        {"building": "hall"},
    ),
    "Spanish distributors, with 24:00 and energy to the grid": (
        "cups;fecha;hora;consumo_kWh;metodoObtencion;energiaVertida_kWh", 60, MADRID,
        lambda t, v: f"hall;{on(MADRID, '%Y/%m/%d')(t)};{t.tz_convert(MADRID).hour + 1:02}:00;{comma(v)};Real;0",
        {"columns": {"building_id": "cups"}, "timezone": MADRID},
    ),
    "French load curve in watts, below its own header": (
        "Identifiant PRM;Type de donnees;Date de debut;Date de fin;Unite\n1;Courbe;01/03/2026;08/03/2026;W\nHorodate;Valeur", 30,
        PARIS, lambda t, v: f"{t.tz_convert(PARIS).isoformat()};{v * 2000:.3f}", {"building": "hall", "unit": "W"},
    ),
    "Transmission operators, with ranges of time": (
        '"MTU (CET/CEST)","Load [MW]"', 15, BERLIN,
        lambda t, v: f'"{on(BERLIN, "%d.%m.%Y %H:%M")(t)} - {on(BERLIN, "%d.%m.%Y %H:%M", minutes=15)(t)}","{v * 4 / 1000:.8f}"',
        {"building": "hall", "timezone": BERLIN},
    ),
    "German market data, with thousands and MWh in brackets": (
        "Datum von;Datum bis;Verbrauch [MWh] Originalauflösungen", 15, BERLIN,
        lambda t, v: f"{SMART(t)};{on(BERLIN, '%d.%m.%Y %H:%M', minutes=15)(t)};{comma(v / 1000)}",
        {"columns": {"energy_usage_kwh": "Verbrauch [MWh] Originalauflösungen"}, "building": "hall", "timezone": BERLIN},
    ),
    "Time series database, with annotations": (
        "#datatype,string,long,dateTime:RFC3339,double\n,result,table,_time,_value", 15, "UTC",
        lambda t, v: f",,0,{t:%Y-%m-%dT%H:%M:%SZ},{v}", {"building": "hall", "unit": "kWh"},
    ),
    "Building management system, month first and seconds": (
        "<>Date,Time,Main Meter (kWh)", 15, PACIFIC, lambda t, v: f"{on(PACIFIC, '%-m/%-d/%Y,%H:%M:%S')(t)},{v}",
        {"columns": {"energy_usage_kwh": "Main Meter (kWh)"}, "building": "hall", "timezone": PACIFIC, "date_order": "month"},
    ),
    "Spreadsheet with a line of the sum": (
        "Zeit;Wert [kWh]", 15, BERLIN, lambda t, v: f"{on(BERLIN, '%d.%m.%Y %H:%M Uhr')(t)};{comma(v)}",
        {"building": "hall", "timezone": BERLIN, "skip_bad_rows": True},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PORTALS)
@pytest.mark.parametrize("start", ["2026-03-09", "2026-03-27", "2025-10-24"])
def test_export_gives_the_truth_after_the_questions_that_it_leaves_open(tmp_path: Path, name: str, start: str) -> None:
    header, minutes, zone, line, answers = PORTALS[name]
    rows = truth(start=start, days=5, minutes=minutes, zone=zone)
    text = lines(rows, header, line) + ("Summe;99,5\n" if "sum" in name else "")
    frame, questions = settled(written(tmp_path / "a.csv", text), answers)
    assert_truth(frame, rows)
    assert questions == set(answers) - (
        {"date_order"} if "date_order" in answers and "date_order" not in questions else set()
    )


def test_columns_of_different_units_and_of_energy_to_the_grid_are_no_meters(tmp_path: Path) -> None:
    head = "time,Import T1 kWh,Import T2 kWh,Export T1 kWh,L1 max W"
    text = "\n".join([head, *(f"2026-03-01T{hour:02}:00:00Z,{hour % 5},{hour % 3},7,400" for hour in range(24))])
    file = written(tmp_path / "a.csv", text)
    with pytest.raises(ValueError, match="has columns in W, kWh: leave out those that are no meters with --ignore"):
        read_readings(file)
    choices = Choices(ignored=("L1 max W",), building="home")
    frame = read_readings(file, choices)[0].frame
    assert set(frame["device_id"]) == {"Import T1 kWh", "Import T2 kWh"}
