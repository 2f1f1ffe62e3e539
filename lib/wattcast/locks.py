"""One writer a table, one runner a query: held by files on one machine, in a pod by Leases of the Kubernetes API."""

import hashlib
import logging
import os
import platform
import re
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any, Protocol
from urllib.parse import urlparse

from filelock import FileLock, Timeout

from wattcast.errors import FAILED
from wattcast.settings import S3_SCHEMES, Settings

log = logging.getLogger("wattcast.locks")

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")  # of a pod, where it has one
LEASE_SECONDS = 30
HALT_SECONDS = 2
SINGLE_DRIVER = "S3SingleDriverLogStore"  # Delta's own for S3: it keeps the order of commits within one JVM only
CONFLICT, NOT_THERE = 409, 404


class TableHasAWriter(Exception):
    """Another process writes this table or runs this query."""


class UnsafeLake(Exception):
    """Nothing would keep a second machine from writing this lake at the same time, and Delta could lose commits by it."""


class LeasesUnavailable(Exception):
    """The Kubernetes API does not answer, or refuses."""


class Locks(Protocol):
    """What a process holds until it closes or ends."""

    def take(self, name: str, *, wait_seconds: float = 0) -> None:
        """Hold `name`, at once if it is free; what is held already stays so.

        Raises:
            TableHasAWriter: another holds it, also after `wait_seconds`.
        """

    def release(self, name: str) -> None: ...

    def close(self) -> None:
        """Release everything."""


def locks(
    settings: Settings,
    *,
    commit_store: str = "",
    end: Callable[[str], None] | None = None,
    account: Path = ACCOUNT,
    lease_seconds: int = LEASE_SECONDS,
) -> Locks:
    """The locks of a lake, as far as they reach from here. `commit_store` is the class that Delta commits with, if one is set;
    `end` ends this process at once, for a Lease that is lost.

    Raises:
        UnsafeLake: files of this machine are all there is, and the lake needs more.
    """
    is_in_pod = "KUBERNETES_SERVICE_HOST" in os.environ and (account / "token").is_file()
    if settings.locks == "auto" and is_in_pod:
        return _in_pod(settings.lake_uri, account, end or end_process, lease_seconds)
    uri = urlparse(settings.lake_uri)
    has_commit_store = bool(commit_store) and not commit_store.endswith(SINGLE_DRIVER)
    if settings.locks == "auto" and uri.scheme in S3_SCHEMES and not has_commit_store:
        raise UnsafeLake(
            f"{settings.lake_uri} is not written from here: on S3 two writers could lose each other's commits. Run in a pod on "
            f"Kubernetes, set a commit store (spark.delta.logStore.{uri.scheme}.impl), or, if no other machine writes there, "
            "set WATTCAST_LOCKS=machine."
        )
    is_local = uri.scheme in ("", "file")
    folder = Path(uri.path, ".locks") if is_local else settings.state.resolve() / "locks"
    return FileLocks(folder, settings.lake_uri)


def end_process(reason: str, *, halt: Callable[[], None] | None = None) -> None:
    """End at once, with failure, and `halt` before, if that does not hang. Nothing is closed: another may write by now."""
    print(reason, file=sys.stderr, flush=True)
    if halt:
        halting = threading.Thread(target=halt, daemon=True)
        halting.start()
        halting.join(timeout=HALT_SECONDS)
    os._exit(FAILED)


class FileLocks:
    """Files in a folder of this machine; they are free when their process has ended."""

    def __init__(self, folder: Path, lake: str) -> None:
        self._folder, self._lake = folder, lake
        self._held: dict[str, FileLock] = {}

    def take(self, name: str, *, wait_seconds: float = 0) -> None:
        if name in self._held:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._folder / f"{name}.lock")
        try:
            lock.acquire(timeout=wait_seconds)
        except Timeout:
            raise _refused(name, "another Wattcast process", self._lake) from None
        self._held[name] = lock

    def release(self, name: str) -> None:
        self._held.pop(name).release()

    def close(self) -> None:
        for name in list(self._held):
            self.release(name)


@dataclass
class _Held:
    """A Lease as this process wrote it last. `renewed_at` is monotonic, from before the request, so never too late."""

    version: str
    renewed_at: float


class Leases:
    """Leases of one namespace, each changed only in the version that was read, so that of two processes one gets it.

    One that is held is renewed by a thread. One whose holder has not renewed it for its duration, by the clock of whoever waits
    for it, is free. So a holder that cannot renew for two thirds of that, or finds another holder, calls `end`: it must not
    come back.
    """

    def __init__(
        self,
        api: Any,
        *,
        namespace: str,
        lake: str,
        holder: str,
        end: Callable[[str], None] = end_process,
        lease_seconds: int = LEASE_SECONDS,
    ) -> None:
        self._api, self._namespace, self._lake, self._end, self._seconds = api, namespace, lake, end, lease_seconds
        self._holder = f"{holder}/{uuid.uuid4().hex[:8]}"
        self._held: dict[str, _Held] = {}
        self._dead: set[str] = set()  # holders that let one expire: a holder renews all that it has, or ends
        self._guard = threading.Lock()  # of what is held, and of the requests that change it
        self._closing = threading.Event()
        self._renewer: threading.Thread | None = None

    def take(self, name: str, *, wait_seconds: float = 0) -> None:
        """Also free is a Lease that nobody renews: to see that takes its duration. One that is renewed meanwhile is not.

        Raises:
            LeasesUnavailable
        """
        if name in self._held:
            return
        begun, seen, seen_at = monotonic(), None, 0.0
        with self._told():
            while True:
                found = self._read(name)
                is_expired = (
                    found and found.spec == seen and monotonic() - seen_at >= (found.spec.lease_duration_seconds or 0)
                )
                if is_expired:
                    self._dead.add(found.spec.holder_identity)
                if found is None or not found.spec.holder_identity or found.spec.holder_identity in self._dead:
                    if self._claim(name, found):
                        return
                    continue  # another was faster
                if found.spec != seen:
                    if seen and monotonic() - begun >= wait_seconds:
                        raise _refused(name, found.spec.holder_identity, self._lake)
                    if seen is None:
                        log.info(
                            "%s is held by %s: waiting to see whether that is alive", name, found.spec.holder_identity
                        )
                    seen, seen_at = found.spec, monotonic()
                self._closing.wait(self._seconds / 30)

    def release(self, name: str) -> None:
        """Others can take it from now on, without waiting."""
        with self._guard:
            held = self._held.pop(name)
            try:
                with self._told():
                    self._write(name, held.version, holder=None)
            except LeasesUnavailable as error:
                log.warning("%s is free only in %d seconds: %s", name, self._seconds, error)

    def close(self) -> None:
        self._closing.set()
        if self._renewer:
            self._renewer.join()
        for name in list(self._held):
            self.release(name)
        self._closing.clear()

    def _claim(self, name: str, found: Any) -> bool:
        """Whether it is ours now; False if it has changed since it was found."""
        from kubernetes.client import ApiException

        at = monotonic()
        try:
            written = self._write(name, found and found.metadata.resource_version, holder=self._holder)
        except ApiException as error:
            if error.status == CONFLICT or (found and error.status == NOT_THERE):
                return False
            raise
        with self._guard:
            self._held[name] = _Held(written.metadata.resource_version, at)
        if self._renewer is None or not self._renewer.is_alive():
            self._renewer = threading.Thread(target=self._keep, name="leases", daemon=True)
            self._renewer.start()
        return True

    def _keep(self) -> None:
        """Renew what is held until it is closed. Anything else ends the process, an error in here too."""
        reason = "The Leases of this process are not renewed any more: it ends at once."
        try:
            reason = self._renew_until_lost()
        finally:
            if sys.exception():
                log.exception("An error while Leases were renewed")
            if reason:
                self._end(reason)

    def _renew_until_lost(self) -> str:
        """Why they are lost; nothing when closing."""
        while not self._closing.wait(self._seconds / 6):
            for name in list(self._held):
                failure = ""
                try:
                    with self._guard, self._told():
                        if name in self._held and (other := self._renew(name)):
                            return f"{name} is now written by {other}: this process ends at once."
                except LeasesUnavailable as error:
                    failure = str(error)
                if any(monotonic() - held.renewed_at > self._seconds * 2 / 3 for held in list(self._held.values())):
                    return f"Another may write {name} soon: this process ends at once. {failure}".strip()
        return ""

    def _renew(self, name: str) -> str:
        """Write the Lease anew; returns who else has it, or nothing."""
        from kubernetes.client import ApiException

        at, held = monotonic(), self._held[name]
        try:
            written = self._write(name, held.version, holder=self._holder)
        except ApiException as error:
            if error.status not in (CONFLICT, NOT_THERE):
                raise
            found = self._read(name)
            if found is None or found.spec.holder_identity != self._holder:
                return (found and found.spec.holder_identity) or "nobody"
            # A request that got no answer was served, or somebody has put a label on it.
            written = self._write(name, found.metadata.resource_version, holder=self._holder)
        self._held[name] = _Held(written.metadata.resource_version, at)
        return ""

    def _read(self, name: str) -> Any:
        from kubernetes.client import ApiException

        try:
            return self._api.read_namespaced_lease(self._object(name), self._namespace, **self._within())
        except ApiException as error:
            if error.status == NOT_THERE:
                return None
            raise

    def _write(self, name: str, version: str | None, *, holder: str | None) -> Any:
        """Create the Lease, or replace it if it still has this version."""
        body = {
            "metadata": {
                "name": self._object(name),
                "labels": {"app.kubernetes.io/part-of": "wattcast"},
                "annotations": {"wattcast/lake": self._lake, "wattcast/lock": name},
                "resourceVersion": version,
            },
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": self._seconds,
                "renewTime": datetime.now(UTC).isoformat(timespec="microseconds"),
            },
        }
        if version is None:
            return self._api.create_namespaced_lease(self._namespace, body, **self._within())
        return self._api.replace_namespaced_lease(self._object(name), self._namespace, body, **self._within())

    def _object(self, name: str) -> str:
        return lease_name(self._lake, name)

    def _within(self) -> dict[str, float]:
        return {"_request_timeout": self._seconds / 6}

    @contextmanager
    def _told(self) -> Iterator[None]:
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        try:
            yield
        except (ApiException, HTTPError, OSError) as error:
            reason = f"{error.status} {error.reason}" if isinstance(error, ApiException) else str(error)
            raise LeasesUnavailable(
                f"The Leases in the namespace {self._namespace} cannot be had: {reason}. They need the rights get, create and "
                "update, as in k8s/base/accounts.yaml, and an API server that answers."
            ) from error


def lease_name(lake: str, lock: str) -> str:
    """A DNS name for a lock of a lake; of two lakes never the same."""
    digest = hashlib.sha256(f"{lake.rstrip('/')}\n{lock}".encode()).hexdigest()[:10]
    readable = re.sub(r"[^a-z0-9]+", "-", lock.lower()).strip("-")[:40]
    return f"wattcast-{readable}-{digest}"


def _in_pod(lake: str, account: Path, end: Callable[[str], None], lease_seconds: int) -> Leases:
    from kubernetes.client import ApiClient, Configuration, CoordinationV1Api
    from kubernetes.config.incluster_config import InClusterConfigLoader

    configuration = Configuration()
    InClusterConfigLoader(str(account / "token"), str(account / "ca.crt")).load_and_set(configuration)
    configuration.retries = False  # the renewing thread counts the seconds itself
    return Leases(
        CoordinationV1Api(ApiClient(configuration)),
        namespace=(account / "namespace").read_text(encoding="utf-8").strip(),
        lake=lake,
        holder=os.environ.get("HOSTNAME") or platform.node(),
        end=end,
        lease_seconds=lease_seconds,
    )


def _refused(name: str, holder: str, lake: str) -> TableHasAWriter:
    return TableHasAWriter(f"{name} has a writer already: {holder} works on {lake}. Stop it first.")
