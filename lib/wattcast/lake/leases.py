"""Locks by Leases of the Kubernetes API, for pods."""

import logging
import sys
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from wattcast.lake.lease_api import CONFLICT, NOT_FOUND, LeaseApi
from wattcast.lake.locks import LeasesUnavailable

log = logging.getLogger("wattcast.lake.leases")


@dataclass
class _Held:
    """A Lease as this process wrote it last. `renewed_at` is monotonic, from before the request, so never too late."""

    version: str
    renewed_at: float
    acquired_at: datetime


class Leases:
    """Leases of one namespace. Each is changed only in the version that was read, so that of two processes one gets it.

    A thread renews the Leases that are held. A Lease is free when its holder has not renewed it for its duration, by the clock
    of the process that waits. So a holder that cannot renew for two thirds of that, or reads another holder, calls `end`, which
    must not return. With `survives_outages` it ends only in the second case: for work that the same API server does.

    `refusal` makes the error of a Lease that is held, from the name of the lock and the spec of the Lease.
    """

    def __init__(
        self, api: LeaseApi, *, holder: str, lease_seconds: int, end: Callable[[str], None],
        refusal: Callable[[str, Any], Exception], report: Callable[[str], None] = log.info, survives_outages: bool = False,
    ) -> None:  # fmt: skip
        self._api, self._end, self._seconds = api, end, lease_seconds
        self._refusal, self._report, self._survives_outages = refusal, report, survives_outages
        self._holder = f"{holder}/{uuid.uuid4().hex[:8]}"
        self._held: dict[str, _Held] = {}
        self._dead: set[str] = set()  # holders that let a Lease expire: a holder renews all its Leases, or ends
        self._guard = threading.Lock()  # of what is held, and of the requests that change it
        self._closing = threading.Event()
        self._renewer: threading.Thread | None = None

    def acquire(self, name: str, *, wait_seconds: float = 0) -> None:
        """A Lease that nobody renews is free, too: that takes its duration to see. One that is renewed in that time is not.

        Raises:
            Exception: that of `refusal`: another holder renews the Lease, also after `wait_seconds`.
            LeasesUnavailable: the Kubernetes API does not answer, or denies the request.
        """
        begun, seen, seen_at = monotonic(), None, 0.0
        with self._api.translated_errors():
            while True:
                lease = self._api.read(name)
                if lease and lease.spec == seen and monotonic() - seen_at >= (lease.spec.lease_duration_seconds or 0):
                    self._dead.add(lease.spec.holder_identity)
                if self._is_free(lease):
                    if self._claim(name, lease):
                        return
                    continue  # another process was faster
                if lease.spec != seen:
                    if seen and monotonic() - begun >= wait_seconds:
                        raise self._refusal(name, lease.spec)
                    if seen is None:
                        holder = lease.spec.holder_identity
                        self._report(f"{name} is locked by {holder}: waiting to see whether that process still runs")
                    seen, seen_at = lease.spec, monotonic()
                self._closing.wait(self._seconds / 30)

    def release(self, name: str) -> None:
        """Others can acquire it from now on, without waiting."""
        with self._guard:
            held = self._held.pop(name, None)
            if held is None:
                return
            try:
                with self._api.translated_errors():
                    self._write_free(name, held.version)
            except LeasesUnavailable as error:
                log.warning("%s was not released; it is free in %d seconds. %s", name, self._seconds, error)

    def close(self) -> None:
        self._closing.set()
        if self._renewer:
            self._renewer.join()
        for name in list(self._held):
            self.release(name)
        self._closing.clear()

    def _write_free(self, name: str, version: str) -> None:
        from kubernetes.client import ApiException

        try:
            self._api.write(name, version, holder=None)
        except ApiException as error:
            if error.status != NOT_FOUND:  # it was deleted, for example with its namespace
                raise

    def _is_free(self, lease: Any) -> bool:
        return lease is None or not lease.spec.holder_identity or lease.spec.holder_identity in self._dead

    def _claim(self, name: str, lease: Any) -> bool:
        """Whether this process holds the Lease now; False if it has changed since it was read."""
        from kubernetes.client import ApiException

        at, acquired_at = monotonic(), datetime.now(UTC)
        try:
            version = lease and lease.metadata.resource_version
            written = self._api.write(name, version, holder=self._holder, acquired_at=acquired_at)
        except ApiException as error:
            if error.status == CONFLICT or (lease and error.status == NOT_FOUND):
                return False
            raise
        with self._guard:
            self._held[name] = _Held(written.metadata.resource_version, at, acquired_at)
            if self._renewer is None or not self._renewer.is_alive():
                self._renewer = threading.Thread(target=self._keep, name="leases", daemon=True)
                self._renewer.start()
        return True

    def _keep(self) -> None:
        """Renew what is held until it is closed. Anything else ends the process, an error in here too."""
        reason = "The Leases of this process are no longer renewed: this process ends at once."
        try:
            reason = self._renew_until_lost()
        finally:
            if sys.exception():
                log.exception("An error while Leases were renewed")
            if reason:
                self._end(reason)

    def _renew_until_lost(self) -> str:
        """Why the Leases are lost; empty when closing."""
        while not self._closing.wait(self._seconds / 6):
            for name in list(self._held):
                failure = ""
                try:
                    with self._guard, self._api.translated_errors():
                        if name in self._held and (other := self._renew(name)):
                            return f"{name} is now locked by {other}: this process ends at once."
                except LeasesUnavailable as error:
                    failure = str(error)
                if not self._survives_outages and self._expires_soon():
                    return f"The Lease of {name} expires soon: this process ends at once. {failure}".strip()
        return ""

    def _expires_soon(self) -> bool:
        return any(monotonic() - held.renewed_at > self._seconds * 2 / 3 for held in list(self._held.values()))

    def _renew(self, name: str) -> str:
        """Write the Lease again; returns who else holds it, or nothing."""
        from kubernetes.client import ApiException

        at, held = monotonic(), self._held[name]
        try:
            written = self._api.write(name, held.version, holder=self._holder, acquired_at=held.acquired_at)
        except ApiException as error:
            if error.status not in (CONFLICT, NOT_FOUND):
                raise
            lease = self._api.read(name)
            if lease is None or lease.spec.holder_identity != self._holder:
                return (lease and lease.spec.holder_identity) or "nobody"
            # The API served a request whose answer was lost, or somebody has put a label on the Lease.
            version = lease.metadata.resource_version
            written = self._api.write(name, version, holder=self._holder, acquired_at=held.acquired_at)
        self._held[name] = _Held(written.metadata.resource_version, at, held.acquired_at)
        return ""
