"""Kubernetes documents as dictionaries: their identity, and which job a Spark application runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]

API_VERSION = "sparkoperator.k8s.io/v1beta2"
SPARK_KINDS = ("SparkApplication", "ScheduledSparkApplication")
SERVER_API_VERSION = "apps/v1"
SERVER_KINDS = ("Deployment", "StatefulSet")
PART_OF_LABEL = ("app.kubernetes.io/part-of", "wattcast")
PART_OF_SELECTOR = "=".join(PART_OF_LABEL)
SERVER_WRITTEN = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink")


def resource_id(document: Manifest) -> tuple[str, str, str, str]:
    """apiVersion, kind, name and namespace; the namespace is empty for cluster-wide kinds."""
    metadata = document["metadata"]
    return document["apiVersion"], document["kind"], metadata["name"], metadata.get("namespace", "")


def title(document: Manifest) -> str:
    """Kind and name, as messages show them."""
    return f"{document['kind']} {document['metadata']['name']}"


def without_server_fields(document: Manifest) -> Manifest:
    """The document without its status and the metadata that only the API server writes."""
    metadata = {key: value for key, value in document["metadata"].items() if key not in SERVER_WRITTEN}
    return {**{key: value for key, value in document.items() if key != "status"}, "metadata": metadata}


def to_yaml(document: Manifest) -> str:
    """The YAML text of a document, with its keys in the order of the dictionary."""
    return yaml.dump(document, Dumper=_WithoutAliases, sort_keys=False, width=120)


def spark_applications(documents: Sequence[Manifest]) -> list[Manifest]:
    """The SparkApplications and ScheduledSparkApplications among the documents."""
    return [document for document in documents if document.get("apiVersion") == API_VERSION]


def spark_spec(application: Manifest) -> Manifest:
    """The spec that the operator submits: for a scheduled application, its template."""
    spec: Manifest = application["spec"]
    return spec["template"] if "schedule" in spec else spec


def job_name(application: Manifest) -> str:
    """The job that the application runs: the name of its file without the suffix."""
    return Path(spark_spec(application)["mainApplicationFile"]).stem


def is_streaming(application: Manifest) -> bool:
    """Whether the application is meant to run without end."""
    return bool(spark_spec(application).get("restartPolicy", {}).get("type") == "Always")


def is_server(document: Manifest) -> bool:
    """Whether the document is a Deployment or a StatefulSet."""
    return document["apiVersion"] == SERVER_API_VERSION and document["kind"] in SERVER_KINDS


class _WithoutAliases(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True
