"""The parts of a deployment that need no cluster: what is rendered, what pods refer to, what was applied before."""

import io
import os
from pathlib import Path
from typing import Any

import pytest

from wattcast.deploy.cluster import Refused
from wattcast.deploy.ownership import applied
from wattcast.deploy.rendering import rendered
from wattcast.deploy.rollout import references

APPLICATION = """
apiVersion: sparkoperator.k8s.io/v1beta2
kind: SparkApplication
metadata: {name: ingest}
spec: {image: "wattcast:1"}
---
---
apiVersion: sparkoperator.k8s.io/v1beta2
kind: ScheduledSparkApplication
metadata: {name: train}
spec: {schedule: "0 3 * * 0", template: {image: "wattcast:1"}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: conf}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: api}
spec:
  template:
    metadata: {labels: {app.kubernetes.io/part-of: wattcast}}
    spec: {containers: [{name: api, image: "registry:5000/energy@sha256:0a1b"}, {name: proxy, image: "envoy:1"}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: model-serving}
spec:
  template:
    metadata: {labels: {app.kubernetes.io/part-of: wattcast}}
    spec: {containers: [{name: model-serving}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: prometheus}
spec:
  template:
    metadata: {labels: {app.kubernetes.io/part-of: wattcast}}
    spec: {containers: [{name: prometheus, image: "prom/prometheus:1"}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: api-of-another}
spec: {template: {metadata: {labels: {app: api}}, spec: {containers: [{name: api, image: "api:1"}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: wrong}
spec: {template: {spec: [{}]}}
---
apiVersion: sparkoperator.k8s.io/v1beta2
kind: ScheduledSparkApplication
metadata: {name: wrong}
spec: {schedule: "@daily"}
"""


def test_image_is_that_of_every_application_and_server_but_of_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(APPLICATION))
    ingest, train, conf, *deployments, no_pod, no_application = rendered("", manifests="-", image="wattcast:2")
    assert ingest["spec"] == {"image": "wattcast:2"}
    assert train["spec"]["template"] == {"image": "wattcast:2"}
    assert "spec" not in conf
    pods = [each["spec"]["template"]["spec"] for each in deployments]
    assert [[each["image"] for each in pod["containers"]] for pod in pods] == [
        ["wattcast:2", "envoy:1"], ["wattcast:2"], ["prom/prometheus:1"], ["api:1"]
    ]  # fmt: skip
    assert no_pod["spec"] == {"template": {"spec": [{}]}}
    assert no_application["spec"] == {"schedule": "@daily"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "is not YAML: expected the node content, but found '<stream end>' in line 1."),
        ("---\n", "has no document."),
        ("apiVersion: v1\nkind: Pod\n", "has a document without apiVersion, kind or name."),
        ("apiVersion: v1\nmetadata: {name: a}\n", "has a document without apiVersion, kind or name."),
        ("kind: Pod\nmetadata: {name: a}\n", "has a document without apiVersion, kind or name."),
        ("- 1\n", "has a document without apiVersion, kind or name."),
    ],
)
def test_manifests_that_are_none_are_refused(text: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    file.write_text(text)
    with pytest.raises(Refused) as refused:
        rendered("", manifests=str(file))
    assert str(refused.value) == f"{file} {words}"


def test_overlay_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(Refused, match="no overlay staging: it is dev or prod"):
        rendered("staging")


def test_without_kubectl_and_kustomize_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Refused, match="Neither kubectl nor kustomize is on the PATH"):
        rendered("dev")


def test_overlay_is_rendered_by_kustomize_where_there_is_no_kubectl(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "kustomize"
    program.write_text(
        f'#!{os.environ.get("SHELL", "/bin/sh")}\necho "apiVersion: v1"\necho "kind: ConfigMap"\necho "metadata: {{name: $1}}"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert rendered("dev") == [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "build"}}]


def test_references_are_found_at_any_depth_but_for_optional_ones() -> None:
    spec: dict[str, Any] = {
        "containers": [{"envFrom": [{"secretRef": {"name": "a"}}, {"secretRef": {"name": "b", "optional": True}}]}],
        "volumes": [{"configMap": {"name": "c"}}, {"secret": {"secretName": "d"}}, {"persistentVolumeClaim": {"claimName": "e"}}],
        "template": {"spec": [{"envFrom": [{"configMapRef": {"name": "f"}}]}]},
    }  # fmt: skip
    assert set(references(spec)) == {
        ("Secret", "a"), ("ConfigMap", "c"), ("Secret", "d"), ("PersistentVolumeClaim", "e"), ("ConfigMap", "f")
    }  # fmt: skip


def test_what_was_applied_is_told_from_what_others_have_set() -> None:
    mine = {
        "f:metadata": {"f:labels": {"f:mine": {}}},
        "f:spec": {
            "f:image": {},
            "f:env": {'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}}},
            "f:finalizers": {'v:"one"': {}},
            "f:args": {},
        },
    }
    live = {
        "apiVersion": "v1", "kind": "Thing",
        "metadata": {
            "name": "x", "namespace": "y", "uid": "1", "labels": {"mine": "1", "other": "2"},
            "managedFields": [
                {"manager": "someone", "fieldsV1": {"f:spec": {"f:suspend": {}}}},
                {"manager": "wattcast", "fieldsV1": mine},
                {"manager": "wattcast", "subresource": "status", "fieldsV1": {"f:status": {}}},
            ],
        },
        "spec": {
            "image": "i", "suspend": True, "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
            "finalizers": ["one", "two"], "args": ["a", "b"],
        },
        "status": {"state": "RUNNING"},
    }  # fmt: skip
    assert applied(live) == {
        "apiVersion": "v1", "kind": "Thing", "metadata": {"name": "x", "namespace": "y", "labels": {"mine": "1"}},
        "spec": {"image": "i", "env": [{"name": "A", "value": "1"}], "finalizers": ["one"], "args": ["a", "b"]},
    }  # fmt: skip
