"""`wattcast devices` prints the state of each device."""

import json
from datetime import UTC, datetime
from pathlib import Path

from tests.commands import Wattcast
from tests.lib.monitoring.measures.test_device_status import NOW, hourly, lake, rejected


def test_devices_are_printed_as_a_table_and_as_json(wattcast: Wattcast, tmp_path: Path) -> None:
    state, columns = str(tmp_path), "80"
    lake(
        tmp_path / "lake",
        [*hourly("well"), *hourly("gone", until=datetime(2026, 3, 10, 6, 1, tzinfo=UTC)), rejected("well", "not_json")],
    )
    report = json.loads(wattcast("devices", "--json", "--state", "silent", WATTCAST_STATE=state).out)
    (item,) = report["items"]
    assert (report["as_of"], item["device_id"], item["state"]) == ("2026-03-10T12:01:00.000000Z", "gone", "silent")
    assert item["last_seen_at"] == "2026-03-10T06:01:00.000000Z"
    options = ("--as-of", NOW.isoformat(), "--building", "b1")
    table = wattcast("devices", *options, WATTCAST_STATE=state, COLUMNS=columns).out
    assert "24 readings, 1 rejected, the last for not_json" in table
    assert "2 devices" in table
    unknown = wattcast("devices", "--building", "../b1", WATTCAST_STATE=state)
    assert unknown.status == 2
    assert unknown.line.startswith("The building ../b1 has sent no record with a device name in the last 30 days.")


def test_missing_lake_and_unknown_state_are_refused_in_one_line(wattcast: Wattcast, tmp_path: Path) -> None:
    for arguments, sentence in (
        ((), "has no readings yet: receive them with `wattcast run ingest`."),
        (("--state", "dead"), "There is no state dead"),
        (("--as-of", "x"), "x is not a time"),
        (("--as-of", "0001-01-01"), "does not lie in the years 1970 to 2199"),
    ):
        result = wattcast("devices", *arguments, WATTCAST_STATE=str(tmp_path))
        assert result.status == 2
        assert sentence in result.line
