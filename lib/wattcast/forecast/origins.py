"""Forecast origins: the first hours that forecasts are for."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from wattcast.times import HOUR, HOUR_US

LIVE = "live"
MAX_HOURS_AHEAD = 24  # of the clock; a Kafka partition can be this far ahead of the slowest one


@dataclass(frozen=True)
class OriginSpan:
    """Origins from `first` to `last`, both included, on whole hours (naive UTC), of one purpose. With `hindsight` a forecast
    uses everything available today, otherwise only what was available at its issue time. With `catch_up_hours` it is the range of
    all issue windows, and each building has its own: see `issue_window`."""

    first: datetime
    last: datetime
    purpose: str = LIVE
    hindsight: bool = False
    catch_up_hours: int | None = None

    @property
    def is_live(self) -> bool:
        return self.purpose == LIVE


def live_span(*, newest_hour: datetime, clock: datetime, max_wait: timedelta, catch_up_hours: int) -> OriginSpan:
    """The range of the issue windows of all buildings, whose newest hour is `newest_hour`."""
    waited_until = (clock - max_wait).replace(minute=0, second=0, microsecond=0)
    first = waited_until - timedelta(hours=catch_up_hours - 1)
    return OriginSpan(first, max(newest_hour + HOUR, waited_until), catch_up_hours=catch_up_hours)


def issue_window(
    hours: NDArray[np.int64], *, clock_us: int, max_wait_us: int, catch_up_hours: int
) -> NDArray[np.int64]:
    """The origins that may still be issued for a building with these `hours`, which ascend: the newest `catch_up_hours` ones.

    The newest origin is the hour after the building's newest hour or, if that is later, the newest one that has waited for its
    data. Hours more than a day ahead of the clock, of readings stamped far ahead of the other buildings, have a window of their
    own, so that they do not end the forecasts at the clock.
    """
    waited_until, limit = (clock_us - max_wait_us) // HOUR_US, clock_us // HOUR_US + MAX_HOURS_AHEAD
    near = hours[: np.searchsorted(hours, limit, side="right")]
    lasts = {max(int(near[-1]) + 1 if len(near) else waited_until, waited_until)}
    if len(near) < len(hours):
        lasts.add(int(hours[-1]) + 1)
    windows = [np.arange(last - catch_up_hours + 1, last + 1) for last in sorted(lasts)]
    return np.unique(np.concatenate(windows))
