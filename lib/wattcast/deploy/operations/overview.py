"""The status of everything that Wattcast runs in a namespace."""

from collections.abc import Sequence
from dataclasses import dataclass

from wattcast.deploy.cluster.application_status import ApplicationStatus
from wattcast.deploy.cluster.client import Cluster
from wattcast.deploy.cluster.server_status import ServerStatus
from wattcast.deploy.cluster.status import application_statuses, server_statuses
from wattcast.deploy.errors import Forbidden
from wattcast.deploy.operations.namespaces import resolve_namespace


@dataclass(frozen=True)
class NamespaceStatus:
    """Applications and servers of a namespace; `notice` says why the servers are not listed, if they are not."""

    namespace: str
    applications: Sequence[ApplicationStatus]
    servers: Sequence[ServerStatus]
    notice: str = ""

    @property
    def has_fault(self) -> bool:
        faults = [status.fault for status in self.applications] + [status.fault for status in self.servers]
        return any(faults)

    def as_json(self) -> dict[str, object]:
        return {
            "namespace": self.namespace,
            "applications": [_application_json(status) for status in self.applications],
            "servers": [_server_json(status) for status in self.servers],
        }


def namespace_status(namespace: str, context: str) -> NamespaceStatus:
    """The status of the applications and servers of a namespace."""
    cluster = Cluster(context)
    namespace = resolve_namespace(cluster, namespace)
    applications = application_statuses(cluster, namespace)
    try:
        return NamespaceStatus(namespace, applications, server_statuses(cluster, namespace))
    except Forbidden as error:
        return NamespaceStatus(namespace, applications, (), f"Deployments and StatefulSets are not shown: {error}")


def _application_json(status: ApplicationStatus) -> dict[str, object]:
    return {
        "name": status.name,
        "kind": status.kind,
        "state": status.state or "new",
        "attempts": status.attempts,
        "since": status.since.isoformat() if status.since else None,
        "driver": status.driver or None,
        "wrong": status.fault.message if status.fault else None,
    }


def _server_json(status: ServerStatus) -> dict[str, object]:
    return {"name": status.name, "kind": status.kind, "state": status.state, "wrong": status.detail or None}
