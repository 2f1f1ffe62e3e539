"""Waiting until deployed or started applications work and servers are ready."""

from collections.abc import Iterator, Mapping, Sequence

from wattcast.deploy.cluster.application_status import ApplicationStatus
from wattcast.deploy.cluster.client import Cluster
from wattcast.deploy.cluster.polling import wait_until
from wattcast.deploy.cluster.server_status import ServerStatus
from wattcast.deploy.cluster.status import application_status, server_status
from wattcast.deploy.errors import Failed
from wattcast.deploy.manifests.documents import Manifest, is_server, spark_applications

# A new application is given up when so many of its drivers have failed. The first failures may be a broker or a Lease that is
# not available yet.
MAX_FAILED_STARTS = 5


def current_submissions(cluster: Cluster, applications: Sequence[Manifest]) -> dict[str, str | None]:
    """The current submission id of each application that exists, by name."""
    existing = [live for application in spark_applications(applications) if (live := cluster.live(application))]
    return {live["metadata"]["name"]: live.get("status", {}).get("submissionID", "") for live in existing}


def wait_until_running(
    cluster: Cluster,
    documents: Sequence[Manifest],
    *,
    seconds: float,
    settle_seconds: float,
    old_submissions: Mapping[str, str | None],
) -> list[ApplicationStatus | ServerStatus]:
    """Wait until each server is ready and each application has worked for `settle_seconds`.

    `old_submissions` has the submission of each application before the change, None for a new one.

    Raises:
        Failed: one does not start within `seconds`, has a final fault, or its driver has failed MAX_FAILED_STARTS times.
    """
    tracker = StartTracker(settle_seconds, old_submissions)
    return wait_until(
        lambda: list(_statuses(cluster, documents)), is_done=tracker.is_running, is_lost=tracker.is_lost, seconds=seconds,
        title="Waiting for the applications to run",
    )  # fmt: skip


def summary_lines(statuses: Sequence[ApplicationStatus | ServerStatus]) -> Iterator[str]:
    """A line for each application and each server, except servers with no replicas."""
    for status in statuses:
        if isinstance(status, ApplicationStatus) and status.is_suspended:
            yield f"{status.name} is stopped: start it with `wattcast start {status.name}`"
        elif isinstance(status, ApplicationStatus) or status.replicas:
            yield f"{status.name} {status.state}"


class StartTracker:
    """Decides from the submissions of each application whether it runs and whether waiting for it is in vain."""

    def __init__(self, settle_seconds: float, old_submissions: Mapping[str, str | None]) -> None:
        self._settle_seconds, self._replaced = settle_seconds, old_submissions
        self._submissions: dict[str, set[str]] = {name: set() for name in old_submissions}

    def is_running(self, status: ApplicationStatus | ServerStatus) -> bool:
        if isinstance(status, ServerStatus):
            return status.is_ready
        if status.is_suspended or status.state == "Scheduled":
            return True
        if self._is_replaced(status):
            return False
        has_succeeded = status.state in ("SUCCEEDING", "COMPLETED")
        return has_succeeded or (status.state == "RUNNING" and status.has_worked(self._settle_seconds))

    def is_lost(self, status: ApplicationStatus | ServerStatus) -> bool:
        is_final = status.fault is not None and status.fault.is_final
        if isinstance(status, ServerStatus):
            return is_final
        return not self._is_replaced(status) and (is_final or self._has_failed_too_often(status))

    def _is_replaced(self, status: ApplicationStatus) -> bool:
        """Whether the status is still that of the submission to be replaced."""
        return status.name in self._replaced and self._replaced[status.name] == status.submission

    def _has_failed_too_often(self, status: ApplicationStatus) -> bool:
        if status.name not in self._submissions:
            return False
        self._submissions[status.name].add(status.submission)
        return status.state == "FAILING" and len(self._submissions[status.name]) >= MAX_FAILED_STARTS


def _statuses(cluster: Cluster, documents: Sequence[Manifest]) -> Iterator[ApplicationStatus | ServerStatus]:
    for application in spark_applications(documents):
        yield application_status(cluster, _live(cluster, application))
    for document in documents:
        if is_server(document):
            yield server_status(cluster, _live(cluster, document))


def _live(cluster: Cluster, document: Manifest) -> Manifest:
    if (live := cluster.live(document)) is None:
        raise Failed(f"{document['metadata']['name']} was deleted while the command waited for it.")
    return live
