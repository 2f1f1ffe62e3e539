"""Single runs beside the deployed applications, and the last run of a schedule."""

from typing import Any

import pytest
from tests.lib.deploy.api_server import SPARK, ApiServer, Object
from tests.lib.deploy.documents import CORE, NAMESPACE, kubernetes_object, running_pod

from wattcast.cli.main import main
from wattcast.deploy.applications import application
from wattcast.deploy.manifests.documents import API_VERSION
from wattcast.deploy.manifests.pod_template import Target
from wattcast.deploy.manifests.spark_application import manifest
from wattcast.deploy.operations.single_runs import backfill_spec

ROLES = ("driver", "executor")


def container(spec: dict[str, Any], role: str) -> dict[str, Any]:
    return spec[role]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize("name", ["forecast", "pipeline", "ingest"])
def test_backfill_has_the_settings_of_a_deployed_application_and_its_own_size_and_secrets(name: str) -> None:
    deployed, own = (
        manifest(application(name), Target("other:1", claim="mine"))["spec"],
        manifest(application("backfill"))["spec"],
    )
    s3 = {"spark.hadoop.fs.s3a.endpoint.region": "eu-west-1"}
    deployed["sparkConf"] |= s3
    for role in ROLES:
        container(deployed, role)["env"].append({"name": "WATTCAST_FORECASTING__LEAD_HOURS", "value": "48"})
        container(deployed, role)["envFrom"].append({"configMapRef": {"name": "of-mine"}})
        container(deployed, role)["resources"] = {"limits": {"nvidia.com/gpu": "1"}}
        deployed[role]["serviceAccount"] = "mine"
    spec = backfill_spec(deployed)
    assert spec["sparkConf"] == own["sparkConf"] | s3
    assert spec["image"] == "other:1"
    for role in ROLES:
        pod, source = spec[role]["template"]["spec"], deployed[role]["template"]["spec"]
        assert pod["volumes"] == source["volumes"]
        for field in ("env", "volumeMounts", "resources"):
            assert container(spec, role)[field] == container(deployed, role)[field]
        names = [entry["secretRef"]["name"] for entry in container(spec, role)["envFrom"] if "secretRef" in entry]
        assert {"model-creds", "lake-creds"} <= set(names)
        assert container(spec, role)["envFrom"][-1] == {"configMapRef": {"name": "of-mine"}}
        sizes = ("cores", "memory", "memoryOverhead")
        assert [spec[role][key] for key in sizes] == [own[role][key] for key in sizes]
        assert spec[role]["serviceAccount"] == "mine"
    assert spec["driver"]["template"]["spec"]["containers"][0]["lifecycle"] == container(own, "driver")["lifecycle"]
    assert spec["mainApplicationFile"] == own["mainApplicationFile"]


RUN = kubernetes_object(API_VERSION, "SparkApplication", "train-17", spec={}) | {
    "status": {"applicationState": {"state": "RUNNING"}}
}


@pytest.mark.parametrize(
    ("status", "run", "out", "err"),
    [
        ({"lastRunName": "train-17"}, RUN, "step 1\nstep 2\n", ""),
        ({"lastRunName": "train-17"}, None, "", "train-17, the last run of train, no longer exists.\n"),
        ({}, None, "", "The schedule of train (0 3 * * 0) has not started a run yet.\n"),
    ],
    ids=["runs", "is gone", "never ran"],
)
def test_logs_of_a_schedule_are_those_of_its_last_run(
    server: ApiServer,
    capsys: pytest.CaptureFixture[str],
    status: dict[str, Any],
    run: Object | None,
    out: str,
    err: str,
) -> None:
    applications = f"{SPARK}/namespaces/{NAMESPACE}"
    scheduled = kubernetes_object(
        API_VERSION, "ScheduledSparkApplication", "train", spec={"schedule": "0 3 * * 0", "template": {}}, status=status
    )
    server.objects[f"{applications}/scheduledsparkapplications/train"] = scheduled
    server.objects[f"{CORE}/pods/train-17-driver"] = running_pod("train-17", "driver", seconds=60)
    server.objects[f"{CORE}/pods/other-driver"] = running_pod("other", "driver", seconds=60)
    server.objects[f"{CORE}/pods/train-17-driver/log"] = b"step 1\nstep 2\n"
    if run:
        server.objects[f"{applications}/sparkapplications/train-17"] = run
    with pytest.raises(SystemExit) as ended:
        main(["logs", "train"])
    assert ended.value.code == (2 if err else 0)
    assert capsys.readouterr() == (out, err)
