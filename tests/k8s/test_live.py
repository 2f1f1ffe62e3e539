"""The pipeline on a real node: readings of 50 buildings in, forecasts out, and what happens when parts of it are killed.

The tests go on where the one before stopped, since it takes minutes to bring a pipeline up.
"""

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pandas as pd
import pytest
from tests.k8s.cluster.build import NEXT, WATTCAST, build_object_store
from tests.k8s.cluster.node import Cluster
from tests.k8s.cluster.parts import NODE_IP
from tests.k8s.live import NAMESPACE, OVERLAY, Live

from wattcast.deploy.applications import STATE, TORCH_MIB, Size, application
from wattcast.deploy.manifests import Target, manifest

BUILDINGS, DAYS = 50, 5  # the last day is kept for the new model
READINGS, HISTORY = f"{STATE}/readings.parquet", f"{STATE}/history.parquet"
QUERIES = ("ingest", "aggregate", "forecast", "publish")
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


@pytest.fixture(scope="module")
def readings(live: Live) -> Live:
    """Readings and metadata of the buildings are there, and nothing is sent yet."""
    size = ("--buildings", str(BUILDINGS), "--days", str(DAYS), "--interval-minutes", "60")
    live.console("wattcast", "simulate", READINGS, *size)
    live.console("wattcast", "buildings", "import", READINGS.replace(".parquet", ".buildings.csv"))
    return live


def test_pods_run_as_nobody_at_the_level_that_the_namespace_enforces(readings: Live) -> None:
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


def test_pipeline_turns_readings_into_forecasts(readings: Live) -> None:
    readings.console("wattcast", "replay", READINGS, "--days", "1")
    found = json.loads(readings.console("python3", "-c", CONSUMER, str(BUILDINGS)))
    assert found["buildings"] == BUILDINGS
    assert len(found["last"]["target_hour"]) == 24
    assert_arrived(readings, days=1)


def test_killed_driver_is_started_again_and_nothing_is_lost_or_doubled(readings: Live) -> None:
    (before,) = readings.pods("driver").values()
    sending = readings.console_in_background(
        "wattcast", "replay", READINGS, "--from", "2026-01-02", "--to", "2026-01-03"
    )
    begun = readings.batches("ingest")[0]
    readings.until("a batch is in hand", lambda: readings.batches("ingest")[0] > begun, 120)
    readings.kubectl("delete", "pod", "pipeline-driver", "--grace-period=0", "--force")
    readings.until("the operator starts another driver", lambda: set(readings.pods("driver").values()) - {before}, 240)
    assert sending.wait(120) == 0
    assert_arrived(readings, days=2, audited=True)


def test_killed_executor_is_replaced_and_the_batch_goes_on(readings: Live) -> None:
    (driver,) = readings.pods("driver").values()
    readings.until("an executor runs", lambda: readings.pods("executor"), 120)
    executors = set(readings.pods("executor").values())
    sending = readings.console_in_background(
        "wattcast", "replay", READINGS, "--from", "2026-01-03", "--to", "2026-01-04"
    )
    begun = readings.batches("aggregate")[0]
    readings.until("a batch is in hand", lambda: readings.batches("aggregate")[0] > begun, 120)
    for name in readings.pods("executor"):
        readings.kubectl("delete", "pod", name, "--grace-period=0", "--force")
    readings.until("there is another executor", lambda: set(readings.pods("executor").values()) - executors, 120)
    assert sending.wait(120) == 0
    assert_arrived(readings, days=3)
    assert set(readings.pods("driver").values()) == {driver}


def test_stop_ends_between_two_batches_and_start_goes_on(readings: Live) -> None:
    sending = readings.console_in_background(
        "wattcast", "replay", READINGS, "--from", "2026-01-04", "--to", "2026-01-05"
    )
    begun = readings.batches("ingest")[0]
    readings.until("a batch is in hand", lambda: readings.batches("ingest")[0] > begun, 120)
    stopped = readings.wattcast("stop", "pipeline")
    assert (stopped.returncode, stopped.stdout) == (0, "pipeline is stopped\n"), stopped.stderr
    assert sending.wait(120) == 0
    assert all(ended == begun for begun, ended in map(readings.batches, QUERIES))
    started = readings.wattcast("start", "pipeline", "--settle", "0")
    assert started.returncode == 0, started.stderr
    assert_arrived(readings, days=4, audited=True)


def test_hours_are_those_of_the_readings_whatever_was_killed(readings: Live) -> None:
    sent = pd.read_parquet(readings.on_this_machine(READINGS))
    sent = sent[sent["timestamp"] < pd.Timestamp("2026-01-05", tz="UTC")]
    hourly = (
        readings.table("hourly_usage").sort_values("revision").drop_duplicates(["building_id", "hour"], keep="last")
    )
    one, other = (
        each.set_index(["building_id", time])["energy_usage_kwh"].sort_index()
        for each, time in ((sent, "timestamp"), (hourly, "hour"))
    )
    assert list(one.index) == list(other.index)
    assert one.to_numpy() == pytest.approx(other.to_numpy())


def test_second_copy_is_refused_and_takes_over_when_the_first_ends(readings: Live) -> None:
    copy = readings.application("pipeline")
    spec = copy["spec"]
    readings.kubectl(
        "create", "-f", "-",
        stdin=json.dumps({**{key: copy[key] for key in ("apiVersion", "kind")}, "metadata": {"name": "copy"}, "spec": spec}),
    )  # fmt: skip
    refused = "has a writer already: pipeline-driver/"
    readings.until("the copy is refused", lambda: refused in readings.log("copy"), 180)
    assert readings.state_of("pipeline") == "RUNNING"
    assert readings.wattcast("stop", "pipeline").returncode == 0
    begun = readings.batches("ingest")[0]
    readings.console("wattcast", "replay", READINGS, "--to", "2026-01-01T06:00:00")
    readings.until("the copy goes on", lambda: readings.batches("ingest")[1] > begun, 240)
    readings.kubectl("delete", "sparkapplication", "copy")
    assert readings.wattcast("start", "pipeline", "--settle", "0").returncode == 0


def test_backfill_and_training_complete_and_the_new_model_forecasts(readings: Live) -> None:
    done = readings.wattcast("backfill", "submit", "--from", "2026-01-02T00:00", "--to", "2026-01-02T03:00")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (readings.table("forecasts")["purpose"] != "live").sum() == 3 * BUILDINGS
    assert readings.state_of("pipeline") == "RUNNING"

    readings.console("wattcast", "simulate", HISTORY, "--buildings", "6", "--days", "90", "--interval-minutes", "60")
    schedule = replace(
        application("train"),
        driver=Size(1, heap_mib=512, python_mib=2 * TORCH_MIB),
        arguments=("--data", HISTORY, "--out", f"{STATE}/trained", "--steps", "20", "--name", "tried", "--register"),
    )
    readings.kubectl("apply", "-f", "-", stdin=json.dumps(manifest(schedule, Target(image=WATTCAST))))
    done = readings.wattcast("submit", "train")
    assert done.returncode == 0, done.stdout + done.stderr
    registered = re.search(r"Registered as version (\d+) \(tried ", done.stdout)
    assert registered, done.stdout
    version = registered.group(1)
    readings.console("wattcast", "models", "promote", version, "--force", "--reason", "to see that it is taken up")
    readings.console("wattcast", "replay", READINGS, "--from", "2026-01-05")
    readings.until("the new model forecasts", lambda: "tried" in set(readings.table("forecasts")["model_name"]), 240)


@pytest.fixture(scope="module")
def object_store(cluster: Cluster) -> Iterator[None]:
    """An S3 server at the address of the overlay, with a bucket."""
    address = ("-H", NODE_IP, "-p", "9000")
    log = (cluster.run_folder / "logs" / "object-store.log").open("wb")
    with log, subprocess.Popen(
        cluster.inside(build_object_store(cluster.folder), *address), stdout=log, stderr=log
    ) as server:  # fmt: skip
        bucket = ("curl", "-sf", "-X", "PUT", f"http://{NODE_IP}:9000/wattcast")
        cluster.until("the object store answers", lambda: cluster.run(*bucket).returncode == 0, 60)
        yield
        server.terminate()


def test_new_image_with_the_lake_in_an_object_store_rolls_out(readings: Live, object_store: None) -> None:
    keys = ("--from-literal=AWS_ACCESS_KEY_ID=user", "--from-literal=AWS_SECRET_ACCESS_KEY=secret")
    readings.kubectl("create", "secret", "generic", "lake-creds", *keys)
    (before,) = readings.pods("driver").values()
    done = readings.wattcast("deploy", f"{OVERLAY}-s3", "--image", NEXT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(readings.pods("driver").values()) != {before}
    query = ("wattcast", "sql", "SELECT count(DISTINCT building_id) AS buildings, count(*) AS forecasts FROM forecasts")
    readings.new_console(NEXT)

    def forecasts() -> str:
        """What SQL says; nothing while the tables are being made."""
        return readings.kubectl("exec", "console", "--", *query, check=False).stdout

    readings.until("forecasts are in the object store", lambda: f" {BUILDINGS} " in forecasts(), 420)


def test_failure_a_missing_secret_and_a_lack_of_memory_are_said_in_words(live: Live) -> None:
    live.program("fails", "raise RuntimeError('no such meter')")
    live.program("hungry", "rows = [b'x' * (1 << 20) for _ in range(1 << 14)]", driver={"memory": "512m"})
    live.program("creds", "pass", secret="absent-creds")
    live.wait_for("fails", "FAILED")
    assert "no such meter" in live.what_is_wrong("fails")
    live.wait_for("hungry", "FAILED")
    assert "ran out of memory" in live.what_is_wrong("hungry")
    live.until("the Secret is named", lambda: "the Secret absent-creds that" in live.what_is_wrong("creds"), 120)
    live.kubectl("delete", "sparkapplication", "fails", "hungry", "creds")


def assert_arrived(live: Live, *, days: int, audited: bool = False) -> None:
    """All readings are in the table and their hours, too; with an audit, every record of Kafka is one row."""
    rows = BUILDINGS * 24 * days
    for table in ("received_readings", "hourly_usage"):
        live.until(f"{rows} rows are in {table}", lambda table=table: len(live.table(table)) >= rows, 240)
    assert len(live.table("received_readings")) == rows
    if audited:
        audit = json.loads(live.console("wattcast", "audit", "--json"))
        assert audit["clean"], audit
