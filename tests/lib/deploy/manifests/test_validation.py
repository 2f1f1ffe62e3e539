"""A wrong manifest is refused with one sentence that says what is wrong."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from wattcast.deploy.applications import application
from wattcast.deploy.checks import problems
from wattcast.deploy.fields import schemas
from wattcast.deploy.manifests import Target, manifest

CRDS = schemas(Path(__file__).parents[2] / "k8s/crds")
DRIVER = "spec.driver.template.spec.containers.0"
ENVIRONMENT = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "wattcast-env"}}
POLICY = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "none"}}


def with_change(name: str, path: str, value: object) -> dict[str, Any]:
    """The manifest of an application with one field set."""
    changed = deepcopy(manifest(application(name)))
    *parents, last = path.split(".")
    place: Any = changed
    for part in parents:
        place = place[int(part) if isinstance(place, list) else part]
    place[last] = value
    return changed


def without(name: str, field: str) -> dict[str, Any]:
    """The manifest of an application that lacks a field of its spec."""
    changed = deepcopy(manifest(application(name)))
    del changed["spec"][field]
    return changed


WRONG: dict[str, tuple[Callable[[], list[dict[str, Any]]], str]] = {
    "typo in a field": (
        lambda: [with_change("ingest", "spec.driver.memroy", "1g")],
        "SparkApplication ingest: spec.driver has no field memroy.",
    ),
    "typo in a pod": (
        lambda: [with_change("ingest", f"{DRIVER}.volumeMount", [])],
        "SparkApplication ingest: driver: template.spec.containers.0 has no field volumeMount.",
    ),
    "wrong type": (
        lambda: [with_change("ingest", "spec.executor.instances", "two")],
        "SparkApplication ingest: spec.executor.instances must be integer, not 'two'.",
    ),
    "wrong type in a pod": (
        lambda: [with_change("ingest", "spec.driver.template.spec.terminationGracePeriodSeconds", "600s")],
        "SparkApplication ingest: driver: template.spec.terminationGracePeriodSeconds must be int, not '600s'.",
    ),
    "missing required field": (
        lambda: [without("ingest", "mainApplicationFile")],
        "SparkApplication ingest: spec lacks mainApplicationFile.",
    ),
    "no name": (
        lambda: [manifest(application("ingest")) | {"metadata": {}}],
        "SparkApplication without a name: metadata lacks name.",
    ),
    "restart policy that is none": (
        lambda: [with_change("ingest", "spec.restartPolicy.type", "Sometimes")],
        "SparkApplication ingest: spec.restartPolicy.type must be one of Never, Always, OnFailure, not 'Sometimes'.",
    ),
    "restart without an interval": (
        lambda: [with_change("ingest", "spec.restartPolicy", {"type": "Always", "onFailureRetryInterval": 5})],
        "SparkApplication ingest: without restartPolicy.onSubmissionFailureRetryInterval the operator never restarts it.",
    ),
    "schedule of what never ends": (
        lambda: [with_change("train", "spec.template.restartPolicy.type", "Always")],
        "ScheduledSparkApplication train: what is restarted always never ends, and its schedule never starts it again.",
    ),
    "memory without a unit": (
        lambda: [with_change("ingest", "spec.executor.memory", "2048")],
        "SparkApplication ingest: executor: memory '2048' is no amount with a unit, such as 1536m or 2g.",
    ),
    "negative cores": (
        lambda: [with_change("ingest", "spec.driver.cores", -1)],
        "SparkApplication ingest: spec.driver.cores must be at least 1, not -1.",
    ),
    "unknown version of the API": (
        lambda: [with_change("ingest", "apiVersion", "sparkoperator.k8s.io/v1")],
        "SparkApplication ingest: there is no kind SparkApplication of sparkoperator.k8s.io/v1.",
    ),
    "secret in the open": (
        lambda: [with_change("ingest", f"{DRIVER}.env", [{"name": "WATTCAST_KAFKA__PASSWORD", "value": "x"}])],
        "SparkApplication ingest: driver: container spark-kubernetes-driver env WATTCAST_KAFKA__PASSWORD holds a secret "
        "in the open; refer to a Secret.",
    ),
    "privileged container": (
        lambda: [with_change("ingest", f"{DRIVER}.securityContext.privileged", True)],
        "SparkApplication ingest: driver: container spark-kubernetes-driver must not be privileged.",
    ),
    "folder of the node": (
        lambda: [
            with_change("ingest", "spec.executor.template.spec.volumes", [{"name": "x", "hostPath": {"path": "/"}}])
        ],
        "SparkApplication ingest: executor: volume x must not be a hostPath.",
    ),
    "field that a template makes void": (
        lambda: [with_change("ingest", "spec.driver.env", [])],
        "SparkApplication ingest: driver: env beside a pod template is ignored; put it into the template.",
    ),
    "name that no service can have": (
        lambda: [with_change("ingest", "metadata.name", "1-ingest")],
        "SparkApplication 1-ingest: 1-ingest is no name for a service: small letters, digits and hyphens, 63 at most, a "
        "letter first.",
    ),
    "two applications of one name": (
        lambda: [manifest(application("ingest"))] * 2,
        "2 applications have the name ingest.",
    ),
    "pipeline beside a part of it": (
        lambda: [manifest(application("ingest")), manifest(application("pipeline"))],
        "pipeline does what ingest would do, too: deploy one or the other.",
    ),
    "typo in a kind of Kubernetes' own": (
        lambda: [POLICY | {"spec": {"podSelectors": {}}}],
        "NetworkPolicy none: spec has no field podSelectors.",
    ),
    "secret in a ConfigMap": (
        lambda: [ENVIRONMENT | {"data": {"WATTCAST_KAFKA__PASSWORD": "x", "secrets.txt": "x"}}],
        "ConfigMap wattcast-env: data WATTCAST_KAFKA__PASSWORD holds a secret in the open; refer to a Secret.",
    ),
    "secret that does not sound like one": (
        lambda: [ENVIRONMENT | {"data": {"WATTCAST_ALERTS__WEBHOOK": "https://h/1", "WATTCAST_ALERTS__WEBHOOK_SECONDS": "5"}}],
        "ConfigMap wattcast-env: data WATTCAST_ALERTS__WEBHOOK holds a secret in the open; refer to a Secret.",
    ),
    "password in an address": (
        lambda: [ENVIRONMENT | {"data": {"WATTCAST_MODEL__TRACKING_URI": "https://me:mine@mlflow"}}],
        "ConfigMap wattcast-env: data WATTCAST_MODEL__TRACKING_URI holds a secret in the open; refer to a Secret.",
    ),
    "secret in an option of Spark": (
        lambda: [with_change("ingest", "spec.sparkConf", {"spark.kubernetes.driverEnv.AWS_SECRET_ACCESS_KEY": "x"})],
        "SparkApplication ingest: sparkConf spark.kubernetes.driverEnv.AWS_SECRET_ACCESS_KEY holds a secret in the open; "
        "refer to a Secret.",
    ),
    "kind of Kubernetes' own in a version that has it not": (
        lambda: [POLICY | {"apiVersion": "networking.k8s.io/v2"}],
        "NetworkPolicy none: there is no kind NetworkPolicy of networking.k8s.io/v2.",
    ),
    "training whose models would go with its pod": (
        lambda: [manifest(application("train"), Target(claim=None)), ENVIRONMENT | {"data": {"WATTCAST_LAKE": "s3a://b/lake"}}],
        "train would lose what it trains with its pod: set WATTCAST_MODEL__TRACKING_URI to an MLflow server, or leave it out.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_manifest_is_refused_with_one_sentence(name: str) -> None:
    made, sentence = WRONG[name]
    assert problems(made(), CRDS) == [sentence]


CUSTOM: list[dict[str, Any]] = [
    {"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "spec": {"target": {"name": "kafka-creds"}}},
    {"apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor", "spec": {"endpoints": []}},
    {"apiVersion": "kafka.strimzi.io/v1beta2", "kind": "KafkaUser", "spec": {"template": "a text"}},
    {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "spec": {"template": {"spec": {"containers": [{}]}}}},
    {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "spec": {}},
]


@pytest.mark.parametrize("custom", CUSTOM, ids=lambda each: each["kind"])
def test_kind_of_a_group_that_is_not_known_is_left_to_the_cluster(custom: dict[str, Any]) -> None:
    assert problems([custom | {"metadata": {"name": "mine"}}], CRDS) == []


@pytest.mark.parametrize(
    "name",
    [
        "spark.hadoop.fs.s3a.aws.credentials.provider",
        "spark.kubernetes.driver.secrets.kafka-creds",
        "spark.kubernetes.executor.secretKeyRef.PASSWORD",
    ],
)
def test_option_that_names_where_a_secret_is_holds_none(name: str) -> None:
    assert problems([with_change("ingest", "spec.sparkConf", {name: "x"})], CRDS) == []


def test_file_that_a_variable_names_is_no_secret() -> None:
    assert problems([ENVIRONMENT | {"data": {"AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/token"}}], CRDS) == []


def test_training_beside_an_object_store_keeps_its_models_in_an_mlflow_server() -> None:
    training = manifest(application("train"), Target(claim=None))
    assert problems([training, ENVIRONMENT | {"data": {"WATTCAST_MODEL__TRACKING_URI": "http://mlflow"}}], CRDS) == []
    assert problems([training], CRDS) == []  # what it refers to may be in the cluster
