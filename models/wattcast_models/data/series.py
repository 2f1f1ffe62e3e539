"""Long hourly arrays of all buildings, made of batches of rows in two passes: which hours there are, then their values.

The arrays are in memory, or in unnamed files of a folder that go when the arrays go. Beside them memory holds a batch, the
names of the buildings and the hours of one building.
"""

import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import DTypeLike, NDArray

from wattcast_models.features import CONTEXT_INPUTS

REVISED = ("building_id", "hour", "available_at", "coverage")  # what tells revisions from readings
HOUR_US = 3_600_000_000
EVER_US = np.iinfo(np.int64).max

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
Batches = Callable[[Sequence[str]], Iterable[pd.DataFrame]]  # the rows, with these columns or more


@dataclass(frozen=True)
class Span:
    """Where each building's hours are in arrays of the hours of all buildings, one after the other by name."""

    names: pd.Index
    start: Ints  # (buildings,) hours since 1970-01-01 UTC
    bounds: Ints  # (buildings + 1,): a building's hours are from its bound to the next

    @classmethod
    def of(cls, batches: Batches, time: str) -> Self:
        """From each building's first row to its last."""
        ends: dict[str, tuple[int, int]] = {}
        for batch in batches(["building_id", time]):
            rows = batch.dropna(subset=["building_id", time])
            hours = pd.Series(_since_1970_us(rows[time]) // HOUR_US)
            by_building = hours.groupby(rows["building_id"].astype(str).to_numpy()).agg(["min", "max"])
            for name, first, last in by_building.itertuples(name=None):
                lowest, highest = ends.get(name, (first, last))
                ends[name] = min(first, lowest), max(last, highest)
        names = sorted(ends)
        start, last = np.array([ends[name] for name in names], np.int64).reshape(-1, 2).T
        return cls(pd.Index(names, dtype=object), start, np.concatenate([[0], np.cumsum(last - start + 1)]))

    @property
    def hours(self) -> int:
        return int(self.bounds[-1])

    @property
    def slices(self) -> list[slice]:
        return [slice(first, end) for first, end in zip(self.bounds[:-1], self.bounds[1:], strict=True)]

    def positions(self, rows: pd.DataFrame, time: str) -> Ints:
        """(rows,): where the hours of these rows are."""
        number = self.names.get_indexer(pd.Index(rows["building_id"].astype(str), dtype=object))
        return np.asarray(_since_1970_us(rows[time]) // HOUR_US + (self.bounds[:-1] - self.start)[number])


@dataclass(frozen=True)
class Revisions:
    """The first revision of hours, and from when on it and the newest were known. The newest has an array of its own."""

    first: Floats  # (hours, CONTEXT_INPUTS)
    first_us: Ints  # (hours,) microseconds since 1970-01-01 UTC; EVER_US for an hour without a revision
    newest_us: Ints  # (hours,)

    def of(self, hours: slice) -> "Revisions":
        return Revisions(self.first[hours], self.first_us[hours], self.newest_us[hours])


def summed(batches: Batches, span: Span, store: Path | None) -> Floats:
    """(hours, CONTEXT_INPUTS) of readings: the sum of the energy and the mean of the rest. Energy is missing where an hour
    has fewer readings of it than its building's hours usually have. A reading repeated in a batch counts once."""
    sums = _array((span.hours, len(CONTEXT_INPUTS)), 0.0, np.float64, store)
    counts = _array(sums.shape, 0, np.int32, store)
    for batch in batches(["building_id", "timestamp", *CONTEXT_INPUTS]):
        keys = ["building_id", "timestamp"]
        readings = batch.dropna(subset=keys).drop_duplicates(keys, keep="last")
        values, position = _values(readings), span.positions(readings, "timestamp")
        is_there = values.notna()
        is_there["energy_usage_kwh"] = np.isfinite(values["energy_usage_kwh"])
        added = values.where(is_there, 0.0).groupby(position).sum()
        sums[added.index] += added.to_numpy()
        counts[added.index] += is_there.groupby(position).sum().to_numpy(np.int32)
    hourly = _array(sums.shape, np.nan, np.float32, store)
    for own in span.slices:
        hourly[own] = _hourly(sums[own], counts[own])
    return hourly


def _hourly(sums: NDArray[np.float64], counts: NDArray[np.int32]) -> NDArray[np.float64]:
    """The hours of one building, out of sums and counts that are both (hours, CONTEXT_INPUTS)."""
    hourly = np.where(counts > 0, sums, np.nan)
    hourly[:, 1:] /= np.maximum(counts[:, 1:], 1)
    hours_with = np.bincount(counts[:, 0])  # by number of readings
    hours_with[0] = 0
    usual = np.flatnonzero(hours_with == hours_with.max())[-1]
    hourly[counts[:, 0] < usual, 0] = np.nan
    return hourly


def revised(batches: Batches, span: Span, store: Path | None) -> tuple[Floats, Revisions]:
    """(hours, CONTEXT_INPUTS) of `hourly_usage` at the newest revision, and what was known before.

    Energy is missing where the coverage is known and below 1 (the flag `partial`), as it is in the context of a forecast.
    """
    newest, first = (_array((span.hours, len(CONTEXT_INPUTS)), np.nan, np.float32, store) for _ in range(2))
    newest_us, first_us = (_array((span.hours,), us, np.int64, store) for us in (-EVER_US, EVER_US))
    for batch in batches([*REVISED, *CONTEXT_INPUTS]):
        rows = _values(batch).set_axis(span.positions(batch, "hour"))
        rows.loc[(batch["coverage"] < 1).to_numpy(), "energy_usage_kwh"] = np.nan
        rows["us"] = _since_1970_us(batch["available_at"])
        rows = rows.sort_values("us", kind="stable")
        last_of_hour, first_of_hour = (rows[~rows.index.duplicated(keep=keep)] for keep in ("last", "first"))
        _put(last_of_hour[last_of_hour["us"] > newest_us[last_of_hour.index]], newest, newest_us)
        _put(first_of_hour[first_of_hour["us"] < first_us[first_of_hour.index]], first, first_us)
    return newest, Revisions(first, first_us, newest_us)


def _put(rows: pd.DataFrame, values: Floats, available_us: Ints) -> None:
    values[rows.index] = rows[list(CONTEXT_INPUTS)]
    available_us[rows.index] = rows["us"]


def _values(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.reindex(columns=list(CONTEXT_INPUTS)).astype(np.float64)


def _since_1970_us(times: pd.Series) -> Ints:
    return np.asarray(pd.to_datetime(times, utc=True).astype("datetime64[us, UTC]"), "datetime64[us]").astype(np.int64)


def _array(shape: tuple[int, ...], value: float, dtype: DTypeLike, store: Path | None) -> NDArray[Any]:
    """An array full of `value`, in memory or in a file in the folder `store` that has no name and ends with the array."""
    if store is None:
        return np.full(shape, value, dtype)
    needed, free = int(np.prod(shape)) * np.dtype(dtype).itemsize, shutil.disk_usage(store).free
    if needed > free:  # a mapped file that cannot grow would end the process without a word
        raise OSError(f"{store} has {free >> 20} MiB free; the hours need {needed >> 20} MiB.")
    with TemporaryFile(dir=store) as file:
        array = np.asarray(np.memmap(file, dtype, "w+", shape=shape))
    array[...] = value
    return array
