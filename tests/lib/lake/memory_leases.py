"""The Leases of one namespace in memory, in the place of the Kubernetes API."""

from collections.abc import Callable
from threading import Lock
from types import SimpleNamespace
from typing import Any

from kubernetes.client import ApiException


class MemoryLeases:
    """Serves Leases as the Kubernetes API does: a version moves with each write, an old one conflicts.

    `before_write` runs before each write and may raise, as for an API server that does not answer.
    """

    def __init__(self) -> None:
        self.before_write: Callable[[], None] = lambda: None
        self._leases: dict[str, SimpleNamespace] = {}
        self._lock, self._version = Lock(), 0

    def read_namespaced_lease(self, name: str, _namespace: str, **_: Any) -> SimpleNamespace:
        if name not in self._leases:
            raise ApiException(404)
        return self._leases[name]

    def create_namespaced_lease(self, _namespace: str, body: dict[str, Any], **_: Any) -> SimpleNamespace:
        return self._write(body["metadata"]["name"], body, lambda lease: lease is None)

    def replace_namespaced_lease(self, name: str, _namespace: str, body: dict[str, Any], **_: Any) -> SimpleNamespace:
        version = body["metadata"]["resourceVersion"]
        return self._write(name, body, lambda lease: lease is not None and lease.metadata.resource_version == version)

    def delete_all(self) -> None:
        self._leases.clear()

    def _write(self, name: str, body: dict[str, Any], is_current: Callable[[Any], bool]) -> SimpleNamespace:
        self.before_write()
        with self._lock:
            if body["metadata"]["resourceVersion"] and name not in self._leases:
                raise ApiException(404)
            if not is_current(self._leases.get(name)):
                raise ApiException(409)
            self._version += 1
            spec = SimpleNamespace(
                holder_identity=body["spec"]["holderIdentity"],
                lease_duration_seconds=body["spec"]["leaseDurationSeconds"],
                acquire_time=body["spec"]["acquireTime"],
                renew_time=body["spec"]["renewTime"],
            )
            metadata = SimpleNamespace(resource_version=str(self._version))
            self._leases[name] = SimpleNamespace(spec=spec, metadata=metadata)
            return self._leases[name]
