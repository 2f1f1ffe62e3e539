"""Jobs beside the pipeline of test_live on one node: backfill, training, maintenance, monitor, gateway, API; and failures."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from tests.k8s.cluster.build import NEXT
from tests.k8s.history import write_history
from tests.k8s.live import BUILDINGS, OVERLAY, READINGS, Live, light

from wattcast.deploy.applications import STATE, TORCH_MIB, Application, Size, application
from wattcast.deploy.manifests.pod_template import Target
from wattcast.deploy.manifests.spark_application import manifest

HISTORY = f"{STATE}/history.parquet"
KEYS = f"{STATE}/keys.json"  # as `wattcast keys` leaves it in the console


@pytest.fixture(scope="module")
def history(live: Live) -> str:
    """A file in the console with months of readings for trainings."""
    live.console("wattcast", "simulate", HISTORY, "--buildings", "6", "--days", "90", "--interval-minutes", "60")
    return HISTORY


def test_backfill_and_training_complete_and_the_new_model_forecasts(readings: Live, history: str) -> None:
    done = readings.wattcast("backfill", "submit", "--from", "2026-01-02T00:00", "--to", "2026-01-02T03:00")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (readings.table("forecasts")["purpose"] != "live").sum() == 3 * BUILDINGS
    assert readings.state_of("pipeline") == "RUNNING"

    training = replace(
        application("train"),
        driver=Size(1, heap_mib=512, python_mib=2 * TORCH_MIB),
        arguments=("--data", history, "--out", f"{STATE}/trained", "--steps", "20", "--name", "tried", "--register"),
    )
    said = submitted(readings, training)
    registered = re.search(r"Registered as version (\d+) \(tried ", said)
    assert registered, said
    version = registered.group(1)
    readings.console("wattcast", "models", "promote", version, "--force", "--reason", "to see that it is taken up")
    readings.console("wattcast", "replay", READINGS, "--from", "2026-01-06")
    readings.until("the new model forecasts", lambda: "tried" in set(readings.table("forecasts")["model_name"]), 240)


def test_scheduled_training_reads_the_lake_and_the_gate_refuses_what_it_trained(readings: Live, history: str) -> None:
    lake = f"{STATE}/lake-of-months"
    write_history(readings.on_this_machine(lake), readings.on_this_machine(history))
    scheduled = application("train")
    hasty = replace(
        scheduled,
        driver=Size(1, heap_mib=512, python_mib=2 * TORCH_MIB),
        arguments=(*scheduled.arguments, "--steps", "20", "--name", "hasty"),
    )
    output = submitted(readings, hasty, WATTCAST_LAKE=lake)
    assert re.search(r"Not promoted: the gate refuses version \d+ \(hasty ", output), output


def test_maintenance_merges_files_beside_the_pipeline(readings: Live) -> None:
    readings.until("the pipeline is at rest", lambda: readings.is_at_rest(), 120)
    before = readings.facts("hourly_usage")
    merged = readings.files("hourly_usage")
    submitted(readings, application("maintain"))
    assert readings.files("hourly_usage") < merged
    assert before.equals(readings.facts("hourly_usage"))
    assert readings.state_of("pipeline") == "RUNNING"


def test_monitor_measures_and_serves_its_metrics_where_prometheus_scrapes(readings: Live) -> None:
    with running(readings, application("monitor")):
        readings.until("something is measured", lambda: readings.has("health", "completeness"), 240)
        pod = json.loads(readings.kubectl("get", "pod", "monitor-driver", "-o", "json").stdout)
        where = {
            key.rpartition("/")[2]: value
            for key, value in pod["metadata"]["annotations"].items()
            if "prometheus.io" in key
        }
        url = f"http://{pod['status']['podIP']}:{where['port']}{where['path']}"
        readings.until(
            "Prometheus is told", lambda: "wattcast_health{" in readings.cluster.run("curl", "-s", url).stdout, 60
        )


def test_retraining_ends_with_success_while_no_alert_calls_for_it(readings: Live) -> None:
    looking = replace(application("retrain"), driver=Size(1, heap_mib=512, python_mib=TORCH_MIB))
    assert "Not training: no alert that calls for a new model is open." in submitted(readings, looking)


def test_sql_gateway_answers_a_client(readings: Live) -> None:
    with running(readings, replace(application("sql-gateway"), executors=1)):
        query = ("beeline", "-u", "jdbc:hive2://127.0.0.1:10000", "--silent=true", "--outputformat=tsv2", "-e")
        ask = "SELECT count(DISTINCT building_id) AS n FROM latest_forecasts"
        inside = ("exec", "sql-gateway-driver", "--", *query, ask)
        readings.until(
            "the gateway answers", lambda: readings.kubectl(*inside, check=False).stdout.split()[-1:] == ["50"], 240
        )


def test_api_answers_with_the_rows_of_the_table(readings: Live) -> None:
    key = readings.console("wattcast", "keys", "create", "tests", "--scope", "read").strip()
    readings.kubectl(
        "create", "secret", "generic", "api-keys", f"--from-file=keys.json={readings.on_this_machine(KEYS)}"
    )
    done = readings.wattcast("deploy", f"{OVERLAY}-api", "--image", NEXT)
    assert done.returncode == 0, done.stdout + done.stderr
    readings.kubectl("rollout", "status", "deployment/api", "--timeout=240s")
    address = readings.kubectl("get", "service", "api", "-o", "jsonpath={.spec.clusterIP}").stdout
    row = readings.table("forecasts").query("purpose == 'live'").sort_values("origin").iloc[-1]
    url = f"http://{address}/v1/buildings/{row['building_id']}/forecast"
    refused = readings.cluster.run("curl", "-s", url)
    assert json.loads(refused.stdout)["status"] == 401
    found = json.loads(readings.cluster.run("curl", "-s", "-H", f"X-API-Key: {key}", url).stdout)
    assert found["forecast_id"] == row["forecast_id"]
    assert [each["p50_kwh"] for each in found["hours"]] == list(row["p50_kwh"])
    readings.kubectl("delete", "deployment,hpa", "api")


def test_status_names_a_failure_a_missing_secret_and_a_lack_of_memory(live: Live) -> None:
    live.program("fails", "raise RuntimeError('no such meter')")
    live.program("hungry", "rows = [b'x' * (1 << 20) for _ in range(1 << 14)]", driver={"memory": "512m"})
    live.program("creds", "pass", secret="absent-creds")
    live.program("pulled", "pass", driver={"image": "localhost/absent:1"})
    live.wait_for("fails", "FAILED")
    assert "no such meter" in live.what_is_wrong("fails")
    live.wait_for("hungry", "FAILED")
    assert "ran out of memory" in live.what_is_wrong("hungry")
    live.until("the Secret is named", lambda: "the Secret absent-creds that" in live.what_is_wrong("creds"), 120)
    live.until("the image is named", lambda: "localhost/absent:1 of pulled" in live.what_is_wrong("pulled"), 120)
    live.kubectl("delete", "sparkapplication", "fails", "hungry", "creds", "pulled")


def submitted(live: Live, app: Application, **variables: str) -> str:
    """The output of `wattcast submit` for a schedule that is run now, with further variables of its driver."""
    schedule = light(manifest(app, Target(image=NEXT)))
    container = schedule["spec"]["template"]["driver"]["template"]["spec"]["containers"][0]
    container.setdefault("env", []).extend({"name": name, "value": value} for name, value in variables.items())
    live.kubectl("apply", "-f", "-", stdin=json.dumps(schedule))
    done = live.wattcast("submit", app.name)
    assert done.returncode == 0, done.stdout + done.stderr
    live.kubectl("delete", "scheduledsparkapplication", app.name)
    return done.stdout


@contextmanager
def running(live: Live, app: Application) -> Iterator[None]:
    """Runs an application beside the pipeline for the block."""
    live.kubectl("create", "-f", "-", stdin=json.dumps(light(manifest(app, Target(image=NEXT)))))
    try:
        live.wait_for(app.name, "RUNNING")
        yield
    finally:
        live.kubectl("delete", "sparkapplication", app.name)
