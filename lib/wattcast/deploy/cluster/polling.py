"""Waiting until applications and servers of a cluster have reached a state."""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from wattcast.deploy.cluster.wait_display import Status, wait_display
from wattcast.deploy.errors import Failed, Refused, Unreachable

POLL_SECONDS = 1.0

StatusT = TypeVar("StatusT", bound=Status)
Answer = TypeVar("Answer")


def wait_until(
    observe: Callable[[], Sequence[StatusT]], *, is_done: Callable[[StatusT], bool], seconds: float, title: str,
    is_lost: Callable[[StatusT], bool] = lambda _: False,
) -> list[StatusT]:  # fmt: skip
    """Observe until every status is done, showing progress on stderr, and return the last observation.

    An API server that does not answer is asked again.

    Raises:
        Failed: one is lost, the time is over, or the observation is refused; the message names each that is not done.
    """
    end = time.monotonic() + seconds
    with wait_display(title) as update:
        while True:
            statuses, api_error = _observation(observe)
            update(statuses, api_error)
            pending = [status for status in statuses if not is_done(status)]
            if not pending and not api_error:
                return statuses
            if lost := [status for status in pending if is_lost(status)]:
                raise Failed(_reasons(lost))
            if time.monotonic() > end:
                raise Failed(f"{api_error.rstrip('.') or _reasons(pending)} (timed out after {seconds:.0f} s)")
            time.sleep(POLL_SECONDS)


def retry_while_unreachable(action: Callable[[], Answer], *, end: float) -> Answer:
    """The result of an idempotent action, repeated while the API server does not answer, until `end` (time.monotonic())."""
    while True:
        try:
            return action()
        except Unreachable:
            if time.monotonic() > end:
                raise
            time.sleep(POLL_SECONDS)


def _observation(observe: Callable[[], Sequence[StatusT]]) -> tuple[list[StatusT], str]:
    """The statuses; or none, and why the API server does not answer."""
    try:
        return list(observe()), ""
    except Unreachable as error:
        return [], str(error)
    except Refused as error:  # Refused promises an unchanged cluster, which no longer holds
        raise Failed(str(error)) from error


def _reasons(statuses: Sequence[Status]) -> str:
    return "; ".join(f"{status.name}: {status.detail or status.state or 'no state yet'}" for status in statuses)
