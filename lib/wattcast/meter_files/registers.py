"""Cumulative registers of meters as energy per interval, with resets, rollovers and gaps."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from wattcast.meter_files.rows import seconds, seconds_between

ROLLOVER_SHARE = 0.1  # a register rolls over from its last tenth to its first
SIZES = np.array(  # of registers: digits, or bits of a unit and its decimal parts
    sorted(
        {10.0**digits for digits in range(3, 13)}
        | {2.0**bits / part for bits in (16, 20, 23, 24, 31, 32) for part in (1, 10, 100, 1000)}
    )
)
MAX_ROLLOVER_USAGE = 20  # times the usual use of an interval
FIRST_VALUE = "first registers of a device, which only begin its first interval"
ROLLOVER = "registers that rolled over: the interval is complete"
RESET = "registers that were reset or exchanged: the energy of the interval is unknown"
GAP = "registers after a gap: the energy of several intervals is not one interval's and was left out"

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class IntervalUsage:
    """The energy up to each row's time since the row before, NaN where it is unknown; and what was noticed, counted."""

    energy: Floats
    problems: Counter[str]


def interval_usage(
    register: pd.Series, times: pd.Series, groups: pd.Series, interval: "pd.Series[pd.Timedelta]"
) -> IntervalUsage:
    """The usage of rows that are sorted by group and time, in the unit of the register. `interval` is that of the row's device.

    The energy of an interval is the register at its end less that at its begin. A fall from the last tenth of the register's
    range to its first is a rollover; any other fall is a reset, after which the energy is unknown. Where readings are missing
    the difference covers several intervals, and is left out.
    """
    values, same_group = register.to_numpy(np.float64), groups.eq(groups.shift()).to_numpy()
    before = np.concatenate([[np.nan], values[:-1]])
    usage = np.where(same_group, values - before, np.nan)
    is_gap = same_group & (seconds_between(times) > 1.5 * seconds(interval)).to_numpy()
    fell = same_group & (usage < 0)
    usual = pd.Series(np.where(usage >= 0, usage, np.nan)).groupby(groups.to_numpy()).transform("median").to_numpy()
    rolled = np.array(
        [_rolled_over(before[row], values[row], usual[row]) if fell[row] else np.nan for row in range(len(values))]
    )
    is_rollover = np.isfinite(rolled)
    usage = np.where(is_rollover, rolled, usage)
    is_reset = fell & ~is_rollover
    usage[is_reset | is_gap] = np.nan
    problems = Counter(
        {
            FIRST_VALUE: int((~same_group).sum()), ROLLOVER: int((is_rollover & ~is_gap).sum()),
            RESET: int((is_reset & ~is_gap).sum()), GAP: int(is_gap.sum()),
        }
    )  # fmt: skip
    return IntervalUsage(usage, +problems)


def _rolled_over(before: float, after: float, usual: float) -> float:
    """The usage across a rollover; NaN where the fall is none."""
    for size in SIZES[before < SIZES]:
        if before < (1 - ROLLOVER_SHARE) * size:
            break
        usage = size - before + after
        if after <= ROLLOVER_SHARE * size and usage <= MAX_ROLLOVER_USAGE * max(usual, 0.0):
            return float(usage)
    return float("nan")
