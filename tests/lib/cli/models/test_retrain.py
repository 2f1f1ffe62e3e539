"""`wattcast retrain` trains once for an open alert, and says why it does or does not train."""

import runpy
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from wattcast.cli.models import retrain
from wattcast.contracts import contract
from wattcast.settings import project_folder, settings

ARROW = {"TIMESTAMP": pa.timestamp("us", "UTC"), "STRING": pa.string(), "DOUBLE": pa.float64(), "BIGINT": pa.int64()}
NOW = datetime.now(UTC)
TRAINING_STATUS = 3


def put(name: str, rows: Sequence[dict[str, Any]]) -> None:
    schema = pa.schema([(column.name, ARROW[column.physical_type]) for column in contract(name).columns])
    write_deltalake(f"{settings().lake_uri}/{name}", pa.Table.from_pylist(list(rows), schema), mode="append")


def alert(rule: str, *states: str) -> list[dict[str, Any]]:
    return [
        {"alert_id": rule, "rule": rule, "state": state, "changed_at": NOW - timedelta(minutes=30 - number)}
        for number, state in enumerate(states)
    ]


def training_starts() -> list[str]:
    rows = DeltaTable(f"{settings().lake_uri}/health").to_pyarrow_table().to_pylist()
    starts = [row for row in rows if row["measure"] == "retraining_started"]
    return [row["details"] for row in sorted(starts, key=lambda row: row["as_of"])]


def run(*, force: bool = False) -> int:
    try:
        retrain.main(force=force)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.fixture
def trainings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty lake, and a program in the place of the training: a file with a line for each run."""
    monkeypatch.setenv("WATTCAST_STATE", str(tmp_path / "state"))
    settings.cache_clear()
    log = tmp_path / "trainings"
    log.touch()
    program = f"open({str(log)!r}, 'a').write('trained\\n'); raise SystemExit({TRAINING_STATUS})"
    monkeypatch.setattr(retrain, "training_command", lambda state: [sys.executable, "-c", program])
    put("alerts", [])
    put("health", [])
    yield log
    settings.cache_clear()


def test_an_open_alert_starts_one_training_and_gives_its_exit_status(
    trainings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put("alerts", [*alert("input_drift", "firing"), *alert("accuracy_worse_than_naive", "firing")])
    assert run() == TRAINING_STATUS
    assert run() == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == "Training, because these alerts are open: accuracy_worse_than_naive, input_drift."
    assert second.startswith("Not training: the last training started at")
    assert "less than 24 hours ago (monitoring.retrain_hours)" in second
    assert trainings.read_text() == "trained\n"
    assert training_starts() == ["accuracy_worse_than_naive, input_drift"]


def test_the_spark_application_trains_for_an_open_alert_and_has_the_exit_status_of_the_training(
    trainings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["retrain.py"])
    file = str(project_folder("jobs") / "retrain.py")
    with pytest.raises(SystemExit) as without_alert:
        runpy.run_path(file, run_name="__main__")
    put("alerts", alert("input_drift", "firing"))
    with pytest.raises(SystemExit) as with_alert:
        runpy.run_path(file, run_name="__main__")
    assert (without_alert.value.code, with_alert.value.code) == (0, TRAINING_STATUS)
    assert trainings.read_text() == "trained\n"


def test_a_training_of_long_ago_does_not_keep_the_next_one_away(trainings: Path) -> None:
    put("alerts", alert("input_drift", "firing"))
    start = {"measure": "retraining_started", "scope": "fleet", "subject": "fleet", "value": 1.0, "details": "before"}
    put("health", [start | {"as_of": NOW - timedelta(hours=25), "measured_at": NOW - timedelta(hours=25)}])
    assert run() == TRAINING_STATUS
    assert training_starts() == ["before", "input_drift"]


@pytest.mark.parametrize(
    "changes", [[], alert("input_drift", "firing", "resolved"), alert("meter_silent", "firing")],
    ids=["none", "resolved", "of a rule without retrains"],
)  # fmt: skip
def test_without_an_open_alert_that_calls_for_a_model_nothing_is_trained(
    trainings: Path, changes: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    put("alerts", changes)
    assert run() == 0
    assert capsys.readouterr().out == "Not training: no alert that calls for a new model is open.\n"
    assert (trainings.read_text(), training_starts()) == ("", [])


def test_of_two_at_once_the_second_does_not_train(trainings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put("alerts", alert("input_drift", "firing"))
    with retrain.training_lock(settings().state.resolve()) as lock:
        assert lock is not None
        assert run(force=True) == 0
    assert "another `wattcast retrain` is still running" in capsys.readouterr().out
    assert trainings.read_text() == ""
    assert run() == TRAINING_STATUS


def test_force_trains_without_an_alert_and_soon_after_a_training(trainings: Path) -> None:
    assert [run(force=True), run(force=True)] == [TRAINING_STATUS] * 2
    assert trainings.read_text() == "trained\n" * 2
    assert training_starts() == ["--force"] * 2


def test_a_lake_without_tables_is_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WATTCAST_STATE", str(tmp_path))
    settings.cache_clear()
    assert run() == 2
    assert "The table alerts of the lake cannot be read" in capsys.readouterr().err
    settings.cache_clear()


def test_the_training_asks_the_gate_and_resumes_or_discards_a_killed_run(tmp_path: Path) -> None:
    assert retrain.training_command(tmp_path)[2:] == [
        "wattcast.cli", "train", "--out", str(tmp_path / "retrained"), "--begin-anew", "--promote",
    ]  # fmt: skip


def test_sigterm_stops_the_training_too(tmp_path: Path) -> None:
    program = "import os, signal; os.kill(os.getppid(), signal.SIGTERM); signal.pause()"
    with retrain.training_lock(tmp_path) as lock:
        assert lock is not None
        assert retrain.supervised([sys.executable, "-c", program], lock) == 128 + signal.SIGTERM
