"""The pipeline on a real node: readings of 50 buildings in, forecasts out, and what happens when parts of it are killed.

The tests go on where the one before stopped, since it takes minutes to bring a pipeline up.
"""

import json
import re

import pandas as pd
import pytest
from tests.k8s.cluster.build import NEXT
from tests.k8s.live import BUILDINGS, NAMESPACE, OVERLAY, READINGS, Live

from wattcast.deploy.applications import STATE

# Read forecasts from Kafka until there are some of so many buildings; print how many came and the last of them.
CONSUMER = """
import json, sys
from kafka import KafkaConsumer
count, buildings = 0, set()
forecasts = KafkaConsumer(
    "forecasts", bootstrap_servers="kafka:9092", auto_offset_reset="earliest", consumer_timeout_ms=180_000
)
for record in forecasts:
    forecast = json.loads(record.value)
    count, buildings = count + 1, buildings | {forecast["building_id"]}
    if len(buildings) == int(sys.argv[1]):
        break
print(json.dumps({"count": count, "buildings": len(buildings), "last": forecast}))
"""
UNDISTURBED = {  # where another run of the same topic writes
    "WATTCAST_LAKE": f"{STATE}/undisturbed/lake",
    "WATTCAST_CHECKPOINTS": f"{STATE}/undisturbed/checkpoints",
    "WATTCAST_KAFKA__FORECASTS_TOPIC": "forecasts-undisturbed",
}
FACTS = {"received_readings": "", "hourly_usage": "as_of", "forecasts": "created_at"}  # and what may differ


def test_pods_run_without_privileges_at_the_level_that_the_namespace_enforces(readings: Live) -> None:
    level = "jsonpath={.metadata.labels.pod-security\\.kubernetes\\.io/enforce}"
    assert readings.cluster.asked("get", "namespace", NAMESPACE, "-o", level) == "restricted"
    readings.until("an executor runs", lambda: readings.pods("executor"), 120)
    for pod in (*readings.pods("driver"), *readings.pods("executor"), "kafka-0", "console"):
        status = readings.kubectl("exec", pod, "--", "cat", "/proc/1/status").stdout
        found = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert set(found["Uid"].split()) <= {"185", "1000"}, pod
        assert int(found["CapEff"], 16) == 0, pod
        assert found["NoNewPrivs"] == "1", pod
        assert found["Seccomp"] == "2", pod
    as_root = readings.kubectl("run", "root", "--image=localhost/stand-ins:1", check=False)
    assert 'violates PodSecurity "restricted' in as_root.stderr


def test_check_of_the_runbook_says_that_the_bridge_of_this_node_enforces_no_policy(readings: Live) -> None:
    runbook = (OVERLAY.parents[2] / "docs/runbook.md").read_text(encoding="utf-8")
    (check,) = re.findall(r'^check="(.+)"$', runbook, re.MULTILINE)
    address = readings.kubectl("get", "pod", "pipeline-driver", "-o", "jsonpath={.status.podIP}").stdout
    for pod in ("pipeline-driver", "console"):
        command = check.replace("$address", address)
        assert readings.kubectl("exec", pod, "--", "python3", "-c", command).stdout.strip() == "reached"


def test_pipeline_turns_readings_into_forecasts(readings: Live) -> None:
    readings.console("wattcast", "replay", READINGS, "--days", "1")
    found = json.loads(readings.console("python3", "-c", CONSUMER, str(BUILDINGS)))
    assert found["buildings"] == BUILDINGS
    assert len(found["last"]["target_hour"]) == 24
    readings.assert_arrived(days=1)


def test_killed_driver_is_restarted_and_nothing_is_lost_or_duplicated(readings: Live) -> None:
    (before,) = readings.pods("driver").values()
    sending = readings.in_hand("ingest", lambda: readings.replay_of_day(2))
    readings.kubectl("delete", "pod", "pipeline-driver", "--grace-period=0", "--force")
    readings.until("the operator starts another driver", lambda: set(readings.pods("driver").values()) - {before}, 240)
    assert sending.wait(120) == 0
    readings.assert_arrived(days=2)


def test_killed_executor_is_replaced_and_the_batch_continues(readings: Live) -> None:
    (driver,) = readings.pods("driver").values()
    readings.until("an executor runs", lambda: readings.pods("executor"), 120)
    executors = set(readings.pods("executor").values())
    sending = readings.in_hand("aggregate", lambda: readings.replay_of_day(3))
    for name in readings.pods("executor"):
        readings.kubectl("delete", "pod", name, "--grace-period=0", "--force")
    readings.until("there is another executor", lambda: set(readings.pods("executor").values()) - executors, 120)
    assert sending.wait(120) == 0
    readings.assert_arrived(days=3)
    assert set(readings.pods("driver").values()) == {driver}


def test_stop_ends_between_two_batches_and_start_continues(readings: Live) -> None:
    sending = readings.in_hand("ingest", lambda: readings.replay_of_day(4))
    stopped = readings.wattcast("stop", "pipeline")
    assert (stopped.returncode, stopped.stdout) == (0, "pipeline is stopped\n"), stopped.stderr
    assert sending.wait(120) == 0
    assert readings.is_at_rest()
    started = readings.wattcast("start", "pipeline", "--settle", "0")
    assert started.returncode == 0, started.stderr
    readings.assert_arrived(days=4)


def test_new_image_and_more_memory_roll_out_and_nothing_is_lost(readings: Live) -> None:
    sending = readings.in_hand("ingest", lambda: readings.replay_of_day(5))
    done = readings.wattcast("deploy", f"{OVERLAY}-next", "--image", NEXT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sending.wait(120) == 0
    driver = json.loads(readings.kubectl("get", "pod", "pipeline-driver", "-o", "json").stdout)["spec"]["containers"][0]
    assert driver["image"] == NEXT
    assert driver["resources"]["limits"]["memory"] == "3008Mi"  # 1600 of heap, 384 and one process of torch beside it
    readings.assert_arrived(days=5)


def test_rows_are_those_of_an_undisturbed_run(readings: Live) -> None:
    settings = [f"{name}={value}" for name, value in UNDISTURBED.items()]
    readings.import_buildings(*settings)
    readings.console("env", *settings, "wattcast", "run", "pipeline", "--once")
    for table, without in FACTS.items():
        expected = readings.facts(table, "undisturbed/lake", without=without)
        readings.wait_for_rows(table, len(expected))
        pd.testing.assert_frame_equal(readings.facts(table, without=without), expected, obj=table)
    assert len(expected) > BUILDINGS * 24 * 4
    readings.assert_audit_is_clean()


def test_hours_are_those_of_the_readings_whatever_was_killed(readings: Live) -> None:
    sent = pd.read_parquet(readings.on_this_machine(READINGS))
    sent = sent[sent["timestamp"] < pd.Timestamp("2026-01-06", tz="UTC")]
    hourly = (
        readings.table("hourly_usage").sort_values("revision").drop_duplicates(["building_id", "hour"], keep="last")
    )
    one, other = (
        each.set_index(["building_id", time])["energy_usage_kwh"].sort_index()
        for each, time in ((sent, "timestamp"), (hourly, "hour"))
    )
    assert list(one.index) == list(other.index)
    assert one.to_numpy() == pytest.approx(other.to_numpy())


def test_second_copy_is_refused_and_takes_over_when_the_first_dies(readings: Live) -> None:
    copy = readings.application("pipeline")
    made = {key: copy[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": {"name": "copy"}}
    readings.kubectl("create", "-f", "-", stdin=json.dumps(made))
    refused = "is locked by pipeline-driver/"
    readings.until("the copy is refused", lambda: refused in readings.log("copy"), 180)
    assert readings.state_of("pipeline") == "RUNNING"
    readings.kubectl(
        "exec", "pipeline-driver", "--", "sh", "-c", "kill -9 -1", check=False
    )  # all but tini, which ends then
    assert readings.wattcast("stop", "pipeline").returncode == 0
    begun = readings.batches("ingest")[0]
    readings.console("wattcast", "replay", READINGS, "--to", "2026-01-01T06:00:00")
    readings.until("the copy goes on", lambda: readings.batches("ingest")[1] > begun, 240)
    readings.kubectl("delete", "sparkapplication", "copy")
    assert readings.wattcast("start", "pipeline", "--settle", "0").returncode == 0
