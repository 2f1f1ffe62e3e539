"""Putting back what a deployment has changed."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from wattcast.deploy.cluster import Cluster, Failed, Refused, plain
from wattcast.deploy.manifests import API_VERSION, Manifest
from wattcast.deploy.ownership import applied
from wattcast.deploy.waiting import patiently
from wattcast.deploy.watching import wait_for_pods

KEPT = ("Namespace", "PersistentVolumeClaim", "Secret")  # what holds data, or what others may have put something into
PATIENCE_SECONDS = 60  # for an API server that does not answer

Say = Callable[[str], None]


@dataclass
class Change:
    """A document, the object as it was before, if there was one, and as it became; None while no answer has come."""

    document: Manifest
    before: Manifest | None
    after: Manifest | None = None

    @property
    def title(self) -> str:
        return f"{self.document['kind']} {self.document['metadata']['name']}"

    @property
    def is_application(self) -> bool:
        return bool(self.document["apiVersion"] == API_VERSION)

    @property
    def submission(self) -> str | None:
        """The submission that the application was at before."""
        return str(self.before.get("status", {}).get("submissionID", "")) if self.before else None

    @property
    def is_none(self) -> bool:
        return self.before is not None and self.after is not None and plain(self.before) == plain(self.after)

    @property
    def begins_anew(self) -> bool:
        """Whether the operator starts the application for it: it is new, or its spec has changed but for `suspend`."""
        return self.is_application and (self.before is None or _run(self.before) != _run(self.after or self.document))


@dataclass
class Done:
    """What a deployment has changed so far, in that order."""

    changes: list[Change] = field(default_factory=list)

    @property
    def is_nothing(self) -> bool:
        return not self.changes

    @property
    def replaced(self) -> dict[str, str | None]:
        """The applications that begin anew: the submissions after which there must be another, None for a new one."""
        return {str(each.document["metadata"]["name"]): each.submission for each in self.changes if each.begins_anew}


@contextmanager
def put_back_on_failure(cluster: Cluster, done: Done, *, say: Say, seconds: float) -> Iterator[None]:
    """Put all back where what is done within fails, is refused or is interrupted.

    Raises:
        Refused: all is as it was before; the message says why.
        Failed: not all could be put back; the message says why, and what could not.
    """
    try:
        yield
    except (Failed, Refused) as error:
        if done.is_nothing:
            raise
        raise _put_back_for(str(error), cluster, done, say, seconds) from error
    except KeyboardInterrupt as interrupt:
        if done.is_nothing:
            raise
        say("Interrupted: all is put back; interrupt again to leave it as it is by then.")
        raise _put_back_for("Interrupted", cluster, done, say, seconds) from interrupt


def put_back(cluster: Cluster, done: Done, say: Say, *, seconds: float) -> list[str]:
    """Undo what a deployment has changed, but for what may hold data by now; returns what could not be undone, and why.

    What was there before comes first, in the order in which it was changed. New applications go before their rights do, which
    they need for `seconds` at most until their batches in hand have ended.
    """
    undoing = _Undoing(cluster, say)
    new = [each for each in reversed(done.changes) if each.before is None]
    applications = [each for each in new if each.is_application]
    for each in done.changes:
        if each.before is not None:
            undoing.tried(each, _restored)
    left = [each for each in applications if not undoing.tried(each, _removed)]
    undoing.wait_for_pods([each.document for each in applications if each not in left], seconds)
    for each in new:
        if not each.is_application and left:
            undoing.failed.append(f"{each.title} stays for {left[0].title}")
        elif not each.is_application:
            undoing.tried(each, _removed)
    return undoing.failed


class _Undoing:
    """Undoes one change after the other, also after one that cannot be undone."""

    def __init__(self, cluster: Cluster, say: Say) -> None:
        self.cluster, self.say = cluster, say
        self.failed: list[str] = []

    def tried(self, change: Change, undo: Callable[[Cluster, Change], str]) -> bool:
        try:
            end = time.monotonic() + (0 if self.failed else PATIENCE_SECONDS)
            said = patiently(lambda: undo(self.cluster, change), end=end)
        except (Failed, Refused) as error:
            self._fail(f"{change.title} is not put back: {error}")
            return False
        if said:
            self.say(f"{change.title} {said}")
        return True

    def wait_for_pods(self, applications: Sequence[Manifest], seconds: float) -> None:
        try:
            wait_for_pods(self.cluster, applications, seconds=seconds)
        except Failed as error:
            self._fail(f"What was taken away has not ended: {error}")

    def _fail(self, text: str) -> None:
        self.failed.append(text.rstrip("."))
        self.say(self.failed[-1])


def _restored(cluster: Cluster, change: Change) -> str:
    if change.document["kind"] == "PersistentVolumeClaim" or change.before is None:  # a claim never shrinks
        return "left"
    _check_own(cluster, change)
    cluster.apply(applied(change.before), force=True)
    return "put back"


def _removed(cluster: Cluster, change: Change) -> str:
    if change.document["kind"] in KEPT:
        return "left"
    _check_own(cluster, change)
    return "taken away" if cluster.delete(change.document) else ""


def _check_own(cluster: Cluster, change: Change) -> None:
    """Refuse to undo what is not as this deployment has left it: another one has come after it."""
    if change.after is None or (now := cluster.live(change.document)) is None:
        return
    if not _is_within(applied(now), applied(change.after)):
        raise Refused("another deployment has changed it meanwhile")


def _is_within(part: Any, whole: Any) -> bool:
    """Whether all values are there. Others may have taken fields over: then there are fewer of our own."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and _is_within(part[key], whole[key]) for key in part)
    if isinstance(part, list):
        return isinstance(whole, list) and all(any(_is_within(each, other) for other in whole) for each in part)
    return bool(part == whole)


def _put_back_for(reason: str, cluster: Cluster, done: Done, say: Say, seconds: float) -> Failed | Refused:
    """Put all back; what to say of it."""
    failed = put_back(cluster, done, say, seconds=seconds)
    if failed:
        return Failed(f"{reason.rstrip('.')}; not all is as it was before: {'; '.join(failed)}.")
    return Refused(f"{reason.rstrip('.')}; all but what may hold data is as it was before.")


def _run(application: Manifest) -> Manifest:
    """What the operator runs: it starts an application again where any of it has changed."""
    return {key: value for key, value in application["spec"].items() if key != "suspend"}
