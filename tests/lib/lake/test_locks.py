"""A lock has one holder: one thread of one process, by files and by Leases."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from threading import Event

import pytest
from tests.lib.lake.memory_leases import MemoryLeases

from wattcast.lake.file_locks import FileLocks
from wattcast.lake.lease_api import LeaseApi
from wattcast.lake.leases import Leases
from wattcast.lake.lock_choice import choose_locks
from wattcast.lake.locks import LakeLocks, Locks, TableHasAWriter, ThreadLocks, lock_refusal
from wattcast.settings import Settings

LAKE = "/lake"


@pytest.fixture(params=["files", "leases"])
def process_locks(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Locks]:
    """Makes the locks of one process; those of several calls exclude each other."""
    server = MemoryLeases()

    def build() -> Locks:
        if request.param == "files":
            return FileLocks(tmp_path, LAKE)
        api = LeaseApi(server, namespace="default", lake=LAKE, lease_seconds=1)
        return Leases(
            api, holder="pod", lease_seconds=1, end=pytest.fail,
            refusal=lambda name, lease: lock_refusal(name, lease.holder_identity, LAKE),
        )  # fmt: skip

    return build


@pytest.fixture
def locks(process_locks: Callable[[], Locks]) -> Iterator[ThreadLocks]:
    locks = ThreadLocks(process_locks())
    yield locks
    locks.close()


@pytest.fixture
def other_thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=1) as thread:
        yield thread


def test_another_process_of_this_machine_is_refused_until_the_first_has_released_it(tmp_path: Path) -> None:
    settings = Settings(lake=str(tmp_path / "lake"))
    first, second = choose_locks(settings), choose_locks(settings)
    first.acquire("forecasts")
    with pytest.raises(TableHasAWriter, match="forecasts is locked by another Wattcast process"):
        second.acquire("forecasts")
    first.release("forecasts")
    second.acquire("forecasts")
    second.acquire("hourly_usage")
    second.close()
    first.acquire("hourly_usage")
    first.close()


def test_a_second_thread_of_the_process_is_refused(locks: ThreadLocks, other_thread: ThreadPoolExecutor) -> None:
    locks.acquire("query-ingest")
    with pytest.raises(TableHasAWriter, match="query-ingest is locked by another thread of this process"):
        other_thread.submit(locks.acquire, "query-ingest").result()


def test_a_second_thread_waits_until_the_first_has_released_the_lock(
    locks: ThreadLocks, other_thread: ThreadPoolExecutor
) -> None:
    locks.acquire("health")
    acquired = other_thread.submit(locks.acquire, "health", wait_seconds=60)
    assert not wait([acquired], timeout=0.5).done
    locks.release("health")
    acquired.result(timeout=60)


def test_a_release_by_one_thread_does_not_free_the_lock_of_another(
    locks: ThreadLocks, process_locks: Callable[[], Locks], other_thread: ThreadPoolExecutor
) -> None:
    other_thread.submit(locks.acquire, "health").result()
    with pytest.raises(RuntimeError, match="health is held by the thread"):
        locks.release("health")
    with pytest.raises(TableHasAWriter):
        locks.acquire("health")
    with pytest.raises(TableHasAWriter):
        process_locks().acquire("health")
    other_thread.submit(locks.release, "health").result()
    locks.acquire("health")


def test_the_thread_that_holds_a_lock_acquires_it_again_and_frees_it_with_the_last_release(
    locks: ThreadLocks, other_thread: ThreadPoolExecutor
) -> None:
    locks.acquire("health")
    locks.acquire("health")
    locks.release("health")
    with pytest.raises(TableHasAWriter):
        other_thread.submit(locks.acquire, "health").result()
    locks.release("health")
    other_thread.submit(locks.acquire, "health").result()


def test_close_releases_from_any_thread_what_other_threads_hold(
    locks: ThreadLocks, process_locks: Callable[[], Locks], other_thread: ThreadPoolExecutor
) -> None:
    locks.acquire("query-ingest")
    other_thread.submit(locks.acquire, "health").result()
    other_thread.submit(locks.close).result()
    second = ThreadLocks(process_locks())
    second.acquire("query-ingest")
    second.acquire("health")
    locks.release("query-ingest")  # closed already: the lock of the other process stays
    with pytest.raises(TableHasAWriter):
        locks.acquire("query-ingest")
    second.close()


def test_threads_of_one_process_write_a_table_one_after_another(process_locks: Callable[[], Locks]) -> None:
    lake_locks = LakeLocks(lambda: ThreadLocks(process_locks()))
    inside, go_on, events = Event(), Event(), []

    def write(name: str) -> None:
        with lake_locks.write_lock("health"):
            events.append(f"{name} begins")
            inside.set()
            assert go_on.wait(60)
            events.append(f"{name} ends")

    with ThreadPoolExecutor(max_workers=2) as threads:
        first = threads.submit(write, "first")
        assert inside.wait(60)
        second = threads.submit(write, "second")
        assert not wait([second], timeout=0.5).done
        go_on.set()
        first.result()
        second.result()
    lake_locks.close()
    assert events == ["first begins", "first ends", "second begins", "second ends"]
