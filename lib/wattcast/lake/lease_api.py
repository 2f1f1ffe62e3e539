"""Reads and writes Leases of one Kubernetes namespace."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from wattcast.lake.locks import LeasesUnavailable

CONFLICT, NOT_FOUND = 409, 404


def lease_name(lake: str, lock: str) -> str:
    """The DNS name of the Lease of a lock; a digest keeps the locks of two lakes apart."""
    digest = hashlib.sha256(f"{lake.rstrip('/')}\n{lock}".encode()).hexdigest()[:10]
    readable = re.sub(r"[^a-z0-9]+", "-", lock.lower()).strip("-")[:40]
    return f"wattcast-{readable}-{digest}"


class LeaseApi:
    """Leases of one namespace; `api` is a CoordinationV1Api. Each request takes at most a sixth of a lease.

    `lake` is the lake of the locks; locks that belong to no lake have none.
    """

    def __init__(self, api: Any, *, namespace: str, lease_seconds: int, lake: str = "") -> None:
        self._api, self._namespace, self._lake, self._lease_seconds = api, namespace, lake, lease_seconds

    def read(self, name: str) -> Any:
        """The Lease of a lock; None where there is none."""
        from kubernetes.client import ApiException

        try:
            return self._api.read_namespaced_lease(lease_name(self._lake, name), self._namespace, **self._timeout())
        except ApiException as error:
            if error.status == NOT_FOUND:
                return None
            raise

    def write(self, name: str, version: str | None, *, holder: str | None, acquired_at: datetime | None = None) -> Any:
        """Create the Lease if `version` is None, else replace it if it still has this version. Raises ApiException."""
        lake = {"wattcast/lake": self._lake} if self._lake else {}
        body = {
            "metadata": {
                "name": lease_name(self._lake, name),
                "labels": {"app.kubernetes.io/part-of": "wattcast"},
                "annotations": {**lake, "wattcast/lock": name},
                "resourceVersion": version,
            },
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": self._lease_seconds,
                "acquireTime": acquired_at and _micro_time(acquired_at),
                "renewTime": _micro_time(datetime.now(UTC)),
            },
        }
        if version is None:
            return self._api.create_namespaced_lease(self._namespace, body, **self._timeout())
        name = lease_name(self._lake, name)
        return self._api.replace_namespaced_lease(name, self._namespace, body, **self._timeout())

    @contextmanager
    def translated_errors(self) -> Iterator[None]:
        """Raises LeasesUnavailable in place of errors of the API and the network."""
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        try:
            yield
        except (ApiException, HTTPError, OSError) as error:
            reason = f"{error.status} {error.reason}" if isinstance(error, ApiException) else str(error)
            raise LeasesUnavailable(
                f"The Leases in the namespace {self._namespace} cannot be read or written: {reason}. The account must have the "
                "rights get, create and update, as in k8s/base/accounts.yaml for a pod and in k8s/deployer/rights.yaml for a "
                "deployer, and the API server must answer."
            ) from error

    def _timeout(self) -> dict[str, float]:
        return {"_request_timeout": self._lease_seconds / 6}


def _micro_time(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")
