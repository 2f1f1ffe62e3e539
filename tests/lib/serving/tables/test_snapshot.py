"""The snapshot follows the tables through any change, and reports what it cannot read."""

import shutil
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.schema import Field, PrimitiveType
from tests.lib.serving.conftest import served, settings_of
from tests.lib.serving.http import problem
from tests.lib.serving.lake import END, append, forecasts_of, write_lake

from wattcast.serving.problems import Unavailable
from wattcast.serving.queries import history as history_queries
from wattcast.serving.routes.server import server_status
from wattcast.serving.tables.snapshot import Snapshot

HOUR = timedelta(hours=1)


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    """The snapshot of a lake with two buildings, which a test may change."""
    write_lake(tmp_path / "lake", buildings=2, days=2)
    snapshot = Snapshot(settings_of(tmp_path))
    snapshot.refresh()
    return snapshot


@pytest.fixture
def lake(snapshot: Snapshot, tmp_path: Path) -> Path:
    return tmp_path / "lake"


def status(snapshot: Snapshot) -> tuple[str, set[str]]:
    """The status of /readyz, and the tables with a problem."""
    body = server_status(snapshot)
    return body["status"], set(body["problems"])


def origins(snapshot: Snapshot) -> dict[str, Any]:
    return {row["building_id"]: row["origin"] for row in snapshot.view.latest("forecasts").all}


def commit_file(lake: Path, table: str) -> Path:
    """The newest commit of a table."""
    return max((lake / table / "_delta_log").glob("*.json"))


def arrived(at: datetime, offset: int) -> dict[str, Any]:
    return {
        "building_id": "building-0", "device_id": "meter-0", "kafka_timestamp": at, "measured_at": at, "accepted": True,
        "kafka_topic": "readings", "kafka_partition": 0, "kafka_offset": offset, "payload_bytes": 1, "rejected_for": [],
        "energy_usage_kwh": 1.0,
    }  # fmt: skip


def test_vanished_table_is_a_problem_and_its_rows_stay(snapshot: Snapshot, lake: Path) -> None:
    before = origins(snapshot)
    shutil.rmtree(lake / "forecasts")
    snapshot.refresh()
    assert status(snapshot) == ("degraded", {"forecasts"})
    assert origins(snapshot) == before


def test_vanished_lake_is_a_problem_of_every_table(snapshot: Snapshot, lake: Path) -> None:
    shutil.rmtree(lake)
    read_at = snapshot.state.read_at
    snapshot.refresh()
    assert status(snapshot)[0] == "degraded"
    assert {"forecasts", "buildings", "alerts", "received_readings"} <= status(snapshot)[1]
    assert snapshot.state.read_at == read_at


@pytest.mark.parametrize("commits", [1, 2, 5])
def test_recreated_table_is_read_from_its_beginning(snapshot: Snapshot, lake: Path, commits: int) -> None:
    """With fewer versions than the previous table, as many, and more."""
    append(lake, "forecasts", forecasts_of(["building-0", "building-1"], END + 5 * HOUR))
    snapshot.refresh()
    shutil.rmtree(lake / "forecasts")
    for hour in range(1, commits + 1):
        append(lake, "forecasts", forecasts_of(["building-0"], END + hour * HOUR))
    snapshot.refresh()
    assert origins(snapshot) == {"building-0": END + commits * HOUR}
    append(lake, "forecasts", forecasts_of(["building-0"], END + 9 * HOUR))
    snapshot.refresh()
    assert origins(snapshot) == {"building-0": END + 9 * HOUR}
    assert status(snapshot) == ("ready", set())
    assert len(history_queries.history(snapshot.view, "building-0", END, END + 2 * HOUR, None)) == 1


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_half_written_commit_is_a_problem_until_it_is_whole(snapshot: Snapshot, lake: Path, share: float) -> None:
    before = origins(snapshot)
    append(lake, "forecasts", forecasts_of(["building-0"], END + HOUR))
    file = commit_file(lake, "forecasts")
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * share)])
    for _ in range(2):
        snapshot.refresh()
        assert status(snapshot) == ("degraded", {"forecasts"})
        assert origins(snapshot) == before
    file.write_bytes(whole)
    snapshot.refresh()
    assert status(snapshot) == ("ready", set())
    assert origins(snapshot) == before | {"building-0": END + HOUR}


def test_commit_that_was_cut_between_two_lines_is_read_again_when_it_is_whole(snapshot: Snapshot, lake: Path) -> None:
    append(lake, "forecasts", forecasts_of(["building-0"], END + HOUR))
    file = commit_file(lake, "forecasts")
    lines = sorted(file.read_bytes().splitlines(keepends=True), key=lambda line: b'"add"' in line)
    file.write_bytes(lines[0])
    snapshot.refresh()
    file.write_bytes(b"".join(lines))
    snapshot.refresh()
    assert origins(snapshot)["building-0"] == END + HOUR


def test_half_written_file_leaves_history_and_forecasts_of_the_past(snapshot: Snapshot, lake: Path) -> None:
    def hours() -> int:
        return len(history_queries.history(snapshot.view, "building-0", END - 24 * HOUR, END + HOUR, None))

    before = hours()
    for table in ("forecasts", "hourly_usage"):
        rows = DeltaTable(str(lake / table)).to_pandas().tail(1)
        append(lake, table, rows)
        newest = max((lake / table).glob("*.parquet"), key=lambda file: file.stat().st_mtime_ns)
        newest.write_bytes(newest.read_bytes()[:100])
    snapshot.refresh()
    assert status(snapshot) == ("degraded", {"forecasts", "hourly_usage"})
    assert hours() == before


def test_column_that_is_missing_is_a_problem_of_that_table_alone(snapshot: Snapshot, lake: Path) -> None:
    shutil.rmtree(lake / "alerts")
    write_deltalake(
        str(lake / "alerts"), pa.table({"alert_id": ["a"], "changed_at": pa.array([END], pa.timestamp("us", "UTC"))})
    )
    append(lake, "forecasts", forecasts_of(["building-0"], END + HOUR))
    snapshot.refresh()
    assert status(snapshot) == ("degraded", {"alerts"})
    assert origins(snapshot)["building-0"] == END + HOUR


def test_rows_that_were_removed_are_dropped(snapshot: Snapshot, lake: Path) -> None:
    before = origins(snapshot)
    append(lake, "forecasts", forecasts_of(["building-0"], END + HOUR))
    snapshot.refresh()
    DeltaTable(str(lake / "forecasts")).restore(0)
    snapshot.refresh()
    assert origins(snapshot) == before


def compact(lake: Path) -> None:
    DeltaTable(str(lake / "received_readings")).optimize.z_order(["kafka_timestamp"])


def add_column(lake: Path) -> None:
    """As Spark does, which names the operation otherwise than delta-rs."""
    DeltaTable(str(lake / "received_readings")).alter.add_columns([Field("co2_ppm", PrimitiveType("double"))])
    commit = commit_file(lake, "received_readings")
    commit.write_text(commit.read_text().replace('"ADD COLUMN"', '"ADD COLUMNS"'))


@pytest.mark.parametrize("change", [compact, add_column])
def test_upkeep_of_a_table_does_not_change_the_age_of_its_data(
    change: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATTCAST_FORECASTING__CLOCK", "arrival")
    write_lake(tmp_path / "lake", buildings=2, days=2)
    table = str(tmp_path / "lake" / "received_readings")
    ago = datetime.now(UTC) - 10 * HOUR
    commit = commit_file(tmp_path / "lake", "received_readings")
    stamp = DeltaTable(table).history(1)[0]["timestamp"]
    commit.write_text(commit.read_text().replace(str(stamp), str(int(ago.timestamp() * 1000))))
    snapshot = Snapshot(settings_of(tmp_path))
    snapshot.refresh()
    change(tmp_path / "lake")
    snapshot.refresh()
    started_again = Snapshot(settings_of(tmp_path))
    started_again.refresh()
    for reader in (snapshot, started_again):
        assert reader.tables.table("received_readings").version == 1
        assert reader.view.age_seconds(reader.state.as_of) == pytest.approx(36_000, abs=60)
        assert reader.view.latest("devices").all


def test_clock_that_runs_ahead_drops_no_other_device(snapshot: Snapshot, lake: Path) -> None:
    ahead = arrived(datetime.now(UTC) + timedelta(days=3650), 99_999)
    append(lake, "received_readings", [ahead])
    append(lake, "received_readings", [arrived(datetime.now(UTC), 99_998) | {"device_id": "meter-9"}])
    for reader in (snapshot, Snapshot(snapshot.settings)):
        reader.refresh()
        assert {"meter-0", "meter-9"} <= {row["device_id"] for row in reader.view.latest("devices").all}


def test_unreadable_table_is_named_with_the_time_of_its_last_reading(tmp_path: Path) -> None:
    write_lake(tmp_path / "lake", buildings=2, days=2)
    with served(settings_of(tmp_path)) as client:
        assert "wattcast-unreadable" not in client.get("/v1/alerts").headers
        shutil.rmtree(tmp_path / "lake" / "alerts")
        client.refresh()
        answer = client.get("/v1/alerts")
    assert answer.status_code == 200
    name, _, read_time = answer.headers["wattcast-unreadable"].partition(";read=")
    assert name == "alerts"
    assert datetime.now(UTC) - datetime.fromisoformat(read_time) < timedelta(minutes=5)


def test_ended_thread_is_neither_alive_nor_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_lake(tmp_path / "lake", buildings=2, days=2)
    has_ended = threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda _: has_ended.set())
    with served(settings_of(tmp_path)) as client:
        assert client.get("/healthz").status_code == 200
        monkeypatch.setattr(Snapshot, "refresh", lambda _: 1 / 0)  # a bug in the refresh
        assert has_ended.wait(30)
        client.state.snapshot._thread.join(30)
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (503, "stopped")
        assert client.get("/healthz").status_code == 503


def test_refresh_that_does_not_end_is_a_problem(snapshot: Snapshot) -> None:
    assert snapshot.overdue_seconds() is None
    snapshot._refreshed_at -= 100
    assert status(snapshot) == ("degraded", {"refresh"})


def test_table_that_was_never_read_is_unavailable(tmp_path: Path) -> None:
    empty = Snapshot(settings_of(tmp_path))
    with pytest.raises(Unavailable, match="has not been read yet"):
        empty.tables.table("forecasts")


def test_missing_lake_is_unavailable_until_it_is_created(tmp_path: Path) -> None:
    with served(settings_of(tmp_path)) as client:
        assert "The table forecasts of the lake cannot be read" in problem(client.get("/v1/buildings/a/forecast"), 503)
        assert problem(client.get("/v1/rejected"), 503)
        assert str(tmp_path) not in client.get("/v1/overview").text
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (503, "starting")
        write_lake(tmp_path / "lake", buildings=2, days=2)
        client.refresh()
        assert client.get("/readyz").json()["status"] == "ready"
        assert client.get("/v1/buildings/building-0/forecast").status_code == 200


def test_half_written_table_leaves_the_last_good_state_with_its_age(tmp_path: Path) -> None:
    names = write_lake(tmp_path / "lake", buildings=2, days=2)
    with served(settings_of(tmp_path)) as client:
        before = client.get(f"/v1/buildings/{names[0]}/forecast").json()
        append(tmp_path / "lake", "forecasts", forecasts_of(names, END))
        newest = max((tmp_path / "lake" / "forecasts").glob("*.parquet"), key=lambda file: file.stat().st_mtime_ns)
        newest.write_bytes(newest.read_bytes()[:100])
        client.refresh()
        body = client.get(f"/v1/buildings/{names[0]}/forecast").json()
        assert body["forecast_id"] == before["forecast_id"]
        assert body["age_seconds"] >= before["age_seconds"]
        ready = client.get("/readyz").json()
        assert ready["status"] == "degraded"
        assert "forecasts" in ready["problems"]


def test_lake_in_s3_that_does_not_answer_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("ENDPOINT_URL", "http://127.0.0.1:9"),
        ("ACCESS_KEY_ID", "a"),
        ("SECRET_ACCESS_KEY", "b"),
        ("REGION", "x"),
    ):
        monkeypatch.setenv(f"AWS_{name}", value)
    current = settings_of(tmp_path).model_copy(update={"lake": "s3a://bucket/lake"})
    with served(current) as client:
        assert "cannot be read now" in problem(client.get("/v1/overview"), 503)
        assert client.get("/healthz").status_code == 200
