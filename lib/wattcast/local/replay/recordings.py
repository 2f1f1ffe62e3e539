"""Recorded readings of Parquet or CSV files, day by day in event-time order and in bounded memory."""

from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from wattcast.local.replay.recorded_files import chunks
from wattcast.meter_files.refusals import FileRefused

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
ROWS_PER_BUCKET, MAX_BUCKETS = 250_000, 100


@dataclass(frozen=True)
class Recording:
    """A selection of a file: its buildings and intervals by code, and the measured span [start_ms, end_ms) in UTC."""

    file: Path
    building_ids: tuple[str, ...]
    interval_ms: npt.NDArray[np.int64]  # (buildings,)
    start_ms: int
    end_ms: int
    allows_negative: npt.NDArray[np.bool_]  # (buildings,), whether energy may be below zero
    rows: int  # of these buildings at any time: an upper bound
    naive_is_utc: bool

    def days(self) -> Iterator[tuple[int, pd.DataFrame]]:
        """For each UTC day with readings, its start in ms and its rows, sorted by measured_at, building and position in the file.

        Columns: measured_ms, building (code), device_id (if the file has it), the features in the file's precision.
        """
        with TemporaryDirectory(prefix="wattcast-recording-") as folder:
            for bucket in self._spilled(Path(folder)):
                with pa.ipc.open_stream(pa.memory_map(str(bucket))) as stream:
                    rows = cast(pd.DataFrame, stream.read_all().to_pandas())
                rows = rows.sort_values(["measured_ms", "building"], kind="stable", ignore_index=True)
                bucket.unlink()
                day = (rows["measured_ms"] // DAY_MS).to_numpy()
                edges = np.flatnonzero(np.diff(day, prepend=-1, append=-1))
                for first, past in pairwise(edges):
                    yield int(day[first]) * DAY_MS, rows.iloc[first:past]

    def _spilled(self, folder: Path) -> list[Path]:
        """The selected rows in files of whole days each, in time order: a file may be sorted in any way."""
        first_day, last_day = self.start_ms // DAY_MS, (self.end_ms - 1) // DAY_MS
        buckets = min(MAX_BUCKETS, 1 + self.rows // ROWS_PER_BUCKET)
        bucket_days = -(-(last_day - first_day + 1) // buckets)
        codes = {building_id: code for code, building_id in enumerate(self.building_ids)}
        paths: dict[int, Path] = {}
        writers: dict[int, pa.RecordBatchStreamWriter] = {}
        with ExitStack() as open_writers:
            for chunk in chunks(self.file, self.naive_is_utc, with_features=True):
                rows = self._selected(chunk, codes)
                bucket_of = (rows["measured_ms"].to_numpy() // DAY_MS - first_day) // bucket_days
                for bucket in np.unique(bucket_of):
                    table = pa.Table.from_pandas(rows[bucket_of == bucket], preserve_index=False)
                    if bucket not in writers:
                        paths[bucket] = folder / f"{bucket}.arrow"
                        writer = pa.ipc.new_stream(str(paths[bucket]), table.schema)
                        writers[bucket] = open_writers.enter_context(writer)
                    writers[bucket].write_table(table)
        return [paths[bucket] for bucket in sorted(paths)]

    def _selected(self, chunk: pd.DataFrame, codes: dict[str, int]) -> pd.DataFrame:
        building = chunk["building_id"].map(codes).to_numpy(np.float64, na_value=np.nan)
        measured = chunk["measured_ms"].to_numpy()
        is_selected = ~np.isnan(building) & (measured >= self.start_ms) & (measured < self.end_ms)
        rows = chunk[is_selected].drop(columns="building_id")
        rows.insert(1, "building", building[is_selected].astype(np.int32))
        return rows


def recording(
    file: Path,
    *,
    buildings: int | None = None,
    days: int | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    naive_is_utc: bool = False,
    allows_negative_energy: Collection[str] = (),
) -> Recording:
    """The first `buildings` of a file in order of appearance, from `start` (or the first) on, for `days` or to `end`.

    A building's interval is the most common difference between neighbouring readings (an hour if there is only one).
    `allows_negative_energy` names buildings. With `naive_is_utc`, times without a zone are UTC.

    Raises:
        FileRefused: the file has no readings in that time, or times without a zone.
    """
    bounds, span = (_epoch_ms(start), _epoch_ms(end)), _Span()
    for chunk in chunks(file, naive_is_utc, with_features=False):
        span.add(chunk, bounds)
    start_ms = bounds[0] if bounds[0] is not None else span.first
    if start_ms is None or span.last is None:
        raise FileRefused(f"{file.name} has no readings in the selected time.")
    end_ms = bounds[1] if bounds[1] is not None else span.last + 1
    if days is not None:
        end_ms = min(end_ms, start_ms + days * DAY_MS)
    chosen = list(span.rows)[:buildings]
    rows = sum(span.rows[building_id] for building_id in chosen)
    negative = np.isin(chosen, list(allows_negative_energy))
    return Recording(file, tuple(chosen), span.intervals(chosen), start_ms, end_ms, negative, rows, naive_is_utc)


class _Span:
    """Collected in one pass over a file: rows by building, first and last time, and the gaps between readings, in ms."""

    def __init__(self) -> None:
        self.first: int | None = None
        self.last: int | None = None
        self.rows: Counter[str] = Counter()
        self.gaps: dict[str, Counter[int]] = {}
        self._newest = pd.DataFrame({"building_id": pd.Series(dtype=object), "measured_ms": pd.Series(dtype=np.int64)})

    def add(self, chunk: pd.DataFrame, bounds: tuple[int | None, int | None]) -> None:
        for building_id, rows in chunk["building_id"].value_counts(sort=False).items():
            self.rows[str(building_id)] += rows  # a Counter keeps the order of appearance
        measured = chunk["measured_ms"].to_numpy()
        is_early = measured < (bounds[0] if bounds[0] is not None else measured.min())
        is_late = measured >= (bounds[1] if bounds[1] is not None else measured.max() + 1)
        inside = measured[~is_early & ~is_late]
        if len(inside):
            first, last = int(inside.min()), int(inside.max())
            self.first = first if self.first is None else min(self.first, first)
            self.last = last if self.last is None else max(self.last, last)
        times = pd.concat([self._newest, chunk[["building_id", "measured_ms"]]], ignore_index=True)
        times = times.sort_values(["building_id", "measured_ms"], kind="stable", ignore_index=True)
        step = times["measured_ms"].diff().where(times["building_id"].eq(times["building_id"].shift()))
        steps = pd.DataFrame({"building_id": times["building_id"], "step": step})[step > 0].value_counts().reset_index()
        for building_id, step_ms, count in steps.itertuples(index=False):
            self.gaps.setdefault(building_id, Counter())[int(step_ms)] += count
        self._newest = times.drop_duplicates("building_id", keep="last")

    def intervals(self, chosen: list[str]) -> npt.NDArray[np.int64]:
        most_common = [self.gaps.get(building_id, Counter()).most_common(1) for building_id in chosen]
        return np.array([gaps[0][0] if gaps else HOUR_MS for gaps in most_common], np.int64)


def _epoch_ms(time: datetime | None) -> int | None:
    if time is None:
        return None
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
