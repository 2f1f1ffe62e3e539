"""The monitor on a real lake: its measures against an independent computation in pandas; alerts as rows and messages."""

import json
import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import jsonschema
import numpy as np
import pandas as pd
import pytest
from jobs.monitor import ALERTS, MONITOR
from pydantic import SecretStr
from scipy.stats import ks_2samp
from tests.jobs.monitored import AS_OF, BUILDINGS, LATE, SILENT, STUCK, hours, put, records, scores
from tests.jobs.steps import command, put_buildings, wait_until, work
from tests.lib.monitoring.prometheus import firing, free_port, needs_prometheus, prometheus, up

from wattcast.contracts import contract
from wattcast.monitoring.measures.drift import FEATURES, TrainingReference
from wattcast.runtime.context import Run
from wattcast_models.artifact.files import read_artifact
from wattcast_models.artifact.folder import shipped_artifact


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
    return replace(once, settings=once.settings.with_changes(monitoring={"contracts_hours": 0}).model_copy(
        update={"state": once.settings.state}))  # fmt: skip


def measured(run: Run) -> pd.Series:
    rows = run.lake.table("health").toPandas()
    return rows.sort_values("as_of").drop_duplicates(["measure", "scope", "subject"], keep="last").set_index(
        ["measure", "scope", "subject"]
    )["value"]  # fmt: skip


def expected(run: Run) -> dict[tuple[str, str, str], float]:
    """The measures computed from the stored rows as the guide defines them, without the monitor's functions."""
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
    reference = TrainingReference.parse(read_artifact(shipped_artifact())[0]["reference"])
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


def test_alerts_are_rows_and_messages_and_are_not_repeated_and_are_resolved(lake: Run) -> None:
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

    received: ClassVar[list[dict[str, Any]]] = []  # emptied by the fixture
    refused = 0

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not Hook.refused:
            Hook.refused = 1
            self.send_error(503)
            return
        Hook.received.append(body)
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def hook() -> Iterator[str]:
    Hook.received, Hook.refused = [], 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()


def test_webhook_gets_each_change_once_also_after_a_refused_request(lake: Run, hook: str) -> None:
    delivering = replace(lake, settings=lake.settings.with_changes(alerts={"webhook": SecretStr(hook)}).model_copy(
        update={"state": lake.settings.state}))  # fmt: skip
    work(delivering, MONITOR)
    assert (Hook.refused, Hook.received) == (1, [])
    work(delivering, MONITOR)
    rows = lake.lake.table("alerts").toPandas()
    sent = [(each["alert_id"], each["state"]) for body in Hook.received for each in body["alerts"]]
    assert sorted(sent) == sorted(zip(rows["alert_id"], rows["state"], strict=True))
    work(delivering, MONITOR)
    assert len(Hook.received) == 1


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
