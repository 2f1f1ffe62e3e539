"""What was known of a building at a forecast's issue time, as dense arrays: numpy only, the inside of the forecasting UDF.

Hours are int64 hours since 1970 UTC, times int64 microseconds since 1970 UTC, a missing value is NaN.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

HOUR_US = 3_600_000_000
EVER_US = np.iinfo(np.int64).max


@dataclass(frozen=True)
class History:
    """Revisions of values by hour: `hour` (rows,) ascending, then `available_us` (rows,) ascending within an hour; `values`
    (rows, features)."""

    hour: Ints
    available_us: Ints
    values: Floats

    def known(self, first_hour: int, hours: int, *, at_us: int) -> Floats:
        """(hours, features): for each hour from `first_hour` on, the newest revision that was available at `at_us`."""
        low, high = np.searchsorted(self.hour, [first_hour, first_hour + hours])
        is_known = self.available_us[low:high] <= at_us
        dense = np.full((hours, self.values.shape[1]), np.nan, dtype=np.float64)
        # Of equal indices the last assignment stays, which is the newest revision.
        dense[self.hour[low:high][is_known] - first_hour] = self.values[low:high][is_known]
        return dense

    def has_known(self, first_hour: int, hours: int, *, at_us: int) -> bool:
        low, high = np.searchsorted(self.hour, [first_hour, first_hour + hours])
        return bool((self.available_us[low:high] <= at_us).any())

    def closed_us(self, hour: int) -> int | None:
        """When the first revision of an hour became available; None while the hour has none."""
        row = int(np.searchsorted(self.hour, hour))
        return int(self.available_us[row]) if row < len(self.hour) and self.hour[row] == hour else None


@dataclass(frozen=True)
class Issue:
    """One forecast to make: for the hours from `origin` on, knowing what was available at `at_us`."""

    origin: int
    at_us: int


def issues(
    history: History,
    origins: Ints,
    *,
    clock_us: int,
    max_wait_us: int,
    heard_within_hours: int,
    hindsight: bool = False,
) -> list[Issue]:
    """Which of `origins` can be forecast by `clock_us`, and from what knowledge.

    A forecast is issued when the hour before its origin closes, or for a silent building `max_wait` after the origin; only for
    a building that has been heard. With `hindsight` everything known today counts.
    """
    found = []
    for origin in origins.tolist():
        closed_us, waited_us = history.closed_us(origin - 1), origin * HOUR_US + max_wait_us
        if closed_us is None and waited_us > clock_us:
            continue
        at_us = clock_us if hindsight else min(waited_us, closed_us if closed_us is not None else waited_us)
        if history.has_known(origin - heard_within_hours, heard_within_hours, at_us=EVER_US if hindsight else at_us):
            found.append(Issue(origin, at_us))
    return found
