"""What was available of a building at a forecast's issue time, as dense arrays: numpy only, used inside the forecast UDF.

Hours are int64 hours since 1970 UTC, times int64 microseconds since 1970 UTC, a missing value is NaN.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wattcast.times import HOUR_US

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

END_OF_TIME_US = np.iinfo(np.int64).max


@dataclass(frozen=True)
class History:
    """Revisions of values by hour: `hour` (rows,) ascending, then `available_us` (rows,) ascending within an hour; `values`
    (rows, features)."""

    hour: Ints
    available_us: Ints
    values: Floats

    def as_of(self, time_us: int, *, first_hour: int, hours: int) -> Floats:
        """(hours, features): for each hour from `first_hour` on, the newest revision that was available at `time_us`."""
        low, high = np.searchsorted(self.hour, [first_hour, first_hour + hours])
        is_available = self.available_us[low:high] <= time_us
        dense = np.full((hours, self.values.shape[1]), np.nan, dtype=np.float64)
        # Of equal indices the last assignment stays, which is the newest revision.
        dense[self.hour[low:high][is_available] - first_hour] = self.values[low:high][is_available]
        return dense

    def has_values(self, time_us: int, *, first_hour: int, hours: int) -> bool:
        """Whether at `time_us` a revision of one of the hours was available."""
        low, high = np.searchsorted(self.hour, [first_hour, first_hour + hours])
        return bool((self.available_us[low:high] <= time_us).any())

    def closed_us(self, hour: int) -> int | None:
        """When the first revision of an hour became available; None while the hour has none."""
        row = int(np.searchsorted(self.hour, hour))
        return int(self.available_us[row]) if row < len(self.hour) and self.hour[row] == hour else None


@dataclass(frozen=True)
class Issue:
    """A forecast to issue: for the hours from `origin` on, from what was available at `issued_us`."""

    origin: int
    issued_us: int


def due_issues(
    history: History,
    origins: Ints,
    *,
    clock_us: int,
    max_wait_us: int,
    active_within_hours: int,
    hindsight: bool = False,
) -> list[Issue]:
    """The forecasts of `origins` that are due at `clock_us`, each with its issue time.

    A forecast is issued when the hour before its origin closes, or, for a building that sends nothing, `max_wait_us` after the
    origin. A building without a value in the `active_within_hours` before the origin gets none. With `hindsight` everything
    available today counts, and the issue time is `clock_us`.
    """
    due = []
    for origin in origins.tolist():
        closed_us, waited_us = history.closed_us(origin - 1), origin * HOUR_US + max_wait_us
        if closed_us is None and waited_us > clock_us:
            continue
        issued_us = clock_us if hindsight else min(waited_us, waited_us if closed_us is None else closed_us)
        available_us = END_OF_TIME_US if hindsight else issued_us
        if history.has_values(available_us, first_hour=origin - active_within_hours, hours=active_within_hours):
            due.append(Issue(origin, issued_us))
    return due
