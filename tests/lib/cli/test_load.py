"""`wattcast load` shows how files are read, refuses what is in doubt, asks on a terminal, and writes the contract's form."""

from pathlib import Path

import pandas as pd
import pytest
from tests.commands import Wattcast
from tests.lib.meter_files.files import assert_truth, comma, lines, truth, written

from wattcast.local.load import load_files
from wattcast.meter_files.mapping import Choices
from wattcast.meter_files.refusals import Ambiguous

ROWS = truth(start="2026-03-27", minutes=15, days=4, zone="Europe/Berlin", building="rathaus")


def export(folder: Path, rows: pd.DataFrame = ROWS, name: str = "export.csv") -> Path:
    """A file with semicolons, decimal commas, local times and kW."""

    def line(time: pd.Timestamp, kwh: float) -> str:
        return f"{time.tz_convert('Europe/Berlin'):%d.%m.%Y %H:%M};{comma(kwh * 4)}"

    return written(folder / name, lines(rows, "Zeitstempel;Leistung (kW)", line), "cp1252")


def test_export_of_a_meter_portal_becomes_a_file_of_the_contract_and_its_metadata(
    wattcast: Wattcast, tmp_path: Path
) -> None:
    out, mapping = tmp_path / "readings.parquet", tmp_path / "mapping.yaml"
    options = ("--building", "rathaus", "--timezone", "Europe/Berlin", "--to", str(out), "--save-mapping", str(mapping))
    result = wattcast("load", str(export(tmp_path)), *options)
    assert result.status == 0, result.err
    assert_truth(pd.read_parquet(out), ROWS)
    metadata = pd.read_csv(tmp_path / "readings.buildings.csv")
    assert metadata.iloc[0].to_dict() | {"country": None} == {
        "building_id": "rathaus", "timezone": "Europe/Berlin", "country": None, "reading_interval_minutes": 15,
    }  # fmt: skip
    for text in ("semicolon", "the header Leistung (kW)", "15 min", "Wrote 380 readings", "Next: wattcast replay"):
        assert text in result.out
    again = wattcast("load", str(export(tmp_path)), "--mapping", str(mapping), "--to", str(tmp_path / "again.csv"))
    assert again.status == 0, again.err
    assert_truth(pd.read_csv(tmp_path / "again.csv", parse_dates=["measured_at"]), ROWS)


def test_doubt_is_refused_in_one_line_and_nothing_is_written(wattcast: Wattcast, tmp_path: Path) -> None:
    result = wattcast("load", str(export(tmp_path)), "--building", "rathaus", "--to", str(tmp_path / "a.parquet"))
    assert (result.status, result.line.startswith("wattcast load: export.csv has times without a zone")) == (2, True)
    assert not (tmp_path / "a.parquet").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--map", "kwh=Wert"), "kwh is no column of readings"),
        (("--map", "Wert"), "--map takes COLUMN=HEADER"),
        (("--map", "measured_at=Zeit"), "has no column Zeit for measured_at: it has Zeitstempel, Leistung (kW)."),
        (("--unit", "kJ"), "unit must be one of Wh, kWh"),
        (("--interval", "7"), "An interval of 7 minutes does not divide an hour."),
        (("--mapping", "none.yaml"), "none.yaml cannot be read as a mapping"),
        (("--to", "a.txt", "--timezone", "UTC", "--building", "b"), "a.txt must end with .parquet or .csv."),
    ],
)
def test_wrong_option_is_one_line(wattcast: Wattcast, tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    result = wattcast("load", str(export(tmp_path)), *options)
    assert (result.status, message in result.line) == (2, True), result.err


def test_preview_says_what_is_implausible_and_sends_nothing(
    wattcast: Wattcast, no_broker: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "homes.csv").write_text("building_id,building_type\nrathaus,residential\n")
    options = (
        "--timezone",
        "Europe/Berlin",
        "--building",
        "rathaus",
        "--unit",
        "MW",
        "--buildings-file",
        str(tmp_path / "homes.csv"),
    )
    result = wattcast("load", str(export(tmp_path)), *options, "--preview", **no_broker)
    assert result.status == 0, result.err
    assert "which no home does: is the unit right?" in result.out


def test_answers_settle_what_is_in_doubt_and_hold_for_the_next_files(tmp_path: Path) -> None:
    first, second = ROWS[ROWS["measured_at"] < "2026-03-29T12:00Z"], ROWS[ROWS["measured_at"] >= "2026-03-29T00:00Z"]
    files = [export(tmp_path, first, "march.csv"), export(tmp_path, second, "next.csv")]
    questions: list[str] = []

    def answer(doubt: Ambiguous) -> object:
        questions.append(doubt.choice)
        return {"building": "rathaus", "timezone": "Europe/Berlin"}[doubt.choice]

    loaded = load_files(files, Choices(), answer)
    assert questions == ["building", "timezone"]
    assert_truth(loaded.readings.frame, ROWS)
    assert loaded.readings.problems["readings that several files have: that of the last file counts"] == 48
    assert loaded.timezone == "Europe/Berlin"


def test_broker_that_does_not_answer_is_one_line(wattcast: Wattcast, tmp_path: Path) -> None:
    environment = {"WATTCAST_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1", "WATTCAST_KAFKA__REQUEST_TIMEOUT_SECONDS": "2"}
    result = wattcast(
        "load", str(export(tmp_path)), "--timezone", "Europe/Berlin", "--building", "rathaus", **environment
    )
    assert result.status == 1
    assert "No Kafka broker answers at 127.0.0.1:1" in result.err
