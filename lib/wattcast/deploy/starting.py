"""Waiting until what was deployed or started is at work."""

from collections.abc import Iterator, Mapping, Sequence

from wattcast.deploy.cluster import Cluster, Failed
from wattcast.deploy.manifests import Manifest
from wattcast.deploy.rendering import applications
from wattcast.deploy.servers import SERVERS, SERVERS_API_VERSION, Server
from wattcast.deploy.waiting import wait
from wattcast.deploy.watching import Standing, server_standing, standing

STARTS = 5  # that end at once; fewer may be for a broker or a Lease that takes its time


def submissions(cluster: Cluster, documents: Sequence[Manifest]) -> dict[str, str]:
    """The submissions that the applications are at now, by name."""
    live = [found for each in applications(documents) if (found := cluster.live(each))]
    return {each["metadata"]["name"]: each.get("status", {}).get("submissionID", "") for each in live}


def wait_for_run(
    cluster: Cluster,
    documents: Sequence[Manifest],
    *,
    seconds: float,
    settle: float,
    replaced: Mapping[str, str | None],
) -> list[Standing | Server]:
    """Wait until each server is ready and each application has been at work for `settle` seconds.

    `replaced` are the submissions, by application, after which there must be another, None for a new application. One of them is
    given up when its driver has ended STARTS times.

    Raises:
        Failed: one does not come to run.
    """
    starts = _Starts(settle, replaced)
    return wait(
        lambda: list(_found(cluster, documents)), until=starts.is_there, given_up=starts.is_lost, seconds=seconds,
        doing="Waiting for the applications",
    )  # fmt: skip


def outcome(found: Sequence[Standing | Server]) -> Iterator[str]:
    """What to say of what runs; nothing of a server of which no pod is wanted."""
    for each in found:
        if isinstance(each, Standing) and each.is_suspended:
            yield f"{each.name} is stopped: `wattcast start` lets it run"
        elif isinstance(each, Standing) or each.wanted:
            yield f"{each.name} {each.state}"


def _found(cluster: Cluster, documents: Sequence[Manifest]) -> Iterator[Standing | Server]:
    servers = [each for each in documents if each["apiVersion"] == SERVERS_API_VERSION and each["kind"] in SERVERS]
    for look, of_kind in ((standing, applications(documents)), (server_standing, servers)):
        for each in of_kind:
            if (live := cluster.live(each)) is None:
                raise Failed(f"{each['metadata']['name']} was deleted meanwhile.")
            yield look(cluster, live)


class _Starts:
    """Tells what runs, and what will not, from the submissions of each application that were seen."""

    def __init__(self, settle: float, replaced: Mapping[str, str | None]) -> None:
        self.settle, self.replaced = settle, replaced
        self.seen: dict[str, set[str]] = {name: set() for name in replaced}

    def is_there(self, each: Standing | Server) -> bool:
        if isinstance(each, Server):
            return each.is_ready
        if each.is_suspended or each.state == "Scheduled":
            return True
        if self._is_old(each):
            return False
        return each.state in ("SUCCEEDING", "COMPLETED") or (
            each.state == "RUNNING" and each.has_worked(self.settle)
        )  # fmt: skip

    def is_lost(self, each: Standing | Server) -> bool:
        is_final = each.fault is not None and each.fault.is_final
        if isinstance(each, Server):
            return is_final
        return not self._is_old(each) and (is_final or self._has_ended_too_often(each))

    def _is_old(self, each: Standing) -> bool:
        """Whether it is still what is to be replaced."""
        return each.name in self.replaced and self.replaced[each.name] == each.submission

    def _has_ended_too_often(self, each: Standing) -> bool:
        if each.name not in self.seen:
            return False
        self.seen[each.name].add(each.submission)
        return each.state == "FAILING" and len(self.seen[each.name]) >= STARTS
