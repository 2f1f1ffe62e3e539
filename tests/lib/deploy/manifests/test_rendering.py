"""Overlays and rendered YAML become the documents of a deployment."""

import io
import os
from pathlib import Path

import pytest

from wattcast.deploy.errors import Refused
from wattcast.deploy.manifests.rendering import rendered_documents

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
    ingest, train, conf, *deployments, no_pod, no_application = rendered_documents(
        "", manifests="-", image="wattcast:2"
    )
    assert ingest["spec"] == {"image": "wattcast:2"}
    assert train["spec"]["template"] == {"image": "wattcast:2"}
    assert "spec" not in conf
    pods = [document["spec"]["template"]["spec"] for document in deployments]
    assert [[container["image"] for container in pod["containers"]] for pod in pods] == [
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
def test_malformed_manifests_are_refused(text: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    file.write_text(text)
    with pytest.raises(Refused) as refused:
        rendered_documents("", manifests=str(file))
    assert str(refused.value) == f"{file} {words}"


def test_unknown_overlay_is_refused_with_the_existing_ones() -> None:
    with pytest.raises(Refused, match="no overlay staging: choose dev or prod"):
        rendered_documents("staging")


def test_missing_kubectl_and_kustomize_are_refused_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Refused, match="Neither kubectl nor kustomize is on the PATH"):
        rendered_documents("dev")


def test_overlay_is_rendered_by_kustomize_without_kubectl(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "kustomize"
    program.write_text(
        f'#!{os.environ.get("SHELL", "/bin/sh")}\necho "apiVersion: v1"\necho "kind: ConfigMap"\necho "metadata: {{name: $1}}"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert rendered_documents("dev") == [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "build"}}]
