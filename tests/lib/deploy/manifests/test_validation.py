"""A wrong manifest is refused with one sentence that says what is wrong."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from wattcast.deploy.applications import application
from wattcast.deploy.manifests.pod_template import Target
from wattcast.deploy.manifests.schemas import schemas_in_folder
from wattcast.deploy.manifests.spark_application import manifest
from wattcast.deploy.manifests.validation import problems

CRDS = schemas_in_folder(Path(__file__).parents[3] / "k8s/crds")
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
    "unknown restart policy": (
        lambda: [with_change("ingest", "spec.restartPolicy.type", "Sometimes")],
        "SparkApplication ingest: spec.restartPolicy.type must be one of Never, Always, OnFailure, not 'Sometimes'.",
    ),
    "restart without an interval": (
        lambda: [with_change("ingest", "spec.restartPolicy", {"type": "Always", "onFailureRetryInterval": 5})],
        "SparkApplication ingest: restartPolicy.onSubmissionFailureRetryInterval is missing: without it the operator never "
        "restarts the application.",
    ),
    "schedule of an application that never ends": (
        lambda: [with_change("train", "spec.template.restartPolicy.type", "Always")],
        "ScheduledSparkApplication train: a scheduled application must not have the restart policy Always: it would never end.",
    ),
    "memory without a unit": (
        lambda: [with_change("ingest", "spec.executor.memory", "2048")],
        "SparkApplication ingest: executor: memory '2048' is not an amount with a unit, such as 1536m or 2g.",
    ),
    "negative cores": (
        lambda: [with_change("ingest", "spec.driver.cores", -1)],
        "SparkApplication ingest: spec.driver.cores must be at least 1, not -1.",
    ),
    "unknown version of the API": (
        lambda: [with_change("ingest", "apiVersion", "sparkoperator.k8s.io/v1")],
        "SparkApplication ingest: the API sparkoperator.k8s.io/v1 has no kind SparkApplication.",
    ),
    "secret in clear text": (
        lambda: [with_change("ingest", f"{DRIVER}.env", [{"name": "WATTCAST_KAFKA__PASSWORD", "value": "x"}])],
        "SparkApplication ingest: driver: container spark-kubernetes-driver env WATTCAST_KAFKA__PASSWORD contains a secret "
        "in clear text: refer to a Secret instead.",
    ),
    "privileged container": (
        lambda: [with_change("ingest", f"{DRIVER}.securityContext.privileged", True)],
        "SparkApplication ingest: driver: container spark-kubernetes-driver must not be privileged.",
    ),
    "hostPath volume": (
        lambda: [
            with_change("ingest", "spec.executor.template.spec.volumes", [{"name": "x", "hostPath": {"path": "/"}}])
        ],
        "SparkApplication ingest: executor: volume x must not be a hostPath.",
    ),
    "field that is ignored beside a template": (
        lambda: [with_change("ingest", "spec.driver.env", [])],
        "SparkApplication ingest: driver: env is ignored beside a pod template: move it into the template.",
    ),
    "name that is not valid for a Service": (
        lambda: [with_change("ingest", "metadata.name", "1-ingest")],
        "SparkApplication 1-ingest: the name 1-ingest is not valid: use at most 63 lower-case letters, digits and hyphens, "
        "starting with a letter.",
    ),
    "two applications of one name": (
        lambda: [manifest(application("ingest"))] * 2,
        "2 applications have the name ingest.",
    ),
    "pipeline beside a part of it": (
        lambda: [manifest(application("ingest")), manifest(application("pipeline"))],
        "pipeline already includes ingest: deploy either pipeline or ingest.",
    ),
    "typo in a built-in kind": (
        lambda: [POLICY | {"spec": {"podSelectors": {}}}],
        "NetworkPolicy none: spec has no field podSelectors.",
    ),
    "secret in a ConfigMap": (
        lambda: [ENVIRONMENT | {"data": {"WATTCAST_KAFKA__PASSWORD": "x", "secrets.txt": "x"}}],
        "ConfigMap wattcast-env: data WATTCAST_KAFKA__PASSWORD contains a secret in clear text: refer to a Secret instead.",
    ),
    "secret setting with another name": (
        lambda: [ENVIRONMENT | {"data": {"WATTCAST_ALERTS__WEBHOOK": "https://h/1", "WATTCAST_ALERTS__WEBHOOK_SECONDS": "5"}}],
        "ConfigMap wattcast-env: data WATTCAST_ALERTS__WEBHOOK contains a secret in clear text: refer to a Secret instead.",
    ),
    "password in an address": (
        lambda: [ENVIRONMENT | {"data": {"WATTCAST_MODEL__TRACKING_URI": "https://me:mine@mlflow"}}],
        "ConfigMap wattcast-env: data WATTCAST_MODEL__TRACKING_URI contains a secret in clear text: refer to a Secret instead.",
    ),
    "secret in an option of Spark": (
        lambda: [with_change("ingest", "spec.sparkConf", {"spark.kubernetes.driverEnv.AWS_SECRET_ACCESS_KEY": "x"})],
        "SparkApplication ingest: sparkConf spark.kubernetes.driverEnv.AWS_SECRET_ACCESS_KEY contains a secret in clear text: "
        "refer to a Secret instead.",
    ),
    "built-in kind in an unknown version": (
        lambda: [POLICY | {"apiVersion": "networking.k8s.io/v2"}],
        "NetworkPolicy none: the API networking.k8s.io/v2 has no kind NetworkPolicy.",
    ),
    "training that would lose its models": (
        lambda: [
            manifest(application("train"), Target(claim=None)), ENVIRONMENT | {"data": {"WATTCAST_LAKE": "s3a://b/lake"}}
        ],
        "train would lose its models with its pod: set WATTCAST_MODEL__TRACKING_URI to an MLflow "
        "server, or remove the application from the deployment.",
    ),
    "training because of drift that would lose its models": (
        lambda: [
            manifest(application("retrain"), Target(claim=None)), ENVIRONMENT | {"data": {"WATTCAST_LAKE": "s3a://b/lake"}}
        ],
        "retrain would lose its models with its pod: set WATTCAST_MODEL__TRACKING_URI to an MLflow "
        "server, or remove the application from the deployment.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_manifest_is_refused_with_one_sentence(name: str) -> None:
    build_documents, sentence = WRONG[name]
    assert problems(build_documents(), CRDS) == [sentence]


CUSTOM: list[dict[str, Any]] = [
    {"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "spec": {"target": {"name": "kafka-creds"}}},
    {"apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor", "spec": {"endpoints": []}},
    {"apiVersion": "kafka.strimzi.io/v1beta2", "kind": "KafkaUser", "spec": {"template": "a text"}},
    {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "spec": {"template": {"spec": {"containers": [{}]}}}},
    {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "spec": {}},
]


@pytest.mark.parametrize("custom", CUSTOM, ids=lambda document: document["kind"])
def test_kind_of_an_unknown_group_is_left_to_the_cluster(custom: dict[str, Any]) -> None:
    assert problems([custom | {"metadata": {"name": "mine"}}], CRDS) == []


@pytest.mark.parametrize(
    "name",
    [
        "spark.hadoop.fs.s3a.aws.credentials.provider",
        "spark.kubernetes.driver.secrets.kafka-creds",
        "spark.kubernetes.executor.secretKeyRef.PASSWORD",
    ],
)
def test_option_that_names_the_place_of_a_secret_is_accepted(name: str) -> None:
    assert problems([with_change("ingest", "spec.sparkConf", {name: "x"})], CRDS) == []


def test_variable_that_names_a_file_is_accepted() -> None:
    assert problems([ENVIRONMENT | {"data": {"AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/token"}}], CRDS) == []


def test_training_beside_an_object_store_needs_an_mlflow_server() -> None:
    training = manifest(application("train"), Target(claim=None))
    assert problems([training, ENVIRONMENT | {"data": {"WATTCAST_MODEL__TRACKING_URI": "http://mlflow"}}], CRDS) == []
    assert problems([training], CRDS) == []  # the ConfigMap may be in the cluster
