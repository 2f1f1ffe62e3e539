"""Rolling back what a deployment has changed."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from wattcast.deploy.cluster.client import Cluster
from wattcast.deploy.cluster.field_ownership import last_applied
from wattcast.deploy.cluster.polling import retry_while_unreachable
from wattcast.deploy.cluster.status import wait_until_pods_are_gone
from wattcast.deploy.errors import Failed, Refused
from wattcast.deploy.manifests.documents import Manifest
from wattcast.deploy.rollout.changes import AppliedChanges, Change, Report

KEPT_KINDS = ("Namespace", "PersistentVolumeClaim", "Secret")  # they may contain data, also that of others
RETRY_SECONDS = 60  # for an API server that does not answer


@contextmanager
def rolled_back_on_failure(
    cluster: Cluster, applied: AppliedChanges, *, report: Report, seconds: float
) -> Iterator[None]:
    """Roll back when the block fails, is refused or is interrupted.

    Raises:
        Refused: all is rolled back; the message says why.
        Failed: the rollback is incomplete; the message says why, and what could not be rolled back.
    """
    try:
        yield
    except (Failed, Refused) as error:
        if applied.is_empty:
            raise
        raise _rollback_error(str(error), cluster, applied, report, seconds) from error
    except KeyboardInterrupt as interrupt:
        if applied.is_empty:
            raise
        report("Interrupted: rolling back. Press Ctrl-C again to leave the cluster as it is.")
        raise _rollback_error("Interrupted", cluster, applied, report, seconds) from interrupt


def roll_back(cluster: Cluster, applied: AppliedChanges, report: Report, *, seconds: float) -> list[str]:
    """Undo the changes, except for resources that may contain data; returns what could not be undone, and why.

    Objects that existed before are restored first, in the order of their changes. New applications are deleted before their
    roles, which their pods need until their current batches have finished, `seconds` at most.
    """
    rollback = _Rollback(cluster, report)
    new = [change for change in reversed(applied.changes) if change.before is None]
    applications = [change for change in new if change.is_application]
    for change in applied.changes:
        if change.before is not None:
            rollback.undo(change, _restore)
    remaining = [change for change in applications if not rollback.undo(change, _remove)]
    rollback.wait_for_pods([change.document for change in applications if change not in remaining], seconds)
    for change in new:
        if not change.is_application and remaining:
            rollback.errors.append(f"{change.title} was kept because {remaining[0].title} needs it")
        elif not change.is_application:
            rollback.undo(change, _remove)
    return rollback.errors


class _Rollback:
    """Undoes changes one by one and continues after one that cannot be undone."""

    def __init__(self, cluster: Cluster, report: Report) -> None:
        self._cluster, self._report = cluster, report
        self.errors: list[str] = []

    def undo(self, change: Change, action: Callable[[Cluster, Change], str]) -> bool:
        """Whether the change is undone; `action` returns what it did, or nothing."""
        try:
            end = time.monotonic() + (0 if self.errors else RETRY_SECONDS)
            outcome = retry_while_unreachable(lambda: action(self._cluster, change), end=end)
        except (Failed, Refused) as error:
            self._add_error(f"{change.title} was not rolled back: {error}")
            return False
        if outcome:
            self._report(f"{change.title} {outcome}")
        return True

    def wait_for_pods(self, applications: Sequence[Manifest], seconds: float) -> None:
        try:
            wait_until_pods_are_gone(self._cluster, applications, seconds=seconds)
        except Failed as error:
            self._add_error(f"Deleted applications have not ended: {error}")

    def _add_error(self, text: str) -> None:
        self.errors.append(text.rstrip("."))
        self._report(self.errors[-1])


def _restore(cluster: Cluster, change: Change) -> str:
    if change.document["kind"] == "PersistentVolumeClaim" or change.before is None:  # a claim cannot shrink
        return "kept"
    _check_unchanged_since(cluster, change)
    cluster.apply(last_applied(change.before), force=True)
    return "restored"


def _remove(cluster: Cluster, change: Change) -> str:
    if change.document["kind"] in KEPT_KINDS:
        return "kept"
    _check_unchanged_since(cluster, change)
    return "deleted" if cluster.delete(change.document) else ""


def _check_unchanged_since(cluster: Cluster, change: Change) -> None:
    """Refuse to undo an object that another deployment has changed after this one."""
    if change.after is None or (live := cluster.live(change.document)) is None:
        return
    if not _is_within(last_applied(live), last_applied(change.after)):
        raise Refused("another deployment has changed it since")


def _is_within(part: Any, whole: Any) -> bool:
    """Whether `whole` contains all values of `part`. Other field managers may have taken fields over: then fewer are ours."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and _is_within(part[key], whole[key]) for key in part)
    if isinstance(part, list):
        return isinstance(whole, list) and all(any(_is_within(item, other) for other in whole) for item in part)
    return bool(part == whole)


def _rollback_error(
    reason: str, cluster: Cluster, applied: AppliedChanges, report: Report, seconds: float
) -> Failed | Refused:
    """Roll back, and return the error that says why and with what result."""
    errors = roll_back(cluster, applied, report, seconds=seconds)
    if errors:
        return Failed(f"{reason.rstrip('.')}; the rollback is incomplete: {'; '.join(errors)}.")
    return Refused(f"{reason.rstrip('.')}; the deployment was rolled back, except for resources that may contain data.")
