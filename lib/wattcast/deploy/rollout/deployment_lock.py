"""One deployment at a time in a namespace, by a Lease of that namespace."""

import getpass
import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC
from typing import Any

from wattcast.deploy.cluster.client import Cluster
from wattcast.deploy.errors import Refused
from wattcast.deploy.rollout.changes import Report
from wattcast.lake.lease_api import LeaseApi
from wattcast.lake.leases import Leases
from wattcast.lake.locks import LeasesUnavailable

LEASE_SECONDS = 30  # a deployment that was killed holds up the next one for so long
LOCK = "deployment"


@contextmanager
def deployment_lock(cluster: Cluster, namespaces: Sequence[str], *, report: Report) -> Iterator[None]:
    """Be the only deployment of the namespaces inside the block.

    The Lease of a deployment that was killed is taken over. A deployment whose Lease was taken over ends its process at once.

    Raises:
        Refused: another deployment of a namespace is running, or the Leases cannot be read or written.
    """
    with ExitStack() as held:
        for namespace in namespaces:
            leases = _leases(cluster, namespace, report)
            held.callback(leases.close)
            try:
                leases.acquire(LOCK)
            except LeasesUnavailable as error:
                raise Refused(str(error)) from error
        yield


def _leases(cluster: Cluster, namespace: str, report: Report) -> Leases:
    api = LeaseApi(cluster.coordination_api(), namespace=namespace, lease_seconds=LEASE_SECONDS)

    def refusal(_: str, lease: Any) -> Refused:
        holder = lease.holder_identity.rpartition("/")[0]
        since = f" since {lease.acquire_time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if lease.acquire_time else ""
        return Refused(
            f"{holder} has been deploying to the namespace {namespace}{since}: wait until that deployment has ended, or "
            "interrupt it with Ctrl-C."
        )

    return Leases(
        api, holder=_holder(), lease_seconds=LEASE_SECONDS, end=_end, refusal=refusal, report=report,
        survives_outages=True,
    )  # fmt: skip


def _holder() -> str:
    """Who deploys, for the message that another deployer reads."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        user = str(os.getuid())
    return f"{user}@{platform.node()} (process {os.getpid()})"


def _end(reason: str) -> None:
    """End this process without a rollback, which would undo the work of the other deployment."""
    from wattcast.lake.halt import end_process

    end_process(f"{reason} It leaves the cluster to the other deployment.")
