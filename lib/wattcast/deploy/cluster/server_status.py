"""The status of a Deployment or StatefulSet: whether its pods are ready and current, and what is wrong with it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from wattcast.deploy.cluster.pod_faults import (
    Fault,
    event_time,
    events_of,
    is_being_deleted,
    one_line,
    parse_time,
    pod_faults,
)
from wattcast.deploy.manifests.documents import Manifest

READY_TIMEOUT = timedelta(seconds=60)  # a pod that runs for longer without being ready is a fault


@dataclass(frozen=True)
class ServerStatus:
    """A Deployment or StatefulSet as it was observed."""

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
    def replicas(self) -> int:
        return _replicas(self.document)

    @property
    def state(self) -> str:
        return f"{_available(self.document)} of {self.replicas} ready"

    @property
    def detail(self) -> str:
        """What is wrong; empty if nothing is."""
        return self.fault.message if self.fault else ""


def is_ready(server: Manifest) -> bool:
    """Whether all replicas are available and run the current revision, and no pod of an older revision is left."""
    status = server.get("status", {})
    updated = status.get("updatedReplicas", 0)
    are_current = _updates_by_hand(server) or status.get("replicas", 0) <= updated >= _replicas(server)
    return _is_observed(server) and are_current and _available(server) >= _replicas(server)


def server_fault(
    server: Manifest, pods: Sequence[Manifest], events: Sequence[Manifest], *, now: datetime,
    last_lines: Mapping[str, str],
) -> Fault | None:  # fmt: skip
    """The first fault, or None. The fault of a pod that will be replaced is never final."""
    if is_ready(server):
        return None
    present = [pod for pod in pods if not is_being_deleted(pod)]
    return next(_faults(server, present, events, last_lines, now), None)


def _faults(
    server: Manifest, pods: Sequence[Manifest], events: Sequence[Manifest], last_lines: Mapping[str, str], now: datetime
) -> Iterator[Fault]:
    current = _current_pods(server, pods)
    for pod in sorted(pods, key=lambda pod: pod not in current):
        pod_events = events_of(pod, events)
        for fault in (*pod_faults(pod, pod_events, last_lines, now), *_readiness_faults(pod, pod_events, now)):
            yield replace(fault, is_final=fault.is_final and pod in current)
    for condition in server.get("status", {}).get("conditions", []):
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            yield Fault(f"its pods cannot be created: {one_line(condition.get('message', ''))}")
    refusals = [event for event in events_of(server, events) if event.get("reason") == "FailedCreate"]
    if refusals and not pods:
        yield Fault(f"its pods cannot be created: {one_line(max(refusals, key=event_time).get('message', ''))}")


def _readiness_faults(pod: Manifest, events: Sequence[Manifest], now: datetime) -> Iterator[Fault]:
    """A pod that has run for longer than READY_TIMEOUT and is not ready."""
    status = pod.get("status", {})
    is_pod_ready = any(
        condition["type"] == "Ready" and condition["status"] == "True" for condition in status.get("conditions", [])
    )
    is_young = now - parse_time(pod["metadata"]["creationTimestamp"]) < READY_TIMEOUT
    if status.get("phase") != "Running" or is_pod_ready or is_young:
        return
    probes = [event for event in events if event.get("reason") == "Unhealthy"]
    reason = f": {one_line(max(probes, key=event_time).get('message', ''))}" if probes else ""
    yield Fault(f"{pod['metadata']['name']} runs but is not ready{reason}")


def _current_pods(server: Manifest, pods: Sequence[Manifest]) -> list[Manifest]:
    """The pods of the current revision. The status of a Deployment does not name it: its newest pod has it, once one is
    updated."""
    status = server.get("status", {})
    if not _is_observed(server):
        return []
    if server["kind"] == "StatefulSet":
        return [pod for pod in pods if _label(pod, "controller-revision-hash") == status.get("updateRevision")]
    if not pods or not status.get("updatedReplicas"):
        return []
    newest = max(pods, key=lambda pod: parse_time(pod["metadata"]["creationTimestamp"]))
    return [pod for pod in pods if _label(pod, "pod-template-hash") == _label(newest, "pod-template-hash")]


def _label(pod: Manifest, name: str) -> str | None:
    label: str | None = pod["metadata"].get("labels", {}).get(name)
    return label


def _is_observed(server: Manifest) -> bool:
    """Whether the status describes the current generation and not one before a change."""
    return bool(server.get("status", {}).get("observedGeneration", 0) >= server["metadata"].get("generation", 1))


def _updates_by_hand(server: Manifest) -> bool:
    """Whether pods of an older revision stay until somebody deletes them."""
    strategy = server["spec"].get("updateStrategy", {})
    return strategy.get("type") == "OnDelete" or bool(strategy.get("rollingUpdate", {}).get("partition"))


def _replicas(server: Manifest) -> int:
    return int(server["spec"].get("replicas", 1))


def _available(server: Manifest) -> int:
    status = server.get("status", {})
    return int(status.get("availableReplicas", status.get("readyReplicas", 0)))
