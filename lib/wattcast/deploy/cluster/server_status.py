"""Deployments and StatefulSets: whether their pods are those that are wanted, and what is wrong with one, in words."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from wattcast.deploy.diagnosis import UNANSWERED, Fault, about, moment, of_pod, one_line, seen
from wattcast.deploy.manifests import Manifest

SERVERS_API_VERSION = "apps/v1"
SERVERS = ("Deployment", "StatefulSet")


@dataclass(frozen=True)
class Server:
    """One of them as it is now."""

    document: Manifest
    pods: Sequence[Manifest]
    fault: Fault | None

    @property
    def name(self) -> str:
        return str(self.document["metadata"]["name"])

    @property
    def kind(self) -> str:
        return str(self.document["kind"])

    @property
    def is_ready(self) -> bool:
        return is_ready(self.document)

    @property
    def wanted(self) -> int:
        return _wanted(self.document)

    @property
    def state(self) -> str:
        return f"{_available(self.document)} of {self.wanted} ready"

    @property
    def words(self) -> str:
        return self.fault.words if self.fault else ""


def is_ready(server: Manifest) -> bool:
    """Whether as many pods as are wanted are available, of what it is now and none of what it was before."""
    status = server.get("status", {})
    updated = status.get("updatedReplicas", 0)
    are_new = _goes_by_hand(server) or status.get("replicas", 0) <= updated >= _wanted(server)
    return _is_taken_up(server) and are_new and _available(server) >= _wanted(server)


def fault_of(
    server: Manifest, pods: Sequence[Manifest], events: Sequence[Manifest], *, now: datetime,
    last_lines: Mapping[str, str],
) -> Fault | None:  # fmt: skip
    """The first thing that is wrong, or None. A fault of a pod that is to be replaced is never final."""
    if is_ready(server):
        return None
    alive = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    return next(_faults(server, alive, events, last_lines, now), None)


def _faults(
    server: Manifest, pods: Sequence[Manifest], events: Sequence[Manifest], last_lines: Mapping[str, str], now: datetime
) -> Iterator[Fault]:
    current = _current(server, pods)
    for pod in sorted(pods, key=lambda pod: pod not in current):
        of_it = about(pod, events)
        for fault in (*of_pod(pod, of_it, last_lines, now), *_unready(pod, of_it, now)):
            yield replace(fault, is_final=fault.is_final and pod in current)
    for condition in server.get("status", {}).get("conditions", []):
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            yield Fault(f"its pods cannot be made: {one_line(condition.get('message', ''))}")
    refused = [each for each in about(server, events) if each.get("reason") == "FailedCreate"]
    if refused and not pods:
        yield Fault(f"its pods cannot be made: {one_line(max(refused, key=seen).get('message', ''))}")


def _unready(pod: Manifest, events: Sequence[Manifest], now: datetime) -> Iterator[Fault]:
    """A pod that has run for a while and does not say that it is ready."""
    status = pod.get("status", {})
    is_ready = any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions", []))
    if status.get("phase") != "Running" or is_ready or now - moment(pod["metadata"]["creationTimestamp"]) < UNANSWERED:
        return
    unhealthy = [each for each in events if each.get("reason") == "Unhealthy"]
    why = f": {one_line(max(unhealthy, key=seen).get('message', ''))}" if unhealthy else ""
    yield Fault(f"{pod['metadata']['name']} runs but is not ready{why}")


def _current(server: Manifest, pods: Sequence[Manifest]) -> list[Manifest]:
    """The pods of what the server is now. A Deployment does not say which these are: those like the newest, once there is one."""
    status = server.get("status", {})
    if not _is_taken_up(server):
        return []
    if server["kind"] == "StatefulSet":
        return [pod for pod in pods if _label(pod, "controller-revision-hash") == status.get("updateRevision")]
    if not pods or not status.get("updatedReplicas"):
        return []
    newest = max(pods, key=lambda pod: moment(pod["metadata"]["creationTimestamp"]))
    return [pod for pod in pods if _label(pod, "pod-template-hash") == _label(newest, "pod-template-hash")]


def _label(pod: Manifest, name: str) -> str | None:
    label: str | None = pod["metadata"].get("labels", {}).get(name)
    return label


def _is_taken_up(server: Manifest) -> bool:
    """Whether the status is of what it is now, and not of what it was before a change."""
    return bool(server.get("status", {}).get("observedGeneration", 0) >= server["metadata"].get("generation", 1))


def _goes_by_hand(server: Manifest) -> bool:
    """Whether pods of what it was before stay until someone else takes them away."""
    strategy = server["spec"].get("updateStrategy", {})
    return strategy.get("type") == "OnDelete" or bool(strategy.get("rollingUpdate", {}).get("partition"))


def _wanted(server: Manifest) -> int:
    return int(server["spec"].get("replicas", 1))


def _available(server: Manifest) -> int:
    status = server.get("status", {})
    return int(status.get("availableReplicas", status.get("readyReplicas", 0)))
