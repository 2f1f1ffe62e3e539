"""What is wrong with a pod, in one sentence, from its status and its events. Nothing here connects to a cluster."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from wattcast.deploy.manifests.documents import Manifest

EVENT_GRACE = timedelta(seconds=30)  # Spark creates the ConfigMaps of a driver just after the driver
SIGKILL_EXIT = 128 + 9

REMOVED_FROM_NODE = {"Evicted", "Preempting", "NodeLost", "Shutdown"}
NO_IMAGE = {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError"}
NOT_CREATED = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError"}
MISSING = re.compile(r'(secret|configmap|persistentvolumeclaim|serviceaccount) "?([-.\w]+)"? not found', re.IGNORECASE)
KIND_NAMES = {
    "secret": "Secret",
    "configmap": "ConfigMap",
    "persistentvolumeclaim": "PersistentVolumeClaim",
    "serviceaccount": "ServiceAccount",
}


@dataclass(frozen=True)
class Fault:
    """What is wrong, as a sentence without a full stop; `is_final` if waiting cannot repair it."""

    message: str
    is_final: bool = False


def pod_faults(
    pod: Manifest, events: Sequence[Manifest], last_lines: Mapping[str, str], now: datetime
) -> Iterator[Fault]:
    """The faults of a pod of any kind. `last_lines` has the last log line of the pods that have ended."""
    name, status = pod["metadata"]["name"], pod.get("status", {})
    if status.get("reason") in REMOVED_FROM_NODE:
        yield Fault(f"{name} was removed from its node: {status.get('message', status['reason'])}")
    for container in status.get("containerStatuses", []) + status.get("initContainerStatuses", []):
        yield from _container_faults(pod, container, last_lines.get(name, ""))
    if status.get("phase") == "Pending":
        is_settled = now - parse_time(pod["metadata"]["creationTimestamp"]) > EVENT_GRACE
        yield from _pending_faults(name, status, events if is_settled else ())


def _container_faults(pod: Manifest, container: Manifest, last_line: str) -> Iterator[Fault]:
    name = pod["metadata"]["name"]
    if waiting := container["state"].get("waiting"):
        reason, message = waiting.get("reason", ""), one_line(waiting.get("message", ""))
        if reason in NO_IMAGE:
            never_pulled = "it is not on the node, and imagePullPolicy is Never"
            why = never_pulled if reason == "ErrImageNeverPull" else message or reason
            yield Fault(f"the image {container['image']} of {name} cannot be pulled: {why}", is_final=True)
        elif reason in NOT_CREATED:
            yield _missing_reference(message, name) or Fault(
                f"{name} cannot be started: {message or reason}", is_final=True
            )
    terminated = container["state"].get("terminated") or (
        container.get("lastState", {}).get("terminated") if waiting else None
    )
    if terminated and terminated["exitCode"]:
        yield _exit_fault(pod, container, terminated, last_line)


def _exit_fault(pod: Manifest, container: Manifest, terminated: Manifest, last_line: str) -> Fault:
    name = pod["metadata"]["name"]
    if terminated.get("reason") == "OOMKilled":
        limit = _memory_limit(pod, container["name"])
        return Fault(f"{name} ran out of memory and was killed" + (f": its limit is {limit}" if limit else ""))
    if terminated["exitCode"] == SIGKILL_EXIT:
        return Fault(f"{name} was killed (exit code {SIGKILL_EXIT}): it ran out of memory, or its stop took too long")
    return Fault(f"{name} ended with exit code {terminated['exitCode']}" + (f": {last_line}" if last_line else ""))


def _pending_faults(name: str, status: Manifest, events: Sequence[Manifest]) -> Iterator[Fault]:
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            yield _scheduling_fault(name, one_line(condition.get("message", "")))
    for event in sorted(events, key=event_time, reverse=True):
        if event.get("reason") in ("FailedMount", "FailedAttachVolume"):
            message = one_line(event.get("message", ""))
            yield _missing_reference(message, name) or Fault(f"{name} waits for a volume: {message}")


def _scheduling_fault(name: str, message: str) -> Fault:
    if "unbound immediate PersistentVolumeClaims" in message:
        return Fault(f"{name} waits for its PersistentVolumeClaim: no volume is bound to it; check the storage class")
    reason = message.rstrip(".")
    return _missing_reference(message, name) or Fault(f"{name} is pending: no node has room for it ({reason})")


def _missing_reference(message: str, pod: str) -> Fault | None:
    if (match := MISSING.search(message)) is None:
        return None
    return Fault(f"the {KIND_NAMES[match[1].lower()]} {match[2]} that {pod} refers to is missing", is_final=True)


def _memory_limit(pod: Manifest, container_name: str) -> str:
    limits = (
        container.get("resources", {}).get("limits", {}).get("memory", "")
        for container in pod["spec"].get("containers", []) if container["name"] == container_name
    )  # fmt: skip
    return str(next(limits, ""))


def events_of(document: Manifest, events: Sequence[Manifest]) -> list[Manifest]:
    """The events of one object."""
    name = document["metadata"]["name"]
    return [event for event in events if event.get("involvedObject", {}).get("name") == name]


def event_time(event: Manifest) -> datetime:
    """When the event occurred last."""
    return parse_time(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"])


def parse_time(text: str) -> datetime:
    """A timestamp of the API server."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def running_since(pod: Manifest) -> datetime | None:
    """Since when all containers of the pod run; None if one does not run or the pod is being deleted."""
    states = [container["state"] for container in pod.get("status", {}).get("containerStatuses", [])]
    started = [state.get("running", {}).get("startedAt") for state in states]
    if not started or None in started or is_being_deleted(pod):
        return None
    return max(parse_time(text) for text in started)


def is_being_deleted(pod: Manifest) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def one_line(text: str) -> str:
    """The text with each run of white space as one space."""
    return " ".join(text.split())
