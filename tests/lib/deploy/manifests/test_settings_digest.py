"""A change of settings changes the pod templates that read them, and no others."""

from copy import deepcopy
from typing import Any

import pytest
from tests.lib.deploy.documents import NAMESPACE, dependencies, ingest_application, kubernetes_object

from wattcast.deploy.applications import APPLICATIONS, Kind
from wattcast.deploy.manifests.settings_digest import ANNOTATION, with_settings_digests
from wattcast.deploy.manifests.spark_application import manifest

Document = dict[str, Any]


def server(kind: str, *volumes: Document) -> Document:
    pod = {"metadata": {"labels": {"app": "one"}}, "spec": {"containers": [], "volumes": list(volumes)}}
    return kubernetes_object("apps/v1", kind, kind.lower(), spec={"template": pod})


def digest(documents: list[Document], kind: str) -> str | None:
    (document,) = [each for each in with_settings_digests(documents) if each["kind"] == kind]
    spec = document["spec"]
    template = spec["driver"]["template"] if "driver" in spec else spec["template"]
    return template["metadata"].get("annotations", {}).get(ANNOTATION)


@pytest.mark.parametrize("field", ["data", "binaryData"])
def test_other_content_of_a_config_map_gives_another_digest_and_equal_content_the_same(field: str) -> None:
    def digest_with(value: str) -> str | None:
        conf = kubernetes_object("v1", "ConfigMap", "wattcast-conf", **{field: {"settings.yaml": value}})
        return digest([conf, ingest_application()], "SparkApplication")

    assert digest_with("a") == digest_with("a") is not None
    assert digest_with("a") != digest_with("b")


def test_optional_secret_of_the_documents_counts() -> None:
    def digest_with(certificate: str) -> str | None:
        secret = kubernetes_object("v1", "Secret", "kafka-ca", stringData={"ca.crt": certificate})
        return digest([*dependencies(), secret, ingest_application()], "SparkApplication")

    assert digest_with("old") != digest_with("new")


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_server_gets_the_digest_of_its_own_settings_only(kind: str) -> None:
    kafka = server(kind, {"name": "conf", "configMap": {"name": "kafka"}})

    def digest_with(kafka_value: str, env: str) -> str | None:
        maps = [
            kubernetes_object("v1", "ConfigMap", "kafka", data={"server.properties": kafka_value}),
            kubernetes_object("v1", "ConfigMap", "wattcast-env", data={"A": env}),
        ]
        return digest([*maps, kafka], kind)

    assert digest_with("a", "1") == digest_with("a", "2") is not None
    assert digest_with("a", "1") != digest_with("b", "1")


def test_settings_of_another_namespace_do_not_count() -> None:
    def digest_with(value: str) -> str | None:
        other = kubernetes_object("v1", "ConfigMap", "wattcast-conf", data={"a": value})
        other["metadata"]["namespace"] = f"{NAMESPACE}-2"
        return digest([other, *dependencies(), ingest_application()], "SparkApplication")

    assert digest_with("a") == digest_with("b")


def test_pods_without_settings_of_the_deployment_get_no_digest() -> None:
    documents = [server("Deployment", {"name": "conf", "configMap": {"name": "of-others"}}), ingest_application()]
    assert with_settings_digests(documents) == documents


def test_applications_that_end_are_not_run_again_by_changed_settings() -> None:
    documents = [*dependencies(), *(manifest(app) | {} for app in APPLICATIONS)]
    for document in documents:
        document["metadata"]["namespace"] = NAMESPACE
    before = deepcopy(documents)
    after = with_settings_digests(documents)
    assert documents == before
    changed = {new["metadata"]["name"] for new, old in zip(after, documents, strict=True) if new != old}
    assert changed == {app.name for app in APPLICATIONS if app.kind is Kind.STREAMING}
