"""Reads the status of applications and servers from a cluster."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from wattcast.deploy.cluster.application_faults import application_fault
from wattcast.deploy.cluster.application_status import ApplicationStatus
from wattcast.deploy.cluster.client import Cluster
from wattcast.deploy.cluster.pod_faults import is_being_deleted
from wattcast.deploy.cluster.polling import wait_until
from wattcast.deploy.cluster.server_status import ServerStatus, server_fault
from wattcast.deploy.errors import Failed, Refused
from wattcast.deploy.manifests.documents import API_VERSION, SERVER_API_VERSION, SERVER_KINDS, SPARK_KINDS, Manifest

APP_LABEL = "sparkoperator.k8s.io/app-name"


def application_status(cluster: Cluster, application: Manifest) -> ApplicationStatus:
    """The status of an application of the cluster, with its pods, their events and the last lines of their logs."""
    pods = _pods(cluster, application["metadata"]["namespace"], _pod_labels(application))
    events, last_lines = _events(cluster, application, pods), _last_lines(cluster, pods)
    fault = application_fault(application, pods, events, now=datetime.now(UTC), last_lines=last_lines)
    return ApplicationStatus(application, pods, fault, last_lines)


def server_status(cluster: Cluster, document: Manifest) -> ServerStatus:
    """The status of a Deployment or StatefulSet of the cluster."""
    pods = _pods(cluster, document["metadata"]["namespace"], document["spec"]["selector"].get("matchLabels", {}))
    events, last_lines = _events(cluster, document, pods), _last_lines(cluster, pods)
    fault = server_fault(document, pods, events, now=datetime.now(UTC), last_lines=last_lines)
    return ServerStatus(document, pods, fault)


def application_statuses(cluster: Cluster, namespace: str) -> list[ApplicationStatus]:
    """The status of every application of a namespace."""
    applications = [app for kind in SPARK_KINDS for app in cluster.objects(API_VERSION, kind, namespace)]
    return [application_status(cluster, application) for application in applications]


def server_statuses(cluster: Cluster, namespace: str) -> list[ServerStatus]:
    """The status of every Deployment and StatefulSet of a namespace."""
    servers = [server for kind in SERVER_KINDS for server in cluster.objects(SERVER_API_VERSION, kind, namespace)]
    return [server_status(cluster, server) for server in servers]


def wait_until_pods_are_gone(cluster: Cluster, applications: Sequence[Manifest], *, seconds: float) -> None:
    """Wait until no pod of the deleted applications is left. Raises Failed when the time is over."""

    def remaining() -> list[ApplicationStatus]:
        pods_by_application = [
            (application, _pods(cluster, application["metadata"]["namespace"], _pod_labels(application)))
            for application in applications
        ]
        return [ApplicationStatus(application, pods, None) for application, pods in pods_by_application if pods]

    wait_until(remaining, is_done=lambda _: False, seconds=seconds, title="Waiting for current batches to finish")


def _pod_labels(application: Manifest) -> dict[str, str]:
    return {APP_LABEL: application["metadata"]["name"]}


def _pods(cluster: Cluster, namespace: str, labels: Mapping[str, str]) -> list[Manifest]:
    return cluster.objects("v1", "Pod", namespace, labels=",".join(f"{key}={value}" for key, value in labels.items()))


def _events(cluster: Cluster, document: Manifest, pods: Sequence[Manifest]) -> list[Manifest]:
    """The events of an object and of its pods."""
    names = {involved["metadata"]["name"] for involved in (document, *pods)}
    events = cluster.objects("v1", "Event", document["metadata"]["namespace"])
    return [event for event in events if event.get("involvedObject", {}).get("name") in names]


def _last_lines(cluster: Cluster, pods: Sequence[Manifest]) -> dict[str, str]:
    return {pod["metadata"]["name"]: _last_line(cluster, pod) for pod in pods if _has_ended(pod)}


def _has_ended(pod: Manifest) -> bool:
    return pod.get("status", {}).get("phase") in ("Failed", "Succeeded") and not is_being_deleted(pod)


def _last_line(cluster: Cluster, pod: Manifest) -> str:
    """The last line of the pod's log that is not blank; empty if the log cannot be read."""
    try:
        lines = list(cluster.log_lines(pod["metadata"]["name"], pod["metadata"]["namespace"], tail=5))
    except (Failed, Refused):
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
