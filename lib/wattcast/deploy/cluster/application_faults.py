"""What is wrong with a Spark application, in one sentence, from the objects of the cluster. Nothing here connects to it."""

import re
from collections.abc import Mapping, Sequence
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

OPERATOR_TIMEOUT = timedelta(seconds=60)  # the operator has set a state by then
RECENT = timedelta(minutes=15)  # for events of pods that no longer exist

AT_REST = {"COMPLETED", "SUSPENDING", "SUSPENDED"}
SUBMIT_ERRORS = (  # in the stack traces of spark-submit, the most specific first
    re.compile(r"Message: (.+?)\. Received status", re.DOTALL),
    re.compile(r"Caused by: [\w.$]+: (.+)"),
    re.compile(r'Exception in thread "main" [\w.$]+: (.+)'),
)


def application_fault(
    application: Manifest, pods: Sequence[Manifest], events: Sequence[Manifest], *, now: datetime,
    last_lines: Mapping[str, str] | None = None,
) -> Fault | None:  # fmt: skip
    """The first fault, or None; faults of the driver come before those of executors.

    `events` are those of the application and its pods, `last_lines` the last log line of each pod that has ended.
    """
    if "schedule" in application["spec"]:
        return _schedule_fault(application, now)
    if application_state(application) in AT_REST:
        return None
    present = [pod for pod in pods if not is_being_deleted(pod)]
    driver_first = sorted(present, key=lambda pod: pod["metadata"].get("labels", {}).get("spark-role") != "driver")
    faults = (fault for pod in driver_first for fault in pod_faults(pod, events_of(pod, events), last_lines or {}, now))
    return next(faults, None) or _state_fault(application, events_of(application, events), now)


def application_state(application: Manifest) -> str:
    """The state that the operator has set; empty while it has set none."""
    status = application.get("status", {})
    return str(status.get("scheduleState") or status.get("applicationState", {}).get("state") or "")


def submission_error(message: str) -> str:
    """The reason of a failed submission, from the output of spark-submit that the operator records."""
    for pattern in SUBMIT_ERRORS:
        if match := pattern.search(message):
            return one_line(match[1]).rstrip(".")
    lines = [line.strip() for line in message.splitlines() if line.strip() and not line.lstrip().startswith("at ")]
    return lines[-1].rstrip(".") if lines else "the operator gives no reason"


def _schedule_fault(application: Manifest, now: datetime) -> Fault | None:
    if application_state(application) == "FailedValidation":
        reason = application["status"].get("reason", "no reason given")
        return Fault(f"its schedule is not valid: {reason}", is_final=True)
    return _operator_fault(application, now)


def _state_fault(application: Manifest, events: Sequence[Manifest], now: datetime) -> Fault | None:
    status = application.get("status", {})
    message = str(status.get("applicationState", {}).get("errorMessage", ""))
    match application_state(application):
        case "":
            return _operator_fault(application, now)
        case "SUBMISSION_FAILED":
            reason = submission_error(message)
            return Fault(f"the submission failed: {reason}", is_final="forbidden" in reason.lower())
        case "FAILED":
            reason = submission_error(message) if "submit" in message else _exit_reason(message)
            return Fault(f"the application failed: {reason}", is_final=True)
        case "FAILING" | "PENDING_RERUN" if message:
            return Fault(f"the application is restarted: {_exit_reason(message)}")
        case "RUNNING" | "SUBMITTED" | "PENDING_RERUN":
            return _recent_pod_failure(events, now)
    return None


def _recent_pod_failure(events: Sequence[Manifest], now: datetime) -> Fault | None:
    """The newest failure of a pod that no longer exists."""
    failures = [
        event for event in events
        if event.get("reason") in ("SparkExecutorFailed", "SparkDriverFailed") and now - event_time(event) < RECENT
    ]  # fmt: skip
    if not failures:
        return None
    newest = max(failures, key=event_time)
    minutes = round((now - event_time(newest)).total_seconds() / 60)
    return Fault(f"{_exit_reason(one_line(newest['message']))} {minutes} min ago")


def _exit_reason(message: str) -> str:
    """The operator's message about a pod that ended, in plain words."""
    text = one_line(message).rstrip(".")
    if "OOMKilled" in text:
        pod = re.search(r"(?:Executor|Driver) (\S+) failed", text)
        return f"{pod[1] if pod else 'the driver'} ran out of memory and was killed"
    return re.sub(r", Pod Message: ?$", "", text) or "the operator gives no reason"


def _operator_fault(application: Manifest, now: datetime) -> Fault | None:
    age = now - parse_time(application["metadata"]["creationTimestamp"]) if not application_state(application) else None
    if age is None or age < OPERATOR_TIMEOUT:
        return None
    namespace = application["metadata"].get("namespace", "default")
    return Fault(
        f"the Spark operator has not processed it: check that the operator runs and watches the namespace {namespace}",
        is_final=True,
    )
