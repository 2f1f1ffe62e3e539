"""Objects of a small deployment, and an operator that runs it on the API server of the tests."""

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from tests.lib.deploy.api_server import SPARK, ApiServer, Object

from wattcast.cli import cluster
from wattcast.deploy.applications import application
from wattcast.deploy.manifests.pod_template import Target
from wattcast.deploy.manifests.spark_application import manifest

NAMESPACE = "trial"
NAMESPACES = "/api/v1/namespaces"
CORE, RBAC, APPS = f"{NAMESPACES}/{NAMESPACE}", "/apis/rbac.authorization.k8s.io/v1", "/apis/apps/v1"
INGEST = f"{SPARK}/namespaces/{NAMESPACE}/sparkapplications/ingest"
API = f"{APPS}/namespaces/{NAMESPACE}/deployments/api"
CLAIM, CONF = f"{CORE}/persistentvolumeclaims/wattcast-state", f"{CORE}/configmaps/wattcast-conf"
RESTRICTED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def kubernetes_object(api_version: str, kind: str, name: str, **fields: Any) -> Object:
    place = {} if kind == "Namespace" else {"namespace": NAMESPACE}
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, **place}, **fields}


def ingest_application(image: str = "wattcast:1", **labels: str) -> Object:
    document = manifest(application("ingest"), Target(image=image))
    document["metadata"] |= {"namespace": NAMESPACE}
    document["metadata"]["labels"] |= labels
    return document


def dependencies(storage: str = "10Gi", conf: str = "1") -> list[Object]:
    """The Secret, ConfigMaps and claim that an application refers to."""
    return [
        kubernetes_object("v1", "Secret", "kafka-creds", stringData={"password": "a"}),
        kubernetes_object("v1", "ConfigMap", "wattcast-env", data={}),
        kubernetes_object("v1", "ConfigMap", "wattcast-conf", data={"a": conf}),
        kubernetes_object(
            "v1", "PersistentVolumeClaim", "wattcast-state",
            spec={"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": storage}}},
        ),
    ]  # fmt: skip


def driver_role(*verbs: str) -> Object:
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": list(verbs)}]
    return kubernetes_object("rbac.authorization.k8s.io/v1", "Role", "driver", rules=rules)


def api_deployment(image: str = "wattcast:1") -> Object:
    labels = {"app.kubernetes.io/name": "api"}
    container = {"name": "api", "image": image, "securityContext": RESTRICTED}
    security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    template = {"metadata": {"labels": labels}, "spec": {"securityContext": security, "containers": [container]}}
    return kubernetes_object(
        "apps/v1", "Deployment", "api", spec={"selector": {"matchLabels": labels}, "template": template}
    )


def running_pod(app: str, role: str, *, seconds: float, labels: dict[str, str] | None = None) -> Object:
    """A pod whose container has run for so many seconds."""
    since = (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()
    document = kubernetes_object("v1", "Pod", f"{app}-{role}", spec={"containers": []})
    document["metadata"] |= {
        "creationTimestamp": since,
        "labels": labels or {"sparkoperator.k8s.io/app-name": app, "spark-role": role},
    }
    state = {"running": {"startedAt": since}}
    return document | {"status": {"phase": "Running", "containerStatuses": [{"name": "one", "state": state}]}}


class Operator:
    """Acts as the Spark operator and as the controller of Deployments.

    It starts an application when its spec has changed. Images other than `good` end in `state` with `error`.
    """

    def __init__(self, server: ApiServer, *, state: str = "RUNNING", error: str = "", good: str = "wattcast:1") -> None:
        self.server, self.state, self.error, self.good = server, state, error, good
        self.specs: dict[str, Object] = {}
        server.after_change = self.after_change

    def after_change(self, path: str, changed: Object) -> None:
        if path == API:
            changed["status"] = self._server_status(changed)
        if not path.startswith(SPARK) or self.specs.get(path) == changed["spec"]:
            return
        self.specs[path] = deepcopy(changed["spec"])
        submission = str(len(self.server.requests))
        is_good = changed["spec"]["image"] == self.good
        state = {"state": "RUNNING" if is_good else self.state, "errorMessage": "" if is_good else self.error}
        changed["status"] = {"submissionID": submission, "applicationState": state, "executionAttempts": 1}
        for role in ("driver", "executor"):
            pod = running_pod(changed["metadata"]["name"], role, seconds=60 if is_good else 0)
            self.server.objects[f"{CORE}/pods/{pod['metadata']['name']}"] = pod

    def _server_status(self, deployment: Object) -> Object:
        is_good = deployment["spec"]["template"]["spec"]["containers"][0]["image"] == self.good
        counts = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": int(is_good)}
        return {"observedGeneration": deployment["metadata"]["generation"], **counts}


def deploy(documents: list[Object], tmp_path: Path, **options: Any) -> None:
    """`wattcast deploy --manifests` with these documents."""
    (file := tmp_path / "all.yaml").write_text(yaml.safe_dump_all(documents), encoding="utf-8")
    cluster.deploy(manifests=str(file), **options)
