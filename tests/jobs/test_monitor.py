"""The monitor on a real lake: what it measures, against a computation of its own in pandas; alerts as rows and messages."""

import json
import signal
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from threading import Thread
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest
from pydantic import SecretStr
from scipy.stats import ks_2samp
from tests.jobs.steps import command, put_buildings, wait_until, work
from tests.monitoring.prometheus import firing, free_port, needs_prometheus, prometheus, up

from monitor import ALERTS, MONITOR
from wattcast.contracts import contract
from wattcast.drift import FEATURES, Reference
from wattcast.job import Run
from wattcast_models.artifact import read, shipped_artifact

BUILDINGS = [f"b{number}" for number in range(6)]
AS_OF = pd.Timestamp("2026-03-20T12:05:00")
DAYS = 40
SILENT, STUCK, LATE = "b1", "b2", "b3"


def hours() -> pd.DataFrame:
    """Hourly usage of DAYS days, of which one hour has a revision."""
    rng = np.random.default_rng(7)
    index = pd.date_range(AS_OF.floor("h") - pd.Timedelta(days=DAYS), AS_OF.floor("h"), freq="h", inclusive="left")
    made = [
        pd.DataFrame({
            "building_id": name, "hour": index, "available_at": index + pd.Timedelta(minutes=65), "revision": 1,
            "energy_usage_kwh": 5 + np.sin(np.arange(len(index)) / 24 * 6.28) + rng.random(len(index)),
            "temperature_c": 10 + rng.normal(0, 3, len(index)), "humidity_pct": 60 + rng.normal(0, 5, len(index)),
            "occupancy": rng.integers(0, 30, len(index)).astype(float),
            "readings_seen": 1, "readings_expected": 1, "coverage": 1.0,
            "as_of": index + pd.Timedelta(minutes=66),
        })
        for name in BUILDINGS
    ]  # fmt: skip
    rows = pd.concat(made, ignore_index=True)
    rows["quality_flags"] = [[] for _ in range(len(rows))]
    corrected = rows.iloc[-30:-29].assign(revision=2, energy_usage_kwh=50.0)
    corrected["available_at"] += pd.Timedelta(hours=1)
    return pd.concat([rows, corrected], ignore_index=True)


def records(usage: pd.DataFrame) -> pd.DataFrame:
    """What had arrived of the last three days: one meter silent for 10 hours, one stuck for 30, one late, and rejected ones."""
    recent = usage[(usage["revision"] == 1) & (usage["hour"] >= AS_OF - pd.Timedelta(days=3))]
    rows = recent.rename(columns={"hour": "measured_at"})[["building_id", "measured_at", *FEATURES]]
    rows["kafka_timestamp"] = rows["measured_at"] + pd.Timedelta(minutes=61)
    rows = rows[~((rows["building_id"] == SILENT) & (rows["measured_at"] >= AS_OF - pd.Timedelta(hours=11)))]
    rows.loc[
        (rows["building_id"] == STUCK) & (rows["measured_at"] >= AS_OF - pd.Timedelta(hours=31)), "energy_usage_kwh"
    ] = 4.25
    is_late = (rows["building_id"] == LATE) & (rows["measured_at"].dt.hour % 2 == 0)
    rows.loc[is_late, "kafka_timestamp"] += pd.Timedelta(minutes=20)
    rows = rows[rows["kafka_timestamp"] <= AS_OF].assign(accepted=True)
    bad = rows.tail(9).assign(accepted=False)
    rows = pd.concat([rows, bad], ignore_index=True).reset_index(drop=True)
    rows["rejected_for"] = [
        [] if good else ["not_json", "empty_value"][: 1 + n % 2] for n, good in enumerate(rows["accepted"])
    ]
    return rows.assign(
        device_id=rows["building_id"],
        kafka_topic="readings",
        kafka_partition=0,
        kafka_offset=range(len(rows)),
        schema_version=1,
    )


def scores(usage: pd.DataFrame) -> pd.DataFrame:
    """Forecast hours of five weeks, those of the last week biased, with a second revision of some."""
    rng = np.random.default_rng(3)
    newest = usage.drop_duplicates(["building_id", "hour"], keep="last")
    rows = newest[newest["hour"] >= AS_OF - pd.Timedelta(days=36)].rename(columns={"hour": "target_hour"})
    actual = rows["energy_usage_kwh"].to_numpy()
    p50 = actual * rng.normal(1.0, 0.1, len(rows)) + 0.4 * (rows["target_hour"] >= AS_OF - pd.Timedelta(days=7))
    made = rows[["building_id", "target_hour"]].assign(
        forecast_id=[f"f{number}" for number in range(len(rows))], lead_hours=rng.integers(1, 25, len(rows)), local_hour=1,
        available_at=rows["target_hour"] + pd.Timedelta(minutes=65), origin=rows["target_hour"] - pd.Timedelta(hours=3),
        issued_at=rows["target_hour"] - pd.Timedelta(hours=3), purpose="live", method="model", model_name="m", model_version="1",
        actual_kwh=actual, p10_kwh=p50 - 0.5, p50_kwh=p50, p90_kwh=p50 + 0.5, pinball_kwh=0.1, last_day_kwh=actual,
        last_week_kwh=np.where(rng.random(len(rows)) < 0.1, np.nan, actual * 1.05), scored_at=AS_OF,
    )  # fmt: skip
    again = made.sample(40, random_state=1)
    again = again.assign(actual_kwh=again["actual_kwh"] + 1, available_at=again["available_at"] + pd.Timedelta(hours=2))
    both = pd.concat([made, again, made.head(50).assign(purpose="backfill-1", forecast_id="x")], ignore_index=True)
    error = both["p50_kwh"] - both["actual_kwh"]
    return both.assign(error_kwh=error, in_interval=error.abs() <= 0.5)


def put(run: Run, table: str, rows: pd.DataFrame) -> None:
    run.lake.append(table, lambda existing: run.lake.frame(table, rows))


@pytest.fixture
def lake(once: Run) -> Run:
    put_buildings(once, *({"building_id": name, "site": "here", "reading_interval_minutes": 60} for name in BUILDINGS))
    usage = hours()
    put(once, "hourly_usage", usage)
    put(once, "received_readings", records(usage))
    put(once, "forecast_scores", scores(usage))
    newest = pd.DataFrame({"building_id": BUILDINGS, "origin": AS_OF.floor("h")})
    lists = {name: [[1.0]] * len(newest) for name in ("p10_kwh", "p50_kwh", "p90_kwh")}
    put(once, "forecasts", newest.assign(
        forecast_id=newest["building_id"], purpose="live", issued_at=AS_OF, method="model", model_name="m", model_version="1",
        target_hour=[[AS_OF.to_pydatetime()]] * len(newest), warnings=[[] for _ in BUILDINGS], created_at=AS_OF, **lists,
    ))  # fmt: skip
    return Run(once.lake, once.broker, once.settings.with_changes(monitoring={"contracts_hours": 0}).model_copy(
        update={"state": once.settings.state}))  # fmt: skip


def measured(run: Run) -> pd.Series:
    rows = run.lake.table("health").toPandas()
    return rows.sort_values("as_of").drop_duplicates(["measure", "scope", "subject"], keep="last").set_index(
        ["measure", "scope", "subject"]
    )["value"]  # fmt: skip


def expected(run: Run) -> dict[tuple[str, str, str], float]:
    """The measures computed anew, straight from the stored rows and the words of the guide, without the monitor's functions."""
    at = AS_OF - pd.Timedelta(minutes=4)  # the newest arrival: 61 minutes after 11:00
    made: dict[tuple[str, str, str], float] = {}
    got = run.lake.table("received_readings").toPandas()
    day = got[got.kafka_timestamp > at - pd.Timedelta(days=1)]
    for name in BUILDINGS:
        good = got[(got.building_id == name) & got.accepted].sort_values("measured_at")
        made["meter_silent_minutes", "device", name] = (at - good.kafka_timestamp.max()).total_seconds() / 60
        made["freshness_minutes", "building", name] = (at - good.measured_at.max()).total_seconds() / 60 - 60
        same = 0
        for value in reversed(list(good.energy_usage_kwh)):
            if value != good.energy_usage_kwh.iloc[-1]:
                break
            same += 1
        made["meter_stuck_hours", "device", name] = float(same)
        recent = list(good[good.kafka_timestamp > at - pd.Timedelta(days=2)].energy_usage_kwh)
        apart = [abs(recent[n] - sorted(recent[n - 1 : n + 2])[1]) for n in range(1, len(recent) - 1)]
        made["meter_noise", "device", name] = float(np.mean(apart) / np.mean(np.abs(recent)))
        mine = day[day.building_id == name]
        delays = [
            (row.kafka_timestamp - row.measured_at).total_seconds() / 60 for row in mine[mine.accepted].itertuples()
        ]
        made["meter_late_share", "device", name] = sum(delay > 65 for delay in delays) / len(delays)
        made["meter_rejected_share", "device", name] = 1 - mine.accepted.mean()
        made["forecast_age_minutes", "building", name] = (
            1.0 if at == AS_OF else (at - AS_OF.floor("h")).total_seconds() / 60
        )
        made["completeness", "building", name] = 1.0
    made["rejected_share", "fleet", "fleet"] = 1 - day.accepted.mean()
    for rule in ("not_json", "empty_value"):
        made["rejected_share", "rule", rule] = sum(rule in each for each in day.rejected_for) / len(day)
    made["completeness", "fleet", "fleet"] = 1.0
    made |= _expected_accuracy(run, at) | _expected_drift(run, at)
    return made


def _expected_accuracy(run: Run, at: pd.Timestamp) -> dict[tuple[str, str, str], float]:
    made: dict[tuple[str, str, str], float] = {}
    rows = run.lake.table("forecast_scores").toPandas().query("purpose == 'live'").sort_values("available_at")
    rows = rows.groupby(["forecast_id", "lead_hours"], as_index=False).last()
    # `last` of groupby takes the last value that is not null, column by column: the revisions here differ in no null.
    now = rows[(rows.target_hour >= at - pd.Timedelta(days=7)) & (rows.target_hour < at)]
    then = rows[(rows.target_hour < at - pd.Timedelta(days=7)) & (rows.target_hour >= at - pd.Timedelta(days=35))]
    for scope, subject, part, old in [
        ("fleet", "fleet", now, then), ("model", "m 1", now, then),
        *(("building", name, now[now.building_id == name], then[then.building_id == name]) for name in BUILDINGS),
    ]:  # fmt: skip
        pairs = part[part.last_week_kwh.notna()]
        naive = np.mean(np.abs(pairs.last_week_kwh - pairs.actual_kwh))
        made["mae_ratio_to_last_week", scope, subject] = np.mean(np.abs(pairs.error_kwh)) / naive
        made["interval_coverage", scope, subject] = np.mean(part.in_interval)
        if scope != "fleet":
            made["residual_bias", scope, subject] = part.error_kwh.mean() / part.actual_kwh.mean()
        if scope == "building":
            made["residual_drift_ks", scope, subject] = ks_2samp(part.error_kwh, old.error_kwh).statistic
    return made


def _expected_drift(run: Run, at: pd.Timestamp) -> dict[tuple[str, str, str], float]:
    made: dict[tuple[str, str, str], float] = {}
    rows = (
        run.lake.table("hourly_usage")
        .toPandas()
        .sort_values("revision")
        .drop_duplicates(["building_id", "hour"], keep="last")
    )
    start = at - pd.Timedelta(days=7)
    reference = Reference.of(read(shipped_artifact())[0]["reference"])
    for name in FEATURES:
        values = []
        for building in BUILDINGS:
            mine = rows[rows.building_id == building]
            now = mine[(mine.hour >= start) & (mine.hour < at)][name]
            if name in ("energy_usage_kwh", "occupancy"):
                now = now / mine[(mine.hour < start) & (mine.hour >= start - timedelta(days=28))][name].mean()
            values += list(now)
        sample = reference.sample(name, pd.Series([3]))
        made["input_drift_ks", "feature", name] = ks_2samp(values, sample).statistic
        edges = sorted(set(np.quantile(sample, [n / 10 for n in range(1, 10)])))
        total = 0.0
        for low, high in zip([-np.inf, *edges], [*edges, np.inf], strict=True):
            a, e = (max(np.mean([low < v <= high for v in each]), 1e-4) for each in (values, sample))
            total += (a - e) * np.log(a / e)
        made["input_drift_psi", "feature", name] = total
    return made


def test_measures_are_those_of_pandas_on_the_same_stored_doubles(lake: Run) -> None:
    work(lake, MONITOR)
    found, wanted = measured(lake), expected(lake)
    for key, value in wanted.items():
        assert found[key] == pytest.approx(value, rel=1e-9, abs=1e-12), key
    assert len(wanted) > 80


def test_alerts_are_rows_and_messages_are_not_repeated_and_are_resolved(lake: Run) -> None:
    work(lake, MONITOR, ALERTS)
    rows = lake.lake.table("alerts").toPandas()
    raised = {(row.rule, row.subject) for row in rows.itertuples()}
    assert {("meter_silent", SILENT), ("meter_stuck", STUCK), ("meter_late", LATE)} & raised == {
        ("meter_silent", SILENT), ("meter_stuck", STUCK),
    }  # meter_late waits for half an hour  # fmt: skip
    assert set(rows["state"]) == {"firing"}
    back = records(hours()).tail(1).assign(
        building_id=SILENT, device_id=SILENT, kafka_offset=10_000, accepted=True, rejected_for=[[]],
        measured_at=AS_OF.floor("h"), kafka_timestamp=AS_OF.floor("h") + pd.Timedelta(minutes=62),
    )  # fmt: skip
    put(lake, "received_readings", back)
    work(lake, MONITOR, ALERTS)
    after = lake.lake.table("alerts").toPandas()
    added = after[~after.set_index(["alert_id", "state"]).index.isin(rows.set_index(["alert_id", "state"]).index)]
    firing_again = after[after["state"] == "firing"].groupby("alert_id").size()
    assert (firing_again == 1).all()
    assert ("meter_silent", SILENT, "resolved") in set(
        zip(added["rule"], added["subject"], added["state"], strict=True)
    )
    assert ("meter_late", LATE, "firing") in set(zip(added["rule"], added["subject"], added["state"], strict=True))
    check = jsonschema.Draft202012Validator(contract("alert-messages").json_schema())
    topic = lake.settings.kafka.alerts_topic
    consumer = lake.broker.consumer(topic)
    messages = list(islice(consumer, sum(end for _, end in lake.broker.offsets(topic).values())))
    consumer.close()
    said = [json.loads(message.value) for message in messages]
    for message, raw in zip(said, messages, strict=True):
        check.validate(message)
        assert raw.key.decode() == message["alert_id"]
    assert {(each["alert_id"], each["state"]) for each in said} == set(
        zip(after["alert_id"], after["state"], strict=True)
    )


class Hook(BaseHTTPRequestHandler):
    """A webhook that refuses the first request."""

    got: list[dict[str, Any]] = []  # noqa: RUF012 (emptied by the fixture)
    refused = 0

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not Hook.refused:
            Hook.refused = 1
            self.send_error(503)
            return
        Hook.got.append(body)
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def hook() -> Iterator[str]:
    Hook.got, Hook.refused = [], 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()


def test_webhook_is_told_each_change_once_also_after_a_refusal(lake: Run, hook: str) -> None:
    told = Run(lake.lake, lake.broker, lake.settings.with_changes(alerts={"webhook": SecretStr(hook)}).model_copy(
        update={"state": lake.settings.state}))  # fmt: skip
    work(told, MONITOR)
    assert (Hook.refused, Hook.got) == (1, [])
    work(told, MONITOR)
    rows = lake.lake.table("alerts").toPandas()
    sent = [(each["alert_id"], each["state"]) for body in Hook.got for each in body["alerts"]]
    assert sorted(sent) == sorted(zip(rows["alert_id"], rows["state"], strict=True))
    work(told, MONITOR)
    assert len(Hook.got) == 1


@needs_prometheus
def test_prometheus_scrapes_the_running_monitor_and_an_alert_fires(
    lake: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The application as a process of its own, its endpoint, and the rules of k8s/monitoring. The API's address can stand
    beside it."""
    port = free_port()
    for name, value in {
        "METRICS__PORT": port,
        "MONITORING__CONTRACTS_HOURS": 0,
        "KAFKA__ALERTS_TOPIC": lake.settings.kafka.alerts_topic,
    }.items():
        monkeypatch.setenv(f"WATTCAST_{name}", str(value))
    folder = tmp_path / "prometheus"
    folder.mkdir()
    with command(lake, "run", "monitor") as monitor, prometheus(folder, f"127.0.0.1:{port}") as (server, _):
        wait_until(monitor, lambda: ("meter_silent", SILENT) in firing(server))
        assert up(server) == 1
        assert {("meter_silent", SILENT), ("meter_stuck", STUCK)} <= firing(server)
        monitor.send_signal(signal.SIGTERM)
        _, said = monitor.communicate(timeout=300)
    assert monitor.returncode == 0, said
    assert "Traceback" not in said
    raised = {(row.rule, row.subject) for row in lake.lake.table("alerts").collect()}
    assert {("meter_silent", SILENT), ("meter_stuck", STUCK)} <= raised
