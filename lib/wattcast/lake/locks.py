"""Locks of a lake: one writer per table and one runner per query, among all processes and threads."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

from wattcast.errors import FAILED, REFUSED

WRITE_LOCK_WAIT_SECONDS, CREATION_WAIT_SECONDS = 3600, 120


class TableHasAWriter(Exception):
    """Another process or thread writes this table or runs this query."""

    exit_status = FAILED


class UnsafeLake(Exception):
    """No lock would stop a second machine from writing this lake at the same time, and Delta could lose commits."""

    exit_status = REFUSED


class LeasesUnavailable(Exception):
    """The Kubernetes API does not answer, or denies the request."""

    exit_status = FAILED


class Locks(Protocol):
    """Named locks, held until they are released or closed, or until the process ends."""

    def acquire(self, name: str, *, wait_seconds: float = 0) -> None:
        """Hold `name`.

        Raises:
            TableHasAWriter: another holder has it, also after `wait_seconds`.
        """

    def release(self, name: str) -> None: ...

    def close(self) -> None:
        """Release every lock, whichever thread acquired it."""


@dataclass
class _Hold:
    """The thread that holds a lock. The object, since a new thread may get the number of one that has ended."""

    thread: threading.Thread
    count: int = 1


class ThreadLocks:
    """Locks between processes, extended to the threads of this one: a lock has one thread as its holder.

    A thread may acquire what it holds again, and releases it as often. Another thread waits or is refused, as another process
    would be. Only the holder releases a lock; `close` releases all of them from any thread, since the main thread acquires the
    lock of a query and Spark calls the batch functions of that query in threads of its own.
    """

    def __init__(self, process_locks: Locks) -> None:
        self.process_locks = process_locks
        self._holds: dict[str, _Hold] = {}
        self._changed = threading.Condition()

    def acquire(self, name: str, *, wait_seconds: float = 0) -> None:
        deadline, thread = monotonic() + wait_seconds, threading.current_thread()
        with self._changed:
            hold = self._holds.get(name)
            if hold is not None and hold.thread is thread:
                hold.count += 1
                return
            if not self._changed.wait_for(lambda: name not in self._holds, timeout=wait_seconds):
                raise TableHasAWriter(f"{name} is locked by another thread of this process.")
            self._holds[name] = _Hold(thread)
        try:
            self.process_locks.acquire(name, wait_seconds=max(0.0, deadline - monotonic()))
        except BaseException:  # also Ctrl-C: the lock was not acquired, so that other threads must not wait for it
            self._free(name)
            raise

    def release(self, name: str) -> None:
        """Free the lock when its holder has released it as often as acquired. Does nothing after `close`.

        Raises:
            RuntimeError: another thread holds it.
        """
        with self._changed:
            hold = self._holds.get(name)
            if hold is None:
                return
            if hold.thread is not threading.current_thread():
                raise RuntimeError(
                    f"The lock {name} is held by the thread {hold.thread.name}, which alone can release it."
                )
            hold.count -= 1
            if hold.count:
                return
        try:
            self.process_locks.release(name)
        finally:
            self._free(name)

    def close(self) -> None:
        self.process_locks.close()
        with self._changed:
            self._holds.clear()
            self._changed.notify_all()

    def _free(self, name: str) -> None:
        with self._changed:
            self._holds.pop(name, None)
            self._changed.notify_all()


class LakeLocks:
    """The locks of one lake. `choose` is called for the first lock only, since a lake that is only read needs none."""

    def __init__(self, choose: Callable[[], Locks], *, write_wait_seconds: float = WRITE_LOCK_WAIT_SECONDS) -> None:
        self._choose, self._write_wait_seconds = choose, write_wait_seconds
        self._chosen: Locks | None = None
        self._choosing = threading.Lock()

    def query_lock(self, query: str) -> None:
        """Become the one runner of a query, until `close` or the end of this process.

        Raises:
            TableHasAWriter: another process or thread runs it.
        """
        self._locks.acquire(f"query-{query}")

    @contextmanager
    def write_lock(self, table: str) -> Iterator[None]:
        """Be the one writer of a table inside the block. It waits for another writer: for a batch, or a part of a backfill.

        Raises:
            TableHasAWriter: the other writer does not release the table in that time.
        """
        with self._held(table, self._write_wait_seconds):
            yield

    @contextmanager
    def creation_lock(self) -> Iterator[None]:
        """Be the one creator of tables inside the block."""
        with self._held("tables", CREATION_WAIT_SECONDS):
            yield

    def close(self) -> None:
        """Release every lock, whichever thread acquired it."""
        if self._chosen is not None:
            self._chosen.close()

    @contextmanager
    def _held(self, name: str, wait_seconds: float) -> Iterator[None]:
        self._locks.acquire(name, wait_seconds=wait_seconds)
        try:
            yield
        finally:
            self._locks.release(name)

    @property
    def _locks(self) -> Locks:
        with self._choosing:
            if self._chosen is None:
                self._chosen = self._choose()
            return self._chosen


def lock_refusal(name: str, holder: str, lake: str) -> TableHasAWriter:
    return TableHasAWriter(f"{name} is locked by {holder}, which works on {lake}. Stop that process first.")
