"""The latest row of each key of an append-only table, in Arrow; a new version of the table adds only its new files."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from wattcast.serving.tables.pinned import PinnedTable


@dataclass(frozen=True)
class LatestSpec:
    """Which rows of a table are held: of each `key` the last one by `order`, whose first column is a time. Rows more than
    `retention` older than the newest one are dropped, which bounds the memory; `condition` restricts the rows."""

    table: str
    key: tuple[str, ...]
    order: tuple[str, ...]
    columns: tuple[str, ...]
    retention: timedelta
    condition: ds.Expression | None = None

    def latest(self, table: PinnedTable, previous: "LatestRows | None" = None) -> "LatestRows":
        """The latest rows at this version of the table: `previous` and the files that were added since, or read from all files.

        Raises:
            Unavailable: a file cannot be read.
        """
        if previous is not None and previous.table is table:
            return previous
        newest = table.latest_time(self.order[0])
        condition = self.condition
        if newest is not None:
            # a device whose clock is ahead of this machine must not drop the rows of the others
            since = min(newest, datetime.now(UTC)) - self.retention
            is_recent = ds.field(self.order[0]) >= since
            condition = is_recent if condition is None else condition & is_recent
        if previous is None or previous.table.lineage != table.lineage:
            return LatestRows(self, table, self._from_all_files(table, condition))
        added = table.batches(self.columns, condition, files=table.files_since(previous.table))
        rows = self._last_rows(previous.rows.combine_chunks(), added)
        return LatestRows(self, table, rows.filter(pc.field(self.order[0]) >= since) if newest else rows)

    def _from_all_files(self, table: PinnedTable, condition: ds.Expression | None) -> pa.Table:
        """Two passes: the first one finds the times of the last rows, so that wide columns are read of those times only."""
        narrow = list(dict.fromkeys((*self.key, *self.order)))
        last = self._last_rows(table.schema(narrow).empty_table(), table.batches(narrow, condition))
        is_candidate = ds.field(self.order[0]).isin(pc.unique(last[self.order[0]]))
        candidates = is_candidate if self.condition is None else is_candidate & self.condition
        return self._last_rows(table.schema(self.columns).empty_table(), table.batches(self.columns, candidates))

    def _last_rows(self, rows: pa.Table, batches: Iterable[pa.Table]) -> pa.Table:
        for batch in batches:
            rows = self._last_by_key(pa.concat_tables([rows, batch.cast(rows.schema)]))
        return rows

    def _last_by_key(self, rows: pa.Table) -> pa.Table:
        newest_first = pc.sort_indices(rows.select(list(self.order)), [(name, "descending") for name in self.order])
        keys = rows.select(list(self.key)).take(newest_first).append_column("at", pa.array(np.arange(len(rows))))
        first = keys.group_by(list(self.key), use_threads=False).aggregate([("at", "first")])["at_first"]
        return rows.take(newest_first.take(first))


@dataclass(frozen=True)
class LatestRows:
    """The latest rows at one version of a table."""

    spec: LatestSpec
    table: PinnedTable
    rows: pa.Table
    _dicts: dict[int, dict[str, Any]] = field(default_factory=dict)

    def matching(self, condition: ds.Expression) -> "LatestRows":
        return replace(self, rows=self.rows.filter(condition), _dicts={})

    @cached_property
    def index(self) -> dict[Any, int]:
        """Row number by key: the value of a single key column, else a tuple of the values."""
        columns = [self.rows[name].to_pylist() for name in self.spec.key]
        keys: Sequence[Any] = columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
        return {key: row for row, key in enumerate(keys)}

    def get(self, key: Any) -> dict[str, Any] | None:
        """The latest row of a key, or None."""
        row = self.index.get(key)
        if row is None:
            return None
        if row not in self._dicts:
            self._dicts[row] = self.rows.slice(row, 1).to_pylist()[0]
        return self._dicts[row]

    @cached_property
    def all(self) -> list[dict[str, Any]]:
        dicts: list[dict[str, Any]] = self.rows.to_pylist()
        return dicts
