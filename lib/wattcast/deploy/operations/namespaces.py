"""Which namespace and which application a command means."""

from wattcast.deploy.cluster.client import Cluster
from wattcast.deploy.errors import Forbidden, Refused
from wattcast.deploy.manifests.documents import API_VERSION, SPARK_KINDS, Manifest


def resolve_namespace(cluster: Cluster, name: str) -> str:
    """The given namespace; without one, that of the context, or else the only one that has applications.

    Raises:
        Refused: the namespace does not exist, or several have applications.
    """
    if name:
        if is_missing(cluster, name):
            raise Refused(f"The namespace {name} does not exist.")
        return name
    if cluster.default_namespace:
        return cluster.default_namespace
    namespaces: list[str] = sorted(
        {app["metadata"]["namespace"] for kind in SPARK_KINDS for app in cluster.objects(API_VERSION, kind)}
    )
    if not namespaces:
        raise Refused("This cluster has no Wattcast application: deploy with `wattcast deploy`.")
    if len(namespaces) > 1:
        raise Refused(
            f"Wattcast is deployed in several namespaces: choose one of {', '.join(namespaces)} with --namespace."
        )
    return namespaces[0]


def find_application(cluster: Cluster, namespace: str, name: str) -> Manifest:
    """The live application of this name. Raises Refused if the namespace does not have it."""
    for kind in SPARK_KINDS:
        if (application := cluster.get(API_VERSION, kind, name, namespace)) is not None:
            return application
    names = [app["metadata"]["name"] for kind in SPARK_KINDS for app in cluster.objects(API_VERSION, kind, namespace)]
    existing = f"it has {', '.join(sorted(names))}" if names else "it has none"
    raise Refused(f"The namespace {namespace} has no application {name}: {existing}.")


def is_missing(cluster: Cluster, namespace: str) -> bool:
    """Whether the namespace does not exist; False where the account must not look."""
    try:
        return cluster.get("v1", "Namespace", namespace) is None
    except Forbidden:
        return False
