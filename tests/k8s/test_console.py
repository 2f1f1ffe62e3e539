"""The console pod has the environment of a driver, and pod security admits it."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.k8s.test_overlays import documents

from wattcast.deploy.applications import application
from wattcast.deploy.manifests.pod_security import pod_problems
from wattcast.deploy.manifests.pod_template import ACCOUNTS, DRIVER, Target, container, pod_template
from wattcast.deploy.manifests.schemas import schema_errors

FILE = Path(__file__).parents[2] / "k8s/console.yaml"


@pytest.fixture
def console() -> dict[str, Any]:
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))


def test_console_is_a_pod_that_the_restricted_level_admits(console: dict[str, Any]) -> None:
    assert list(schema_errors(console, {})) == []
    assert list(pod_problems(console)) == []


def test_console_takes_leases_as_a_driver_does(console: dict[str, Any]) -> None:
    """It has the account of drivers, which may write Leases, and reaches the API server. Without a token it would lock files."""
    assert console["spec"]["serviceAccountName"] == ACCOUNTS[DRIVER]
    assert console["spec"]["automountServiceAccountToken"] is True
    base = [
        each
        for each in documents(FILE.parent / "base/network.yaml")
        if each["metadata"]["name"].endswith("-to-api-server")
    ]
    meant = {each["metadata"]["name"]: each["spec"]["podSelector"]["matchLabels"].items() for each in base}
    (own,) = [name for name, labels in meant.items() if labels <= console["metadata"]["labels"].items()]
    ports = {each["metadata"]["name"]: each["spec"]["egress"] for each in base}
    assert ports[own] == ports["driver-to-api-server"]


def test_console_has_the_image_settings_and_volumes_of_a_driver(console: dict[str, Any]) -> None:
    app, target = application("pipeline"), Target()
    (here,), there = console["spec"]["containers"], container(app, target, DRIVER)
    assert here["image"] == target.image
    for field in ("envFrom", "volumeMounts", "securityContext"):
        assert here[field] == there[field], field
    assert console["spec"]["volumes"] == pod_template(app, target, DRIVER)["spec"]["volumes"]
    assert {each["name"]: each["value"] for each in here["env"]}.items() <= {
        each["name"]: each["value"] for each in there["env"]
    }.items()
