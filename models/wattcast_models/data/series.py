"""Long hourly arrays of all buildings, built from batches of rows in two passes: the span of each building, then the values.

The arrays are in memory, or in unnamed files of a folder that disappear with the arrays. Besides them, memory holds one batch of
rows, the names of the buildings and the hours of one building.
"""

import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import DTypeLike, NDArray

from wattcast_models.features.raw_inputs import CONTEXT_INPUTS
from wattcast_models.time_units import HOUR_US

REVISION_COLUMNS = ("building_id", "hour", "available_at", "coverage")  # of `hourly_usage`; files of readings lack them
FLAGS = "quality_flags"  # of `hourly_usage`
UNUSABLE = frozenset({"capped", "implausible"})  # flags of hours whose energy forecasts do not use
NEVER_US = np.iinfo(np.int64).max

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
Batches = Callable[[Sequence[str]], Iterable[pd.DataFrame]]  # batches of the rows, with at least these columns


@dataclass(frozen=True)
class HourLayout:
    """The positions of each building's hours in arrays that hold the hours of all buildings, one building after the other."""

    names: pd.Index  # building ids, ascending
    start: Ints  # (buildings,) hours since 1970-01-01 UTC
    bounds: Ints  # (buildings + 1,): a building's hours are from its bound to the next

    @classmethod
    def of(cls, batches: Batches, time: str) -> Self:
        """The layout of the hours from each building's first row to its last; `time` is the name of the time column."""
        spans: dict[str, tuple[int, int]] = {}
        for batch in batches(["building_id", time]):
            rows = batch.dropna(subset=["building_id", time])
            hours = pd.Series(_since_1970_us(rows[time]) // HOUR_US)
            by_building = hours.groupby(rows["building_id"].astype(str).to_numpy()).agg(["min", "max"])
            for name, first, last in by_building.itertuples(name=None):
                lowest, highest = spans.get(name, (first, last))
                spans[name] = min(first, lowest), max(last, highest)
        names = sorted(spans)
        start, last = np.array([spans[name] for name in names], np.int64).reshape(-1, 2).T
        return cls(pd.Index(names, dtype=object), start, np.concatenate([[0], np.cumsum(last - start + 1)]))

    @property
    def hours(self) -> int:
        return int(self.bounds[-1])

    @property
    def slices(self) -> list[slice]:
        return [slice(first, end) for first, end in zip(self.bounds[:-1], self.bounds[1:], strict=True)]

    def positions(self, rows: pd.DataFrame, time: str) -> Ints:
        """The positions of the rows' hours, (rows,)."""
        number = self.names.get_indexer(pd.Index(rows["building_id"].astype(str), dtype=object))
        return np.asarray(_since_1970_us(rows[time]) // HOUR_US + (self.bounds[:-1] - self.start)[number])


@dataclass(frozen=True)
class Revisions:
    """The first revision of each hour, and when it and the newest revision became available.

    The values of the newest revision are in an array beside this one; revisions between the two are not stored.
    """

    first: Floats  # (hours, CONTEXT_INPUTS)
    first_us: Ints  # (hours,) microseconds since 1970-01-01 UTC; NEVER_US for an hour without a revision
    newest_us: Ints  # (hours,)
    max_wait_us: int  # a live forecast is issued at most this long after its origin

    def of(self, hours: slice) -> "Revisions":
        return replace(self, first=self.first[hours], first_us=self.first_us[hours], newest_us=self.newest_us[hours])


def hourly_sums(batches: Batches, layout: HourLayout, store: Path | None) -> Floats:
    """(hours, CONTEXT_INPUTS) of readings: the sum of the energy and the mean of the other inputs.

    Energy is missing in an hour with fewer energy readings, of all its devices, than the building's hours usually have. A
    reading of a device that is repeated within a batch counts once.
    """
    sums = _array((layout.hours, len(CONTEXT_INPUTS)), 0.0, np.float64, store)
    counts = _array(sums.shape, 0, np.int32, store)
    for batch in batches(["building_id", "device_id", "timestamp", *CONTEXT_INPUTS]):
        keys = [name for name in ("building_id", "device_id", "timestamp") if name in batch]
        readings = batch.dropna(subset=["building_id", "timestamp"]).drop_duplicates(keys, keep="last")
        values, positions = _values(readings), layout.positions(readings, "timestamp")
        is_present = values.notna()
        is_present["energy_usage_kwh"] = np.isfinite(values["energy_usage_kwh"])
        batch_sums = values.where(is_present, 0.0).groupby(positions).sum()
        sums[batch_sums.index] += batch_sums.to_numpy()
        counts[batch_sums.index] += is_present.groupby(positions).sum().to_numpy(np.int32)
    hourly = _array(sums.shape, np.nan, np.float32, store)
    for hours in layout.slices:
        hourly[hours] = _hourly(sums[hours], counts[hours])
    return hourly


def _hourly(sums: NDArray[np.float64], counts: NDArray[np.int32]) -> NDArray[np.float64]:
    """The hours of one building, from sums and counts that are both (hours, CONTEXT_INPUTS)."""
    hourly = np.where(counts > 0, sums, np.nan)
    hourly[:, 1:] /= np.maximum(counts[:, 1:], 1)
    hours_by_count = np.bincount(counts[:, 0])  # by number of readings
    hours_by_count[0] = 0
    usual_count = np.flatnonzero(hours_by_count == hours_by_count.max())[-1]
    hourly[counts[:, 0] < usual_count, 0] = np.nan
    return hourly


def hourly_revisions(
    batches: Batches, layout: HourLayout, store: Path | None, *, max_wait_us: int
) -> tuple[Floats, Revisions]:
    """(hours, CONTEXT_INPUTS) of `hourly_usage` at the newest revision, and what was known before.

    Energy is missing where the coverage is known and below 1 or the hour has a flag of UNUSABLE, as in the context of a forecast.
    """
    newest, first = (_array((layout.hours, len(CONTEXT_INPUTS)), np.nan, np.float32, store) for _ in range(2))
    newest_us, first_us = (_array((layout.hours,), us, np.int64, store) for us in (-NEVER_US, NEVER_US))
    for batch in batches([*REVISION_COLUMNS, FLAGS, *CONTEXT_INPUTS]):
        rows = _values(batch).set_axis(layout.positions(batch, "hour"))
        rows.loc[~_is_usable(batch), "energy_usage_kwh"] = np.nan
        rows["us"] = _since_1970_us(batch["available_at"])
        rows = rows.sort_values("us", kind="stable")
        last_of_hour, first_of_hour = (rows[~rows.index.duplicated(keep=keep)] for keep in ("last", "first"))
        _assign(last_of_hour[last_of_hour["us"] > newest_us[last_of_hour.index]], newest, newest_us)
        _assign(first_of_hour[first_of_hour["us"] < first_us[first_of_hour.index]], first, first_us)
    return newest, Revisions(first, first_us, newest_us, max_wait_us)


def _is_usable(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """(rows,): whether the energy of an hour is used."""
    is_complete = ~(rows["coverage"] < 1).to_numpy()
    if FLAGS not in rows:
        return is_complete
    return is_complete & np.fromiter((UNUSABLE.isdisjoint(flags) for flags in rows[FLAGS]), np.bool_, len(rows))


def _assign(rows: pd.DataFrame, values: Floats, available_us: Ints) -> None:
    values[rows.index] = rows[list(CONTEXT_INPUTS)]
    available_us[rows.index] = rows["us"]


def _values(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.reindex(columns=list(CONTEXT_INPUTS)).astype(np.float64)


def _since_1970_us(times: pd.Series) -> Ints:
    return np.asarray(pd.to_datetime(times, utc=True).astype("datetime64[us, UTC]"), "datetime64[us]").astype(np.int64)


def _array(shape: tuple[int, ...], value: float, dtype: DTypeLike, store: Path | None) -> NDArray[Any]:
    """An array full of `value`, in memory or in an unnamed file in the folder `store` that disappears with the array.

    OSError if the disk has too little free space.
    """
    if store is None:
        return np.full(shape, value, dtype)
    needed, free = int(np.prod(shape)) * np.dtype(dtype).itemsize, shutil.disk_usage(store).free
    if needed > free:  # writing to a mapped file that cannot grow kills the process with SIGBUS, without a message
        raise OSError(f"{store} has {free >> 20} MiB free; the hours need {needed >> 20} MiB.")
    with TemporaryFile(dir=store) as file:
        array = np.asarray(np.memmap(file, dtype, "w+", shape=shape))
    array[...] = value
    return array
