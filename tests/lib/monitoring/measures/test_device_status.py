"""The state of a device follows from its records of the last days."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from wattcast.monitoring.measures.device_status import DeviceLimits, DeviceStatus, device_statuses

NOW = datetime(2026, 3, 10, 12, 1, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
Record = dict[str, Any]
LEDGER = pa.schema(
    [
        ("building_id", pa.string()), ("device_id", pa.string()), ("measured_at", pa.timestamp("us", "UTC")),
        ("energy_usage_kwh", pa.float64()), ("accepted", pa.bool_()), ("kafka_offset", pa.int64()),
        ("kafka_timestamp", pa.timestamp("us", "UTC")), ("rejected_for", pa.list_(pa.string())),
    ]
)  # fmt: skip


def hourly(
    device: str, hours: int = 72, *, until: datetime = NOW, delay: timedelta = MINUTE, **more: Any
) -> list[Record]:
    """Readings of the last hours before `until`, each another value, arriving that long after the end of their hour."""
    last = until.replace(minute=0)
    return [
        {
            "building_id": "b1", "device_id": device, "measured_at": (start := last - (back + 1) * HOUR),
            "energy_usage_kwh": float(back), "accepted": True, "kafka_timestamp": start + HOUR + delay, "rejected_for": [],
        } | more
        for back in range(hours)
    ]  # fmt: skip


def rejected(device: str | None, *rules: str, at: datetime = NOW, building: str | None = "b1") -> Record:
    return {
        "building_id": building, "device_id": device, "measured_at": None, "energy_usage_kwh": None, "accepted": False,
        "kafka_timestamp": at, "rejected_for": list(rules),
    }  # fmt: skip


def lake(folder: Path, records: Sequence[Record], *, buildings: Sequence[Record] = ()) -> str:
    rows = [record | {"kafka_offset": offset} for offset, record in enumerate(records)]
    for part in (rows[::2], rows[1::2]):  # several files
        table = pa.Table.from_pylist(part, LEDGER)
        write_deltalake(folder / "received_readings", table, mode="append", partition_by=["accepted"])
    columns = pa.schema([("building_id", pa.string()), ("reading_interval_minutes", pa.int32())])
    write_deltalake(folder / "buildings", pa.Table.from_pylist(list(buildings), columns))
    return str(folder)


def by_name(folder: Path, records: Sequence[Record], **options: Any) -> dict[str, DeviceStatus]:
    return {each.device_id: each for each in device_statuses(lake(folder, records), **options).items}


def test_each_device_has_the_state_of_its_last_day(tmp_path: Path) -> None:
    found = by_name(
        tmp_path,
        [
            *hourly("well"),
            *hourly("gone", until=NOW - 4 * HOUR),
            *hourly("flat", energy_usage_kwh=2.5),
            *(each | {"energy_usage_kwh": 1.0 + 9 * (n % 2)} for n, each in enumerate(hourly("wild"))),
            *hourly("slow", delay=20 * MINUTE, until=NOW - HOUR),
            *hourly("dirty"), *(rejected("dirty", "not_json", at=NOW - back * HOUR) for back in range(1, 7)),
            rejected("dirty", "temperature_c.out_of_range", "occupancy.wrong_type", at=NOW - MINUTE),
            rejected("broken", "energy_usage_kwh.missing"),
        ],
        as_of=NOW,
    )  # fmt: skip
    assert {name: each.state for name, each in found.items()} == {
        "well": "ok", "gone": "silent", "flat": "stuck", "slow": "late", "dirty": "rejected", "broken": "rejected",
        "wild": "noisy",
    }  # fmt: skip
    assert found["well"] == DeviceStatus(
        device_id="well", building_id="b1", last_seen_at=NOW, last_measured_at=datetime(2026, 3, 10, 11, tzinfo=UTC),
        readings_24h=24, rejected_24h=0, last_rejected_for=(), late_share=0.0, stuck_hours=1.0, noise=0.0, gaps_24h=0,
        longest_gap_minutes=None, state="ok",
    )  # fmt: skip
    assert found["flat"].stuck_hours == 48
    assert found["slow"].late_share == 1
    assert (found["dirty"].rejected_24h, found["dirty"].readings_24h) == (7, 24)
    assert found["dirty"].last_rejected_for == ("temperature_c.out_of_range", "occupancy.wrong_type")
    broken = found["broken"]
    assert (broken.last_seen_at, broken.last_measured_at, broken.stuck_hours, broken.late_share) == (
        NOW,
        None,
        None,
        None,
    )


def test_gaps_are_counted_and_the_longest_is_measured(tmp_path: Path) -> None:
    holes = {NOW.replace(minute=0) - back * HOUR for back in (3, 6, 7, 8)}
    readings = [each for each in hourly("m1") if each["measured_at"] not in holes]
    found = by_name(tmp_path, readings)["m1"]
    assert (found.gaps_24h, found.longest_gap_minutes, found.readings_24h) == (2, 180.0, 20)


def test_the_interval_of_the_metadata_defines_lateness_and_gaps(tmp_path: Path) -> None:
    folder = lake(
        tmp_path, hourly("m1", delay=-30 * MINUTE), buildings=[{"building_id": "b1", "reading_interval_minutes": 15}]
    )
    (found,) = device_statuses(folder).items
    assert (found.late_share, found.gaps_24h, found.longest_gap_minutes) == (1.0, 24, 45.0)


def test_corrections_are_no_late_readings_and_the_last_value_counts(tmp_path: Path) -> None:
    readings = hourly("m1", energy_usage_kwh=1.0)
    corrections = [each | {"kafka_timestamp": NOW, "energy_usage_kwh": 1.0 + n} for n, each in enumerate(readings[:6])]
    found = by_name(tmp_path, [*readings, *corrections])["m1"]
    assert (found.late_share, found.stuck_hours, found.readings_24h) == (0.0, 1.0, 30)


def test_records_without_a_device_are_counted_separately(tmp_path: Path) -> None:
    records = [*hourly("m1"), rejected(None, "not_json", building=None), rejected(None, "not_json", at=NOW - 30 * HOUR)]
    found = device_statuses(lake(tmp_path, records))
    assert [each.device_id for each in found.items] == ["m1"]
    assert found.without_device_24h == 1


def test_an_earlier_as_of_shows_the_state_of_that_time(tmp_path: Path) -> None:
    folder = lake(tmp_path, [*hourly("m1"), rejected("m1", "not_json")])
    (then,) = device_statuses(folder, as_of=NOW - 24 * HOUR).items
    assert (then.last_seen_at, then.rejected_24h, then.readings_24h) == (NOW - 24 * HOUR, 0, 24)
    assert device_statuses(folder, as_of=NOW - 400 * HOUR).items == ()


def test_a_lake_of_which_all_was_rejected_has_rejected_devices(tmp_path: Path) -> None:
    (found,) = device_statuses(lake(tmp_path, [rejected("m1", "not_json")])).items
    assert (found.state, found.readings_24h, found.gaps_24h, found.late_share) == ("rejected", 0, 0, None)


def test_limits_and_buildings_can_be_chosen(tmp_path: Path) -> None:
    records = [*hourly("m1"), *hourly("m1", building_id="b2", until=NOW - 2 * HOUR)]
    folder = lake(tmp_path, records)
    assert [(each.building_id, each.state) for each in device_statuses(folder).items] == [("b1", "ok"), ("b2", "ok")]
    (silent,) = device_statuses(lake(tmp_path / "other", [*hourly("m1"), *hourly("m2", building_id="b2", until=NOW - 4 * HOUR)]),
                        building_id="b2").items  # fmt: skip
    assert silent.state == "silent"  # by the newest arrival of any building
    (found,) = device_statuses(
        folder, building_id="b2", as_of=NOW, limits=replace(DeviceLimits.from_alert_rules(), silent_minutes=60)
    ).items
    assert (found.building_id, found.state) == ("b2", "silent")


def test_a_lake_without_records_has_no_devices_and_a_missing_one_is_an_error(tmp_path: Path) -> None:
    found = device_statuses(lake(tmp_path / "empty", []))
    assert (found.as_of, found.items) == (None, ())
    with pytest.raises(ValueError, match="The table received_readings of the lake cannot be read"):
        device_statuses(str(tmp_path / "nowhere"))


def test_stuck_hours_count_the_last_equal_values(tmp_path: Path) -> None:
    values = [3.0, 3.0, 1.0, 2.0, 2.0, 2.0, 2.0]

    def readings() -> Iterator[Record]:
        for device, shown in (("a", values), ("b", values[:3]), ("c", values[:2])):
            for record, value in zip(reversed(hourly(device, len(shown))), shown, strict=True):
                yield record | {"energy_usage_kwh": value}

    found = by_name(tmp_path, list(readings()))
    assert {name: each.stuck_hours for name, each in found.items()} == {"a": 4.0, "b": 1.0, "c": 2.0}
    assert pd.Series([each.last_measured_at for each in found.values()]).nunique() == 1
