"""Stopping and starting deployed applications."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from wattcast.deploy.cluster.application_status import ApplicationStatus
from wattcast.deploy.cluster.client import Cluster
from wattcast.deploy.cluster.polling import wait_until
from wattcast.deploy.cluster.status import application_status
from wattcast.deploy.errors import Failed, Refused
from wattcast.deploy.manifests.documents import API_VERSION, SPARK_KINDS, Manifest
from wattcast.deploy.operations.namespaces import find_application, resolve_namespace
from wattcast.deploy.rollout.changes import Report
from wattcast.deploy.rollout.readiness import current_submissions, summary_lines, wait_until_running

ENDED = ("COMPLETED", "FAILED")


@dataclass(frozen=True)
class StopRequest:
    """Names of applications, or all of the namespace."""

    names: Sequence[str]
    all_applications: bool
    namespace: str
    context: str
    timeout_seconds: int


@dataclass(frozen=True)
class StartRequest:
    names: Sequence[str]
    namespace: str
    context: str
    waits: bool
    timeout_seconds: int
    settle_seconds: int


def stop(request: StopRequest, *, report: Report) -> None:
    """Suspend applications and wait until their pods are gone; each ends between two batches. A suspended schedule starts no run.

    The operator deletes the driver of a suspended application with the grace period of its pod; the driver's preStop hook
    ends the job.
    """
    if bool(request.names) == request.all_applications:
        raise Refused("Name the applications to stop, or use --all.")
    cluster = Cluster(request.context)
    namespace = resolve_namespace(cluster, request.namespace)
    if request.all_applications:
        applications = [app for kind in SPARK_KINDS for app in cluster.objects(API_VERSION, kind, namespace)]
    else:
        applications = [find_application(cluster, namespace, name) for name in request.names]
    stopping = [application for application in applications if _suspend(cluster, application, report)]
    wait_for_applications(
        cluster, stopping, seconds=request.timeout_seconds, title="Waiting for current batches to finish",
        is_done=lambda status: not status.driver and status.state in ("SUSPENDED", *ENDED),
    )  # fmt: skip
    for application in stopping:
        report(f"{application['metadata']['name']} is stopped")


def start(request: StartRequest, *, report: Report) -> None:
    """Start stopped or ended applications, and wait until they run."""
    cluster = Cluster(request.context)
    namespace = resolve_namespace(cluster, request.namespace)
    applications = [find_application(cluster, namespace, name) for name in request.names]
    replaced = current_submissions(cluster, [app for app in applications if _is_at_rest(app)])
    for application in applications:
        _resume(cluster, application, report)
    if not request.waits:
        return
    statuses = wait_until_running(
        cluster, applications, seconds=request.timeout_seconds, settle_seconds=request.settle_seconds,
        old_submissions=replaced,
    )  # fmt: skip
    for line in summary_lines(statuses):
        report(line)


def wait_for_applications(
    cluster: Cluster, applications: Iterable[Manifest], *, is_done: Callable[[ApplicationStatus], bool],
    seconds: float, title: str,
) -> list[ApplicationStatus]:  # fmt: skip
    """Wait until the status of each application is done. Raises Failed if one is deleted or the time is over."""
    applications = list(applications)

    def observe() -> list[ApplicationStatus]:
        live = {application["metadata"]["name"]: cluster.live(application) for application in applications}
        if deleted := [name for name, document in live.items() if document is None]:
            raise Failed(f"{deleted[0]} was deleted while the command waited for it.")
        return [application_status(cluster, document) for document in live.values() if document is not None]

    return wait_until(observe, is_done=is_done, seconds=seconds, title=title)


def _suspend(cluster: Cluster, application: Manifest, report: Report) -> bool:
    """Suspend the application; returns whether its pods must end."""
    name, state = application["metadata"]["name"], _operator_state(application)
    if state in ENDED:
        report(f"{name} is not running: it is {state}")
        return False
    cluster.merge(application, {"spec": {"suspend": True}})
    if "schedule" in application["spec"]:
        report(f"the schedule of {name} is stopped")
        return False
    return True


def _resume(cluster: Cluster, application: Manifest, report: Report) -> None:
    if _operator_state(application) in ENDED:
        # The state that the operator sets when a spec has changed: it cleans up the old run and submits a new one.
        cluster.merge(application, {"status": {"applicationState": {"state": "INVALIDATING"}}}, "status")
    elif not application["spec"].get("suspend"):
        report(f"{application['metadata']['name']} is not stopped")
        return
    cluster.merge(application, {"spec": {"suspend": False}})


def _is_at_rest(application: Manifest) -> bool:
    """Whether it has ended or was stopped."""
    return bool(application["spec"].get("suspend")) or _operator_state(application) in ENDED


def _operator_state(application: Manifest) -> str:
    return str(application.get("status", {}).get("applicationState", {}).get("state", ""))
