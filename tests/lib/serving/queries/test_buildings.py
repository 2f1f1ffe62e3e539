"""Buildings, devices, models and the overview."""

from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.lib.serving.conftest import ServedClient, served, settings_of
from tests.lib.serving.http import as_time, get, pages
from tests.lib.serving.lake import END, append, write_lake

from wattcast.monitoring.measures.device_status import device_statuses
from wattcast.serving import state as serving_state


def test_devices_have_the_state_of_their_problem(client: ServedClient) -> None:
    devices_by_id = {row["device_id"]: row for row in pages(client, "/v1/devices", limit=2)}
    assert {name: row["state"] for name, row in devices_by_id.items()} == {
        "meter-0": "ok", "meter-1": "ok", "meter-2": "stuck", "meter-3": "ok", "meter-4": "silent",
    }  # fmt: skip
    assert (devices_by_id["meter-0"]["readings_24h"], devices_by_id["meter-0"]["rejected_24h"]) == (24, 1)
    assert devices_by_id["meter-0"]["last_rejected_for"] == ["not_json"]
    assert [row["device_id"] for row in get(client, "/v1/devices", state="silent")["items"]] == ["meter-4"]


def test_devices_follow_the_rules_of_the_command_and_have_their_gaps(tmp_path: Path) -> None:
    """A device with gaps in its day whose last record was rejected: one rejected record does not change its state."""
    write_lake(tmp_path / "lake", buildings=2, days=3)
    hours = [back for back in range(1, 60) if back not in (3, 6, 7, 8)]
    readings = [_record("meter-9", END - timedelta(hours=back), float(back)) for back in hours]
    bad = readings[0] | {
        "accepted": False, "measured_at": None, "rejected_for": ["humidity_pct.wrong_type"],
        "kafka_timestamp": END + timedelta(minutes=2), "kafka_offset": 9999,
    }  # fmt: skip
    append(tmp_path / "lake", "received_readings", [*readings, bad])
    with served(settings_of(tmp_path)) as client:
        items = get(client, "/v1/devices")["items"]
    row = {row["device_id"]: row for row in items}["meter-9"]
    assert (row["gaps_24h"], row["longest_gap_minutes"], row["readings_24h"]) == (2, 180.0, 20)
    assert (row["state"], row["last_rejected_for"]) == ("ok", ["humidity_pct.wrong_type"])
    expected = sorted(
        device_statuses(str(tmp_path / "lake")).items, key=lambda device: (device.device_id, device.building_id)
    )
    for row, device in zip(items, expected, strict=True):
        times = {name: row[name] and as_time(row[name]) for name in ("last_seen_at", "last_measured_at")}
        assert row | times == asdict(device) | {"last_rejected_for": list(device.last_rejected_for)}


def _record(device: str, measured_at: datetime, kwh: float) -> dict[str, Any]:
    return {
        "building_id": "building-0", "device_id": device, "measured_at": measured_at, "energy_usage_kwh": kwh, "accepted": True,
        "schema_version": 1, "kafka_topic": "readings", "kafka_partition": 1, "kafka_offset": int(kwh), "rejected_for": [],
        "kafka_timestamp": measured_at + timedelta(minutes=61), "payload_bytes": 140,
    }  # fmt: skip


def test_buildings_models_and_overview(client: ServedClient) -> None:
    assert [row["building_id"] for row in get(client, "/v1/buildings", search="ING-3")["items"]] == ["building-3"]
    last = get(client, "/v1/buildings/building-4")
    assert (last["last_reading_at"], last["open_alerts"]) == ("2026-03-14T18:00:00Z", 1)
    assert [row["model_version"] for row in get(client, "/v1/models")["items"]] == ["1.9.0", "2.0.0"]
    fleet = get(client, "/v1/overview")
    assert (fleet["buildings"], fleet["forecasts_fresh"], fleet["forecasts_stale"]) == (5, 5, 0)
    assert fleet["alerts"] == {"critical": 1, "warning": 1}


def test_devices_are_computed_once_for_all_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_lake(tmp_path / "lake", buildings=3, days=2)
    calls = []
    devices = serving_state.devices
    monkeypatch.setattr("wattcast.serving.state.devices", lambda *of: calls.append(1) or devices(*of))
    with served(settings_of(tmp_path)) as client:
        assert len(pages(client, "/v1/devices", limit=1)) == 3
        assert len(calls) == 1
