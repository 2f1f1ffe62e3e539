"""The monitor on readings of years ago: measures with the machine's time follow that clock, all others the readings."""

import logging
import subprocess
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pandas as pd
import pytest
from jobs.monitor import MONITOR, monitor
from tests.jobs.monitored import put
from tests.jobs.steps import work

from wattcast.monitoring.alerting.retraining import last_training_start, record_training_start
from wattcast.monitoring.context import newest_arrival
from wattcast.monitoring.measures import contract_checks
from wattcast.runtime.context import Run, build_run
from wattcast.times import now_utc

ARRIVAL = datetime(2019, 3, 20, 12, 1)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
READING = {
    "building_id": "b", "device_id": "b", "measured_at": ARRIVAL - 61 * MINUTE, "energy_usage_kwh": 1.0, "accepted": True,
    "kafka_topic": "readings", "kafka_partition": 0, "kafka_offset": 0, "kafka_timestamp": ARRIVAL, "rejected_for": [],
    "schema_version": 1,
}  # fmt: skip


@pytest.fixture
def replay(once: Run) -> Run:
    """One reading of years ago; contracts are checked every two days."""
    put(once, "received_readings", pd.DataFrame([READING]))
    own = once.settings.with_changes(monitoring={"contracts_hours": 48}).model_copy(
        update={"state": once.settings.state}
    )
    return build_run(once.spark, own, once=True)


def measured(*rows: tuple[datetime, str, str, str, float]) -> pd.DataFrame:
    """Rows of `health`: as_of by the machine, measure, scope, subject and value."""
    table = pd.DataFrame(rows, columns=["as_of", "measure", "scope", "subject", "value"])
    return table.assign(measured_at=table["as_of"])


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


def test_a_record_stamped_months_ahead_of_the_hours_does_not_make_the_others_silent(replay: Run) -> None:
    ahead = READING | {"building_id": "x", "kafka_offset": 1, "kafka_timestamp": ARRIVAL + timedelta(days=300)}
    put(replay, "received_readings", pd.DataFrame([ahead]))
    assert newest_arrival(replay.lake, now_utc()) == ARRIVAL + timedelta(days=300)
    hour = {"building_id": "b", "hour": ARRIVAL - 61 * MINUTE, "available_at": ARRIVAL, "revision": 1, "as_of": ARRIVAL}
    put(
        replay,
        "hourly_usage",
        pd.DataFrame([hour | {"energy_usage_kwh": 1.0, "readings_seen": 1, "quality_flags": []}]),
    )
    assert newest_arrival(replay.lake, now_utc()) == ARRIVAL


def test_a_query_that_lags_raises_an_alert_in_a_replay_too(replay: Run) -> None:
    now = now_utc()
    progress = [
        (now - ago * MINUTE, measure, "query", "ingest", value)
        for ago in (20, 10, 1)
        for measure, value in (("stream_lag_records", 3e5), ("batch_seconds", 1.0))
    ]
    put(replay, "health", pd.concat([measured(*progress), checked(now)]))
    work(replay, MONITOR)
    assert ("stream_lag", "ingest", "firing") in alerts(replay)
    assert not {rule for rule, _, _ in alerts(replay)} & {"no_check_in", "contract_broken"}


def test_an_alert_stays_open_though_its_subject_was_not_measured_for_a_day(replay: Run) -> None:
    now = now_utc()
    silent = measured((now - 10 * MINUTE, "check_in_minutes", "query", "ingest", 1490.0))
    put(replay, "health", pd.concat([silent, checked(now, 2.0, ago=47 * HOUR)]))
    put(replay, "alerts", open_alert("no_check_in", "query", "ingest"))
    put(replay, "alerts", open_alert("contract_broken", "table", "hourly_usage"))
    for _ in range(2):
        work(replay, MONITOR)
        assert {state for rule, _, state in alerts(replay) if rule in ("no_check_in", "contract_broken")} == {"firing"}
    ages = replay.lake.table("health").where("measure = 'check_in_minutes'").orderBy("as_of").toPandas()
    expected = (ages["as_of"] - ages["as_of"].iloc[0]).dt.total_seconds() / 60 + 1490
    assert list(ages["value"]) == pytest.approx(list(expected), abs=0.1)
    assert len(ages) == 3  # a row for each evaluation, although the clock of the readings stands still


def test_a_failed_contract_raises_an_alert_at_once_and_is_checked_again_only_when_due(
    replay: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contract_checks, "check_tables", partial(contract_checks.check_tables, names=("hourly_usage",)))
    hour = {"building_id": "b", "hour": ARRIVAL - HOUR, "available_at": ARRIVAL, "revision": 1, "energy_usage_kwh": 1.0,
            "readings_seen": 1, "coverage": 7.0, "quality_flags": [], "as_of": ARRIVAL}  # fmt: skip
    put(replay, "hourly_usage", pd.DataFrame([hour]))
    work(replay, MONITOR)
    assert ("contract_broken", "hourly_usage", "firing") in alerts(replay)
    assert not monitor(replay).check_contracts(now_utc() + 47 * HOUR)
    assert monitor(replay).check_contracts(now_utc() + 49 * HOUR)
    assert not monitor(replay).check_contracts(now_utc() + 50 * HOUR)


def test_alerts_are_raised_before_a_contract_check_that_fails(replay: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(contract_checks, "check_tables", fails)
    put(replay, "hourly_usage", pd.DataFrame([{
        "building_id": "b", "hour": ARRIVAL - 24 * HOUR, "available_at": ARRIVAL, "revision": 1, "energy_usage_kwh": 1.0,
        "readings_seen": 1, "quality_flags": [], "as_of": ARRIVAL,
    }]))  # fmt: skip
    with pytest.raises(OSError, match="no space left"):
        work(replay, MONITOR)
    assert alerts(replay) == {("no_forecast", "fleet", "firing")}


def test_the_monitor_starts_no_training_and_names_the_command_that_does(
    replay: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    started: list[Any] = []
    monkeypatch.setattr(subprocess, "Popen", lambda *arguments, **_: started.append(arguments))
    settings = replay.settings.with_changes(monitoring={"retrain_on_drift": True, "contracts_hours": 0}).model_copy(
        update={"state": replay.settings.state}
    )
    put(replay, "alerts", open_alert("input_drift", "feature", "occupancy"))
    put(replay, "health", measured((now_utc(), "input_drift_ks", "feature", "occupancy", 0.9)))
    with caplog.at_level(logging.WARNING):
        work(build_run(replay.spark, settings, once=True), MONITOR)
    assert started == []
    assert ("input_drift", "occupancy", "firing") in alerts(replay)
    assert caplog.text.count("no longer starts trainings: schedule `wattcast retrain`") == 1
    assert replay.lake.table("health").where("measure = 'retraining_started'").isEmpty()


def test_a_training_start_is_a_row_that_spark_reads_and_appends_after(replay: Run) -> None:
    now = now_utc()
    record_training_start(replay.settings, now.replace(tzinfo=UTC), ("input_drift",))
    put(replay, "health", measured((now, "batch_seconds", "query", "ingest", 1.0)))
    rows = replay.lake.table("health").orderBy("measure").collect()
    assert [(row.measure, row.as_of, row.details) for row in rows] == [
        ("batch_seconds", now, None), ("retraining_started", now, "input_drift"),
    ]  # fmt: skip
    assert last_training_start(replay.settings.lake_uri, after=now.replace(tzinfo=UTC) - HOUR)
