"""Helm renders the chart of k8s/helm as the fast tests do."""

from typing import Any

import pytest
import yaml
from tests.k8s.cluster.node import Cluster
from tests.lib.deploy.chart.rendering import CHART, Document, rendered_chart

OBJECT_STORE: dict[str, Any] = {
    "image": "registry:5000/wattcast@sha256:0a",
    "env": {"WATTCAST_LAKE": "s3a://b/lake?a=1&b=<2>", "WATTCAST_KAFKA__BOOTSTRAP_SERVERS": "one:9092,two:9092"},
    "state": {"persistentVolumeClaim": None, "emptyDir": {}},
    "claim": None,
    "priorityClasses": False,
    "applications": {"sqlGateway": {"enabled": False}, "forecast": {"executor": {"instances": 6}}},
}


def ordered(documents: list[Document]) -> list[Document]:
    return sorted(documents, key=lambda document: (document["kind"], document["metadata"]["name"]))


@pytest.mark.parametrize("values", [{}, OBJECT_STORE], ids=["defaults", "object store"])
def test_helm_renders_the_chart_as_the_fast_tests_do(cluster: Cluster, values: dict[str, Any]) -> None:
    command = ("helm", "template", "wattcast", CHART, "--namespace", "mine", "--values", "-")
    done = cluster.run(*command, stdin=yaml.safe_dump(values))
    assert done.returncode == 0, done.stderr
    found = [document for document in yaml.safe_load_all(done.stdout) if document]
    assert ordered(found) == ordered(rendered_chart(values, namespace="mine"))


def test_helm_finds_no_fault_in_the_chart(cluster: Cluster) -> None:
    done = cluster.run("helm", "lint", "--strict", CHART)
    assert done.returncode == 0, done.stdout
