"""What documents need from a cluster before they are applied: namespaces, referenced objects, no conflicting application."""

from collections.abc import Iterator, Sequence

from wattcast.deploy.cluster.client import Cluster
from wattcast.deploy.errors import Forbidden, Refused
from wattcast.deploy.manifests.conflicts import conflicting_applications
from wattcast.deploy.manifests.documents import (
    API_VERSION,
    SPARK_KINDS,
    Manifest,
    resource_id,
    spark_applications,
    title,
)
from wattcast.deploy.manifests.references import references


def check_prerequisites(cluster: Cluster, documents: Sequence[Manifest]) -> None:
    """Raise Refused if the cluster lacks what the documents need, or runs an application that conflicts with them."""
    namespaces = document_namespaces(documents)
    if missing := [line for namespace in namespaces for line in _missing(cluster, documents, namespace)]:
        raise Refused("\n".join(missing))
    others = [application for namespace in namespaces for application in _others(cluster, documents, namespace)]
    if conflicts := list(conflicting_applications([*spark_applications(documents), *others])):
        raise Refused("\n".join(f"{conflict}." for conflict in conflicts))


def _missing(cluster: Cluster, documents: Sequence[Manifest], namespace: str) -> Iterator[str]:
    """A line for each object that pods of the namespace refer to and that neither the documents nor the cluster have."""
    deployed = {(document["kind"], document["metadata"]["name"]) for document in documents}
    is_new = cluster.get("v1", "Namespace", namespace) is None
    if is_new and ("Namespace", namespace) not in deployed:
        yield f"The namespace {namespace} does not exist: create it with `kubectl create namespace {namespace}`."
        return
    specs = [document.get("spec") for document in documents if document["metadata"].get("namespace") == namespace]
    for kind, name in sorted({*references(specs)} - deployed):
        if _exists(cluster, kind, name, namespace):
            continue
        remedy = "add it to the overlay"
        if kind == "Secret":
            first = f"`kubectl create namespace {namespace}`, then " if is_new else ""
            copy = "a copy of k8s/base/secrets.example.yaml with your values"
            remedy = f"{first}`kubectl apply -n {namespace} -f` {copy}"
        yield f"The namespace {namespace} has no {kind} {name}, which the manifests refer to: {remedy}."


def _exists(cluster: Cluster, kind: str, name: str, namespace: str) -> bool:
    """Whether the cluster has the object; True where the account must not read it."""
    try:
        return cluster.get("v1", kind, name, namespace) is not None
    except Forbidden:
        return True


def _others(cluster: Cluster, documents: Sequence[Manifest], namespace: str) -> list[Manifest]:
    """The applications of a namespace that are neither stopped nor among the documents nor runs of a schedule."""
    deployed = {(app["kind"], app["metadata"]["name"]) for app in spark_applications(documents)}
    live = [app for kind in SPARK_KINDS for app in cluster.objects(API_VERSION, kind, namespace)]
    return [
        app for app in live
        if (app["kind"], app["metadata"]["name"]) not in deployed and not app["spec"].get("suspend")
        and not app["metadata"].get("ownerReferences")
    ]  # fmt: skip


def document_namespaces(documents: Sequence[Manifest]) -> list[str]:
    """The namespaces of the documents. Raises Refused if an application has none."""
    without = [app for app in spark_applications(documents) if not app["metadata"].get("namespace")]
    if without:
        raise Refused(f"{title(without[0])} has no namespace: the overlay must set one.")
    return sorted({resource_id(document)[3] for document in documents} - {""})
