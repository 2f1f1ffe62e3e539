"""What is wrong with an application, in words, from the objects that the cluster has of it. Nothing here asks a cluster."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from wattcast.deploy.manifests import Manifest

UNANSWERED = timedelta(seconds=60)
SETTLING = timedelta(seconds=30)  # Spark makes the ConfigMaps of a driver just after the driver
RECENT = timedelta(minutes=15)
KILLED = 128 + 9

IMAGE = {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError"}
NOT_CREATED = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError"}
MISSING = re.compile(r'(secret|configmap|persistentvolumeclaim|serviceaccount) "?([-.\w]+)"? not found', re.IGNORECASE)
AT_REST = {"COMPLETED", "SUSPENDING", "SUSPENDED"}
NAMES = {
    "secret": "Secret",
    "configmap": "ConfigMap",
    "persistentvolumeclaim": "claim",
    "serviceaccount": "service account",
}
REASONS = (  # in the stack traces of spark-submit, the most telling first
    re.compile(r"Message: (.+?)\. Received status", re.DOTALL),
    re.compile(r"Caused by: [\w.$]+: (.+)"),
    re.compile(r'Exception in thread "main" [\w.$]+: (.+)'),
)


@dataclass(frozen=True)
class Fault:
    """What is wrong, as a sentence without its full stop; `is_final`: waiting will not mend it."""

    words: str
    is_final: bool = False


def diagnosed(
    application: Manifest, pods: Sequence[Manifest], events: Sequence[Manifest], *, now: datetime,
    last_lines: Mapping[str, str] | None = None,
) -> Fault | None:  # fmt: skip
    """The first thing that is wrong, or None. `events` are those of the application and of its pods, `last_lines` what the
    containers that ended wrote last, by pod."""
    if "schedule" in application["spec"]:
        return _of_schedule(application, now)
    if state(application) in AT_REST:
        return None
    alive = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    driver_first = sorted(alive, key=lambda pod: pod["metadata"].get("labels", {}).get("spark-role") != "driver")
    found = (fault for pod in driver_first for fault in of_pod(pod, about(pod, events), last_lines or {}, now))
    return next(found, None) or _of_state(application, about(application, events), now)


def state(application: Manifest) -> str:
    """The state that the operator says; empty while it has said none."""
    status = application.get("status", {})
    return str(status.get("scheduleState") or status.get("applicationState", {}).get("state") or "")


def moment(text: str) -> datetime:
    """A time of the API server."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def running_since(pod: Manifest) -> datetime | None:
    """Since when all containers of a pod have run; None where one does not, and of a pod on its way out."""
    states = [each["state"] for each in pod.get("status", {}).get("containerStatuses", [])]
    since = [each.get("running", {}).get("startedAt") for each in states]
    if not since or None in since or "deletionTimestamp" in pod["metadata"]:
        return None
    return max(moment(each) for each in since)


def _of_schedule(application: Manifest, now: datetime) -> Fault | None:
    if state(application) == "FailedValidation":
        return Fault(
            f"its schedule is not valid: {application['status'].get('reason', 'no reason given')}", is_final=True
        )
    return _unanswered(application, now)


def of_pod(pod: Manifest, events: Sequence[Manifest], last_lines: Mapping[str, str], now: datetime) -> Iterator[Fault]:
    """What is wrong with a pod, of whatever kind."""
    name, status = pod["metadata"]["name"], pod.get("status", {})
    if status.get("reason") in ("Evicted", "Preempting", "NodeLost", "Shutdown"):
        yield Fault(f"{name} was taken off its node: {status.get('message', status['reason'])}")
    for each in status.get("containerStatuses", []) + status.get("initContainerStatuses", []):
        yield from _of_container(pod, each, last_lines.get(name, ""))
    if status.get("phase") == "Pending":
        is_settled = now - moment(pod["metadata"]["creationTimestamp"]) > SETTLING
        yield from _pending(name, status, events if is_settled else ())


def _of_container(pod: Manifest, container: Manifest, last_line: str) -> Iterator[Fault]:
    name = pod["metadata"]["name"]
    if waiting := container["state"].get("waiting"):
        reason, message = waiting.get("reason", ""), one_line(waiting.get("message", ""))
        if reason in IMAGE:
            why = {"ErrImageNeverPull": "the node does not have it and may not pull it"}.get(reason, message or reason)
            yield Fault(f"the image {container['image']} of {name} cannot be pulled: {why}", is_final=True)
        elif reason in NOT_CREATED:
            yield _missing(message, name) or Fault(f"{name} cannot be started: {message or reason}", is_final=True)
    ended = container["state"].get("terminated") or (
        container.get("lastState", {}).get("terminated") if waiting else None
    )
    if ended and ended["exitCode"]:
        yield _ended(pod, container, ended, last_line)


def _ended(pod: Manifest, container: Manifest, ended: Manifest, last_line: str) -> Fault:
    name = pod["metadata"]["name"]
    if ended.get("reason") == "OOMKilled":
        limit = _memory_limit(pod, container["name"])
        return Fault(f"{name} ran out of memory and was killed" + (f": its limit is {limit}" if limit else ""))
    if ended["exitCode"] == KILLED:
        return Fault(f"{name} was killed (exit code {KILLED}), as by a lack of memory or by a stop that took too long")
    return Fault(f"{name} ended with exit code {ended['exitCode']}" + (f": {last_line}" if last_line else ""))


def _pending(name: str, status: Manifest, events: Sequence[Manifest]) -> Iterator[Fault]:
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            yield _unscheduled(name, one_line(condition.get("message", "")))
    for event in sorted(events, key=seen, reverse=True):
        if event.get("reason") in ("FailedMount", "FailedAttachVolume"):
            message = one_line(event.get("message", ""))
            yield _missing(message, name) or Fault(f"{name} waits for a volume: {message}")


def _unscheduled(name: str, message: str) -> Fault:
    if "unbound immediate PersistentVolumeClaims" in message:
        return Fault(f"{name} waits for its claim: no volume is bound to it, so look at the storage class")
    return _missing(message, name) or Fault(f"{name} is pending: no node has room for it ({message.rstrip('.')})")


def _missing(message: str, pod: str) -> Fault | None:
    if (found := MISSING.search(message)) is None:
        return None
    return Fault(f"the {NAMES[found[1].lower()]} {found[2]} that {pod} refers to is missing", is_final=True)


def _of_state(application: Manifest, events: Sequence[Manifest], now: datetime) -> Fault | None:
    status = application.get("status", {})
    message = str(status.get("applicationState", {}).get("errorMessage", ""))
    match state(application):
        case "":
            return _unanswered(application, now)
        case "SUBMISSION_FAILED":
            why = submission_error(message)
            return Fault(f"it could not be submitted: {why}", is_final="forbidden" in why.lower())
        case "FAILED":
            why = submission_error(message) if "submit" in message else _exit(message)
            return Fault(f"it failed: {why}", is_final=True)
        case "FAILING" | "PENDING_RERUN" if message:
            return Fault(f"it is started again: {_exit(message)}")
        case "RUNNING" | "SUBMITTED" | "PENDING_RERUN":
            return _lately(events, now)
    return None


def _lately(events: Sequence[Manifest], now: datetime) -> Fault | None:
    """What happened to pods that are gone already."""
    failed = [
        each for each in events
        if each.get("reason") in ("SparkExecutorFailed", "SparkDriverFailed") and now - seen(each) < RECENT
    ]  # fmt: skip
    if not failed:
        return None
    newest = max(failed, key=seen)
    message = one_line(newest["message"])
    minutes = round((now - seen(newest)).total_seconds() / 60)
    return Fault(f"{_exit(message)} {minutes} min ago")


def _exit(message: str) -> str:
    """The words of the operator on a pod that ended, more plainly."""
    text = one_line(message).rstrip(".")
    if "OOMKilled" in text:
        who = re.search(r"(?:Executor|Driver) (\S+) failed", text)
        return f"{who[1] if who else 'the driver'} ran out of memory and was killed"
    return re.sub(r", Pod Message: ?$", "", text) or "the operator gives no reason"


def _unanswered(application: Manifest, now: datetime) -> Fault | None:
    if state(application) or now - moment(application["metadata"]["creationTimestamp"]) < UNANSWERED:
        return None
    namespace = application["metadata"].get("namespace", "default")
    return Fault(
        f"no operator takes it up: does the Spark operator run, and does it watch the namespace {namespace}?",
        is_final=True,
    )


def submission_error(message: str) -> str:
    """What spark-submit stumbled on, out of what the operator keeps of its output."""
    for pattern in REASONS:
        if found := pattern.search(message):
            return one_line(found[1]).rstrip(".")
    lines = [line.strip() for line in message.splitlines() if line.strip() and not line.lstrip().startswith("at ")]
    return lines[-1].rstrip(".") if lines else "the operator gives no reason"


def about(thing: Manifest, events: Sequence[Manifest]) -> list[Manifest]:
    name = thing["metadata"]["name"]
    return [each for each in events if each.get("involvedObject", {}).get("name") == name]


def seen(event: Manifest) -> datetime:
    return moment(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"])


def _memory_limit(pod: Manifest, container: str) -> str:
    limits = (
        each.get("resources", {}).get("limits", {}).get("memory", "")
        for each in pod["spec"].get("containers", []) if each["name"] == container
    )  # fmt: skip
    return str(next(limits, ""))


def one_line(text: str) -> str:
    return " ".join(text.split())
