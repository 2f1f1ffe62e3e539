"""A value that is computed again when it is too old."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class TtlCache(Generic[T]):
    """Calls return the cached value; when it is older than `ttl_seconds`, one thread computes it again while the others still
    get the old one. Only the first computation blocks all callers."""

    def __init__(self, compute: Callable[[], T], *, ttl_seconds: float) -> None:
        self._compute, self._ttl_seconds, self._lock = compute, ttl_seconds, threading.Lock()
        self._entry: tuple[float, T] | None = None

    def __call__(self) -> T:
        entry = self._entry
        if entry and self._is_fresh(entry):
            return entry[1]
        if entry and not self._lock.acquire(blocking=False):
            return entry[1]
        if not entry:
            self._lock.acquire()
        try:
            entry = self._entry
            if entry is None or not self._is_fresh(entry):
                self._entry = entry = (time.monotonic(), self._compute())
            return entry[1]
        finally:
            self._lock.release()

    def _is_fresh(self, entry: tuple[float, T]) -> bool:
        return time.monotonic() - entry[0] < self._ttl_seconds
