"""The real API server and the operator's webhook admit every manifest of the project and refuse wrong ones."""

import json
import os
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.k8s.cluster.node import ROOT, Cluster, Completed
from tests.k8s.live import TRIAL

from wattcast.deploy.applications import APPLICATIONS, application
from wattcast.deploy.manifests.documents import Manifest
from wattcast.deploy.manifests.spark_application import manifest

K8S = ROOT / "k8s"
DEPLOYMENTS = {  # the folders of a deployment: an overlay and its components
    "dev": ("overlays/dev",),
    "dev with forecasts on GPUs": ("overlays/dev", "components/gpu-forecasts"),
    "prod with all servers": ("overlays/prod", "components/model-serving", "components/monitoring"),
    "prod in an object store with GPUs": ("overlays/prod", "components/object-store", "components/gpu"),
    "permissions of deployers": ("deployer",),
}


def dry_run(cluster: Cluster, documents: str) -> Completed:
    """The result of a dry run of documents on the server."""
    try_out = ("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-")
    return cluster.kubectl("--namespace", TRIAL, *try_out, check=False, stdin=documents)


def kustomized(cluster: Cluster, folder: Path, base: str, *components: str) -> str:
    """An overlay in the trial namespace."""

    def path(name: str) -> str:
        return os.path.relpath(K8S / name, folder)

    made = {"namespace": TRIAL, "resources": [path(base)], "components": [path(each) for each in components]}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(made), encoding="utf-8")
    return cluster.kubectl("kustomize", str(folder)).stdout


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_every_document_of_a_deployment_is_admitted(operator: Cluster, name: str, tmp_path: Path) -> None:
    documents = kustomized(operator, tmp_path.resolve(), *DEPLOYMENTS[name])
    done = dry_run(operator, documents)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len([each for each in yaml.safe_load_all(documents) if each])


@pytest.mark.parametrize("name", [each.name for each in APPLICATIONS])
def test_every_application_is_admitted(operator: Cluster, name: str) -> None:
    done = dry_run(operator, (K8S / "spark-apps" / f"{name}.yaml").read_text(encoding="utf-8"))
    assert done.returncode == 0, done.stderr


def with_change(name: str, path: str, value: object, **more: object) -> Manifest:
    """The manifest of an application with fields set."""
    changed = deepcopy(manifest(application(name)))
    for each, wanted in {path: value, **more}.items():
        *parents, last = each.split(".")
        place: Any = changed
        for part in parents:
            place = place[part]
        place[last] = wanted
    return changed


INGRESS = {
    "servicePort": 4040, "servicePortName": "ui", "serviceType": "ClusterIP", "ingressURLFormat": "ui.example.org",
    "serviceAnnotations": {}, "serviceLabels": {}, "ingressAnnotations": {}, "ingressTLS": [],
}  # fmt: skip
WRONG: dict[str, tuple[Callable[[], Manifest], str]] = {
    "a typo in a field": (
        lambda: with_change("ingest", "spec.driver.memroy", "1g"), ".spec.driver.memroy: field not declared in schema"
    ),
    "a typo in the template of a schedule": (
        lambda: with_change("train", "spec.template.executor.instance", 2),
        ".spec.template.executor.instance: field not declared in schema"
    ),
    "a word where a number belongs": (
        lambda: with_change("ingest", "spec.executor.instances", "two"), ".spec.executor.instances: expected numeric"
    ),
    "a restart policy that is none": (
        lambda: with_change("ingest", "spec.restartPolicy.type", "Sometimes"), 'Unsupported value: "Sometimes"'
    ),
    "no cores": (
        lambda: with_change("ingest", "spec.driver.cores", 0), "spec.driver.cores in body should be greater than or equal to 1"
    ),
    "a mode that is none": (lambda: with_change("ingest", "spec.mode", "local"), 'spec.mode: Unsupported value: "local"'),
    "an unknown version of the API": (
        lambda: with_change("ingest", "apiVersion", "sparkoperator.k8s.io/v1"), "no matches for kind"
    ),
    "a name that no service can have": (
        lambda: with_change("ingest", "metadata.name", "1-ingest"), 'denied the request: invalid SparkApplication name "1-ingest"'
    ),
    "a Spark without pod templates": (
        lambda: with_change("ingest", "spec.sparkVersion", "2.4.8"), "pod template feature requires Spark version 3.0.0 or higher"
    ),
    "nodes chosen twice": (
        lambda: with_change("ingest", "spec.nodeSelector", {"disk": "ssd"}, **{"spec.driver.nodeSelector": {"disk": "hdd"}}),
        "node selector cannot be defined at both SparkApplication and Driver/Executor",
    ),
    "one port for two addresses": (
        lambda: with_change("ingest", "spec.driverIngressOptions", [INGRESS, {**INGRESS, "ingressURLFormat": "other"}]),
        "DriverIngressOptions has duplicate ServicePort: 4040",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "said"), WRONG.values(), ids=WRONG)
def test_wrong_application_is_refused(operator: Cluster, change: Callable[[], Manifest], said: str) -> None:
    done = dry_run(operator, json.dumps(change()))
    assert done.returncode != 0
    assert said in done.stderr
