"""`wattcast replay` and `wattcast buildings import` explain wrong files and a missing broker in one line."""

from pathlib import Path

import pytest
from tests.commands import Wattcast


def readings(folder: Path, time: str = "2024-01-01T00:00:00Z") -> str:
    """A file with one reading."""
    file = folder / "readings.csv"
    file.write_text(f"timestamp,building_id,energy_usage_kwh\n{time},a,1\n")
    return str(file)


@pytest.mark.parametrize(
    ("time", "message"),
    [
        ("2026-01-01T00:00:00", "run `wattcast replay --naive-is-utc` to read them as UTC."),
        ("yesterday", "is not a time"),
    ],
)
def test_replay_names_the_option_for_times_without_a_zone(
    time: str, message: str, wattcast: Wattcast, tmp_path: Path
) -> None:
    result = wattcast("replay", readings(tmp_path, time), WATTCAST_KAFKA__BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert result.status == 2
    assert message in result.err
    assert ("--naive-is-utc" in result.err) == (time != "yesterday")


def test_replay_of_a_missing_file_is_one_line(wattcast: Wattcast, no_broker: dict[str, str]) -> None:
    result = wattcast("replay", "none.parquet", **no_broker)
    assert (result.status, result.line) == (2, "There is no file none.parquet.\n")


def test_import_of_a_missing_file_is_one_line(wattcast: Wattcast) -> None:
    result = wattcast("buildings", "import", "none.csv")
    assert (result.status, result.line) == (2, "none.csv cannot be read: No such file or directory\n")


@pytest.mark.parametrize("servers", ["127.0.0.1:1", "127.0.0.1:no-port"])
def test_broker_that_does_not_answer_is_one_line(servers: str, wattcast: Wattcast, tmp_path: Path) -> None:
    environment = {"WATTCAST_KAFKA__BOOTSTRAP_SERVERS": servers, "WATTCAST_KAFKA__REQUEST_TIMEOUT_SECONDS": "2"}
    result = wattcast("replay", readings(tmp_path), **environment)
    assert result.status == 1
    assert f"No Kafka broker answers at {servers}" in result.line
