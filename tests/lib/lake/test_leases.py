"""What the holder of a Lease does while the Kubernetes API does not answer."""

from collections.abc import Callable
from queue import Queue
from threading import Event, current_thread, main_thread
from typing import Any

import pytest
from tests.lib.lake.memory_leases import MemoryLeases

from wattcast.lake.lease_api import LeaseApi, lease_name
from wattcast.lake.leases import Leases

SECONDS = 1


class Held(Exception):
    pass


@pytest.fixture
def server() -> MemoryLeases:
    return MemoryLeases()


def leases(server: MemoryLeases, holder: str, end: Callable[[str], None], **options: Any) -> Leases:
    api = LeaseApi(server, namespace="default", lease_seconds=SECONDS)
    return Leases(api, holder=holder, lease_seconds=SECONDS, end=end, refusal=lambda name, _: Held(name), **options)


def outage(server: MemoryLeases, requests: int) -> Event:
    """From now on so many writes have no answer; the event is set when the API server answers again."""
    answers, over = iter([False] * requests), Event()

    def before_write() -> None:
        if not next(answers, True):
            raise OSError("connection refused")
        over.set()

    server.before_write = before_write
    return over


def test_a_holder_that_cannot_renew_its_lease_ends_before_another_may_take_it(server: MemoryLeases) -> None:
    reasons: Queue[str] = Queue()
    leases(server, "pod", reasons.put).acquire("forecasts")
    outage(server, requests=1000)
    assert reasons.get(timeout=30).startswith("The Lease of forecasts expires soon: this process ends at once.")


def test_a_holder_that_survives_outages_goes_on_with_its_lease(server: MemoryLeases) -> None:
    holder = leases(server, "deployer", pytest.fail, survives_outages=True)
    holder.acquire("deployment")
    before = server.read_namespaced_lease(lease_name("", "deployment"), "default").spec
    assert outage(server, requests=2 * 6 * SECONDS).wait(timeout=30)  # renewed six times in a duration
    holder.close()
    assert server.read_namespaced_lease(lease_name("", "deployment"), "default").spec.holder_identity is None
    assert before.acquire_time is not None


def test_a_holder_that_survives_outages_ends_when_another_has_its_lease(server: MemoryLeases) -> None:
    reasons: Queue[str] = Queue()
    first = leases(server, "first", reasons.put, survives_outages=True)
    first.acquire("deployment")
    is_over = Event()

    def before_write() -> None:
        if not is_over.is_set() and current_thread() is not main_thread():
            raise OSError("connection refused")

    server.before_write = before_write  # only the thread of this test, which acquires the second, has an answer
    second = leases(server, "second", pytest.fail)
    second.acquire("deployment")
    is_over.set()
    assert reasons.get(timeout=30).startswith("deployment is now locked by second/")
    second.close()


def test_release_of_a_lease_that_was_deleted_with_its_namespace_is_silent(
    server: MemoryLeases, caplog: pytest.LogCaptureFixture
) -> None:
    holder = leases(server, "deployer", pytest.fail)
    holder.acquire("deployment")
    server.delete_all()
    holder.close()
    assert caplog.records == []
