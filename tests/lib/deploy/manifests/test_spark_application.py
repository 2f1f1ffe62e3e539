"""The manifests of k8s/spark-apps follow the declarations, the operator's schema, and the needs of Spark and the tables."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from wattcast.cli.jobs import JOBS, JOBS_WITH_A_COMMAND
from wattcast.deploy.__main__ import manifest_files
from wattcast.deploy.applications import APPLICATIONS, JVM_OVERHEAD_MIB, TORCH_MIB, Application, Kind, application
from wattcast.deploy.manifests.pod_template import STOP_SECONDS, Target, main_file
from wattcast.deploy.manifests.schemas import schemas_in_folder
from wattcast.deploy.manifests.spark_application import manifest
from wattcast.deploy.manifests.validation import problems
from wattcast.runtime import supervision
from wattcast.settings import Settings

ROOT = Path(__file__).parents[4]
COMMITTED = ROOT / "k8s/spark-apps"
CRDS = schemas_in_folder(ROOT / "tests/k8s/crds")

every_application = pytest.mark.parametrize("app", APPLICATIONS, ids=lambda app: app.name)


def spec(app: Application, target: Target | None = None) -> dict[str, Any]:
    document = manifest(app, target or Target())
    return document["spec"]["template"] if app.kind is Kind.SCHEDULED else document["spec"]


def container(app: Application, role: str, target: Target | None = None) -> dict[str, Any]:
    return spec(app, target)[role]["template"]["spec"]["containers"][0]


def test_committed_manifests_are_those_of_the_declarations() -> None:
    committed = {file.name: file.read_text(encoding="utf-8") for file in COMMITTED.glob("*.yaml")}
    del committed["kustomization.yaml"]
    assert committed == manifest_files(), "write them again: python -m wattcast.deploy"


@pytest.mark.parametrize("name", manifest_files())
def test_committed_manifest_fits_the_schema_and_the_rules(name: str) -> None:
    assert problems([yaml.safe_load((COMMITTED / name).read_text(encoding="utf-8"))], CRDS) == []


@pytest.mark.parametrize("target", [Target("other:1", claim=None), Target(gpus=2)], ids=["object store", "gpus"])
@every_application
def test_manifest_of_another_target_fits_too(app: Application, target: Target) -> None:
    assert problems([manifest(app, target)], CRDS) == []


@every_application
def test_application_runs_a_job_that_exists(app: Application) -> None:
    assert (ROOT / "jobs" / Path(spec(app)["mainApplicationFile"]).name).is_file()


def test_every_job_that_the_command_runs_is_an_application() -> None:
    assert {app.name for app in APPLICATIONS} == {*JOBS, *JOBS_WITH_A_COMMAND, "train", "retrain"}


@every_application
def test_only_streaming_applications_run_without_end(app: Application) -> None:
    assert (spec(app)["restartPolicy"]["type"] == "Always") == (app.kind is Kind.STREAMING)


def test_training_because_of_drift_runs_once_at_a_time_and_is_not_retried() -> None:
    document = manifest(application("retrain"))
    assert document["spec"]["concurrencyPolicy"] == "Forbid"
    assert document["spec"]["template"]["restartPolicy"] == {"type": "Never"}  # a second attempt would not train
    assert (
        document["spec"]["template"]["driver"]["memoryOverhead"]
        == spec(application("train"))["driver"]["memoryOverhead"]
    )


@every_application
def test_driver_has_time_to_end_its_batch(app: Application) -> None:
    pod = spec(app)["driver"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == STOP_SECONDS > supervision.STOP_SECONDS
    command = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    assert spec(app)["mainApplicationFile"] == f"local://{command[-1]}"


@pytest.mark.parametrize("name", ["forecast", "pipeline", "backfill"])
def test_overhead_has_room_for_a_torch_worker_a_core(name: str) -> None:
    executor = spec(application(name))["executor"]
    assert int(executor["memoryOverhead"].removesuffix("m")) >= JVM_OVERHEAD_MIB + executor["cores"] * TORCH_MIB


@every_application
def test_every_folder_that_is_written_is_a_volume(app: Application) -> None:
    for role in ("driver", "executor"):
        template = spec(app)[role]["template"]["spec"]
        mounts = {mount["mountPath"]: mount for mount in template["containers"][0]["volumeMounts"]}
        assert {mount["name"] for mount in mounts.values()} == {volume["name"] for volume in template["volumes"]}
        environment = {variable["name"]: variable["value"] for variable in template["containers"][0]["env"]}
        assert {environment["WATTCAST_STATE"], environment["WATTCAST_CONF"], environment["HOME"]} <= mounts.keys()


@every_application
def test_metrics_are_scraped_where_the_job_serves_them(app: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job of `wattcast.runtime.job.run` serves them, at the port of the settings of its pod; nothing else does."""
    serves = re.search(
        r"^    run\(", (ROOT / "jobs" / Path(main_file(app)).name).read_text(encoding="utf-8"), re.MULTILINE
    )
    annotations = spec(app)["driver"]["template"]["metadata"].get("annotations", {})
    for variable in container(app, "driver")["env"]:
        monkeypatch.setenv(variable["name"], variable["value"])
    monkeypatch.delenv("WATTCAST_CONF")
    metrics = Settings().metrics
    assert (metrics.host, metrics.port > 0) == (("0.0.0.0", True) if serves else ("127.0.0.1", False))
    assert annotations.get("prometheus.io/port", "0") == str(metrics.port)
    assert annotations.get("prometheus.io/path") == ("/metrics" if serves else None)
    assert not any("METRICS" in variable["name"] for variable in container(app, "executor")["env"])


def test_lake_is_on_the_claim_or_else_in_the_object_store() -> None:
    def state(target: Target) -> dict[str, Any]:
        volumes = spec(application("ingest"), target)["executor"]["template"]["spec"]["volumes"]
        return next(volume for volume in volumes if volume["name"] == "state")

    assert state(Target(claim="mine"))["persistentVolumeClaim"] == {"claimName": "mine"}
    assert state(Target(claim=None)) == {"name": "state", "emptyDir": {}}


@pytest.mark.parametrize(
    ("name", "role", "other"), [("forecast", "executor", "driver"), ("train", "driver", "executor")]
)
def test_gpu_goes_to_the_pod_that_uses_it(name: str, role: str, other: str) -> None:
    app, target = application(name), Target(gpus=1)
    assert container(app, role, target)["resources"] == {"limits": {"nvidia.com/gpu": "1"}}
    assert "resources" not in container(app, other, target)
    assert "resources" not in container(app, role)
    assert ("cuda" in spec(app, target).get("arguments", [])) == (name == "train")
    on_gpu = {"name": "WATTCAST_FORECASTING__DEVICE", "value": "cuda"}  # the driver passes it to its executors
    assert (on_gpu in container(app, "driver", target)["env"]) == (name == "forecast")
    assert on_gpu not in container(app, "driver")["env"]


@every_application
def test_secret_is_mounted_only_where_it_is_needed(app: Application) -> None:
    sources = container(app, "driver")["envFrom"]
    names = {source["secretRef"]["name"] for source in sources if "secretRef" in source}
    assert names == {*app.secrets, "lake-creds"}


@every_application
def test_spark_has_the_default_settings_without_the_jars(app: Application) -> None:
    conf = spec(app)["sparkConf"]
    assert conf["spark.sql.session.timeZone"] == "UTC"
    assert conf["spark.sql.streaming.metricsEnabled"] == "true"
    assert "spark.jars.packages" not in conf
