"""What is run beside the applications that are deployed, and which run of a schedule is meant."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from wattcast.deploy.applications import application
from wattcast.deploy.lifecycle import beside
from wattcast.deploy.manifests import API_VERSION, Target, manifest

ROLES = ("driver", "executor")
OF_APPLICATIONS, OF_PODS = f"/apis/{API_VERSION}/namespaces/w", "/api/v1/namespaces/w"


def container(spec: dict[str, Any], role: str) -> dict[str, Any]:
    return spec[role]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize("name", ["forecast", "pipeline", "ingest"])
def test_backfill_has_the_settings_of_what_is_deployed_and_the_size_and_secrets_of_its_own(name: str) -> None:
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
    made = beside(deployed)
    assert made["sparkConf"] == own["sparkConf"] | s3
    assert made["image"] == "other:1"
    for role in ROLES:
        pod, there = made[role]["template"]["spec"], deployed[role]["template"]["spec"]
        assert pod["volumes"] == there["volumes"]
        for field in ("env", "volumeMounts", "resources"):
            assert container(made, role)[field] == container(deployed, role)[field]
        names = [each["secretRef"]["name"] for each in container(made, role)["envFrom"] if "secretRef" in each]
        assert {"model-creds", "lake-creds"} <= set(names)
        assert container(made, role)["envFrom"][-1] == {"configMapRef": {"name": "of-mine"}}
        sizes = ("cores", "memory", "memoryOverhead")
        assert [made[role][key] for key in sizes] == [own[role][key] for key in sizes]
        assert made[role]["serviceAccount"] == "mine"
    assert made["driver"]["template"]["spec"]["containers"][0]["lifecycle"] == container(own, "driver")["lifecycle"]
    assert made["mainApplicationFile"] == own["mainApplicationFile"]


SCHEDULED = {"metadata": {"name": "train", "namespace": "w"}, "spec": {"schedule": "0 3 * * 0", "template": {}}}
RUN = {
    "metadata": {"name": "train-17", "namespace": "w"},
    "spec": {},
    "status": {"applicationState": {"state": "RUNNING"}},
}
DRIVER = {
    "metadata": {"name": "train-17-driver", "namespace": "w", "labels": {"spark-role": "driver"}},
    "spec": {}, "status": {"phase": "Running"},
}  # fmt: skip


class Answers(BaseHTTPRequestHandler):
    """What an API server says of objects that are there, by their paths; of others that there are none."""

    objects: dict[str, Any]

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        found = self.objects.get(path)
        if path.endswith("/pods") and "app-name%3Dtrain-17" not in query:
            found = {"items": []}
        body = found if isinstance(found, bytes) else json.dumps(found or {"kind": "Status", "code": 404}).encode()
        self.send_response(200 if found is not None else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Iterator[Path]:
    kinds = [
        {"kind": "SparkApplication", "name": "sparkapplications", "namespaced": True},
        {"kind": "ScheduledSparkApplication", "name": "scheduledsparkapplications", "namespaced": True},
    ]
    core = [
        {"kind": "Pod", "name": "pods", "namespaced": True},
        {"kind": "Event", "name": "events", "namespaced": True},
    ]
    Answers.objects = {
        f"/apis/{API_VERSION}": {"resources": kinds},
        "/api/v1": {"resources": core},
        f"{OF_PODS}/pods": {"items": [DRIVER]},
        f"{OF_PODS}/events": {"items": []},
        f"{OF_PODS}/pods/train-17-driver/log": b"step 1\nstep 2\n",
    }
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    file = tmp_path / "config"
    file.write_text(yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "here",
        "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
        "users": [{"name": "me", "user": {}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me", "namespace": "w"}}],
    }))  # fmt: skip
    yield file
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "run", "out", "err"),
    [
        ({"lastRunName": "train-17"}, RUN, "step 1\nstep 2\n", ""),
        ({"lastRunName": "train-17"}, None, "", "train-17, the last run of train, is not there any more.\n"),
        ({}, None, "", "train was not started yet by its schedule, 0 3 * * 0.\n"),
    ],
    ids=["runs", "is gone", "never ran"],
)
def test_logs_of_a_schedule_are_those_of_its_last_run(
    kubeconfig: Path, monkeypatch: pytest.MonkeyPatch, status: dict[str, Any], run: object, out: str, err: str
) -> None:
    Answers.objects[f"{OF_APPLICATIONS}/scheduledsparkapplications/train"] = SCHEDULED | {"status": status}
    if run:
        Answers.objects[f"{OF_APPLICATIONS}/sparkapplications/train-17"] = run
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    program = Path(sys.executable).with_name("wattcast")
    done = subprocess.run([program, "logs", "train"], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == (out, err)
