"""The monitor where readings are of long ago: what carries the machine's time is told by it, and what was begun is known."""

import fcntl
import json
import os
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.jobs.steps import work
from tests.jobs.test_monitor import put

import monitor
from monitor import MONITOR, check_contracts, retrain, this_machine
from wattcast import expectations
from wattcast.job import Run

ARRIVAL = datetime(2019, 3, 20, 12, 1)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


@pytest.fixture
def replay(once: Run) -> Run:
    """One reading of years ago; contracts are checked every two days."""
    reading = {
        "building_id": "b", "device_id": "b", "measured_at": ARRIVAL - 61 * MINUTE, "energy_usage_kwh": 1.0, "accepted": True,
        "kafka_topic": "readings", "kafka_partition": 0, "kafka_offset": 0, "kafka_timestamp": ARRIVAL, "rejected_for": [],
        "schema_version": 1,
    }  # fmt: skip
    put(once, "received_readings", pd.DataFrame([reading]))
    own = once.settings.with_changes(monitoring={"contracts_hours": 48}).model_copy(
        update={"state": once.settings.state}
    )
    return Run(type(once.lake)(once.spark, own, once=True), once.broker, own)


def measured(*rows: tuple[datetime, str, str, str, float]) -> pd.DataFrame:
    """Rows of `health`: when, by the machine, the measure, of what, and its value."""
    made = pd.DataFrame(rows, columns=["as_of", "measure", "scope", "subject", "value"])
    return made.assign(measured_at=made["as_of"])


def checked(now: datetime, failures: float = 0.0, ago: timedelta = HOUR) -> pd.DataFrame:
    return measured((now - ago, "contract_failures", "table", "hourly_usage", failures))


def alerts(run: Run) -> set[tuple[str, str, str]]:
    return {(row.rule, row.subject, row.state) for row in run.lake.table("alerts").collect()}


def open_alert(rule: str, scope: str, subject: str) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "alert_id": rule, "state": "firing", "changed_at": ARRIVAL, "rule": rule, "severity": "critical",
                "scope": scope, "subject": subject, "started_at": ARRIVAL, "value": 99.0, "threshold": 30.0, "message": "?",
                "created_at": ARRIVAL,
            }
        ]
    )  # fmt: skip


def test_a_query_that_lags_is_told_in_a_replay_too(replay: Run) -> None:
    now = this_machine()
    progress = [
        (now - ago * MINUTE, measure, "query", "ingest", value)
        for ago in (20, 10, 1)
        for measure, value in (("stream_lag_records", 3e5), ("batch_seconds", 1.0))
    ]
    put(replay, "health", pd.concat([measured(*progress), checked(now)]))
    work(replay, MONITOR)
    assert ("stream_lag", "ingest", "firing") in alerts(replay)
    assert not {rule for rule, _, _ in alerts(replay)} & {"no_check_in", "contract_broken"}


def test_what_is_wrong_goes_on_though_nothing_was_heard_of_it_for_a_day(replay: Run) -> None:
    now = this_machine()
    silent = measured((now - 10 * MINUTE, "check_in_minutes", "query", "ingest", 1490.0))
    put(replay, "health", pd.concat([silent, checked(now, 2.0, ago=47 * HOUR)]))
    put(replay, "alerts", open_alert("no_check_in", "query", "ingest"))
    put(replay, "alerts", open_alert("contract_broken", "table", "hourly_usage"))
    for _ in range(2):
        work(replay, MONITOR)
        assert {state for rule, _, state in alerts(replay) if rule in ("no_check_in", "contract_broken")} == {"firing"}
    ages = replay.lake.table("health").where("measure = 'check_in_minutes'").orderBy("as_of").toPandas()
    grown = (ages["as_of"] - ages["as_of"].iloc[0]).dt.total_seconds() / 60 + 1490
    assert list(ages["value"]) == pytest.approx(list(grown), abs=0.1)
    assert len(ages) == 3  # also while the clock of the readings stands still


def test_a_broken_contract_is_told_at_once_and_the_check_is_remembered(
    replay: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expectations, "check", partial(expectations.check, names=("hourly_usage",)))
    hour = {"building_id": "b", "hour": ARRIVAL - HOUR, "available_at": ARRIVAL, "revision": 1, "energy_usage_kwh": 1.0,
            "readings_seen": 1, "coverage": 7.0, "quality_flags": [], "as_of": ARRIVAL}  # fmt: skip
    put(replay, "hourly_usage", pd.DataFrame([hour]))
    work(replay, MONITOR)
    assert ("contract_broken", "hourly_usage", "firing") in alerts(replay)
    assert not check_contracts(replay, this_machine() + 47 * HOUR)
    assert check_contracts(replay, this_machine() + 49 * HOUR)
    assert not check_contracts(replay, this_machine() + 50 * HOUR)


def test_alerts_are_told_whatever_becomes_of_the_check_of_contracts(
    replay: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(expectations, "check", fails)
    put(replay, "hourly_usage", pd.DataFrame([{
        "building_id": "b", "hour": ARRIVAL - 24 * HOUR, "available_at": ARRIVAL, "revision": 1, "energy_usage_kwh": 1.0,
        "readings_seen": 1, "quality_flags": [], "as_of": ARRIVAL,
    }]))  # fmt: skip
    with pytest.raises(OSError, match="no space left"):
        work(replay, MONITOR)
    assert alerts(replay) == {("no_forecast", "fleet", "firing")}


TRAINING = """
import json, sys
from pathlib import Path

folder = Path(__file__).parent
(folder / "asked").write_text(json.dumps(sys.argv[1:]))  # waits until it is read
(folder / "go_on").read_text()  # waits until it is written
"""


@pytest.fixture
def training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in the place of the training that says how it was called and ends when it is told to."""
    folder = tmp_path / "jobs"
    folder.mkdir()
    (folder / "train.py").write_text(TRAINING)
    for name in ("asked", "go_on"):
        os.mkfifo(folder / name)
    monkeypatch.setattr(monitor, "project_folder", lambda _: folder)
    return folder


def trainings(run: Run) -> list[tuple[datetime, str]]:
    rows = run.lake.table("health").where("measure = 'retraining_started'").orderBy("as_of").collect()
    return [(row.as_of, row.details) for row in rows]


def test_drift_starts_one_training_at_a_time_and_the_gate_decides(replay: Run, training: Path) -> None:
    now, state = datetime(2026, 3, 20, 12), replay.settings.state.resolve()
    retrain(replay, now, set())
    assert trainings(replay) == []
    retrain(replay, now, {"input_drift", "accuracy_worse_than_naive"})
    because = "accuracy_worse_than_naive, input_drift"
    assert trainings(replay) == [(now, because)]
    asked = ["--out", str(state / "retrained"), "--begin-anew", "--promote"]
    assert json.loads((training / "asked").read_text()) == asked
    retrain(replay, now + HOUR, {"input_drift"})  # too early
    retrain(replay, now + 25 * HOUR, {"input_drift"})  # the last one goes on
    assert trainings(replay) == [(now, because)]
    (training / "go_on").write_text("")
    with (state / "logs" / "retrain.log").open("ab") as told:
        fcntl.flock(told, fcntl.LOCK_EX)  # it has ended
    retrain(replay, now + 25 * HOUR, {"input_drift"})
    assert trainings(replay) == [(now, because), (now + 25 * HOUR, "input_drift")]
    assert json.loads((training / "asked").read_text()) == asked
    (training / "go_on").write_text("")
