"""The newest row of each key of a table that is appended to, held in Arrow and brought up to date by the new files alone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from wattcast.serving.tables import Table


@dataclass(frozen=True)
class Kept:
    """Which rows of a table are kept: of each `key` the one that is last by `order`, whose first column is a time; of the last
    `within` before the newest, which bounds what is held; of the rows that are `wanted`."""

    table: str
    key: tuple[str, ...]
    order: tuple[str, ...]
    columns: tuple[str, ...]
    within: timedelta
    wanted: ds.Expression | None = None

    def newest(self, table: Table, before: "Newest | None" = None) -> "Newest":
        """The newest rows at this version of the table, from those `before`, if any, and the files that came since.

        Raises:
            Unavailable: a file cannot be read.
        """
        if before is not None and before.table is table:
            return before
        latest = table.newest(self.order[0])
        recent = self.wanted
        if latest is not None:
            since = min(latest, datetime.now(UTC)) - self.within  # a clock that runs ahead drops nothing of the others
            is_recent = ds.field(self.order[0]) >= since
            recent = is_recent if recent is None else recent & is_recent
        if before is None or before.table.line != table.line:
            return Newest(self, table, self._all(table, recent))
        added = table.batches(self.columns, recent, of=table.since(before.table))
        held = self._last([before.rows.combine_chunks()], added)
        return Newest(self, table, held.filter(pc.field(self.order[0]) >= since) if latest else held)

    def _all(self, table: Table, recent: ds.Expression | None) -> pa.Table:
        """In two passes, so that wide columns are read only of what may stay."""
        narrow = list(dict.fromkeys((*self.key, *self.order)))
        last = self._last([table.schema(narrow).empty_table()], table.batches(narrow, recent))
        times = pc.unique(last[self.order[0]])
        may_stay = ds.field(self.order[0]).isin(times)
        found = table.batches(self.columns, may_stay if self.wanted is None else may_stay & self.wanted)
        return self._last([table.schema(self.columns).empty_table()], found)

    def _last(self, held: Sequence[pa.Table], added: Iterable[pa.Table]) -> pa.Table:
        rows = held[0]
        for batch in added:
            rows = self._last_of(pa.concat_tables([rows, batch.cast(rows.schema)]))
        return rows

    def _last_of(self, rows: pa.Table) -> pa.Table:
        by_age = pc.sort_indices(rows.select(list(self.order)), [(name, "descending") for name in self.order])
        keys = rows.select(list(self.key)).take(by_age).append_column("at", pa.array(np.arange(len(rows))))
        first = keys.group_by(list(self.key), use_threads=False).aggregate([("at", "first")])["at_first"]
        return rows.take(by_age.take(first))


@dataclass(frozen=True)
class Newest:
    """The newest rows at one version of a table."""

    kept: Kept
    table: Table
    rows: pa.Table
    _items: dict[int, dict[str, Any]] = field(default_factory=dict)

    @cached_property
    def index(self) -> dict[Any, int]:
        """Row by key: the value of a single column, else a tuple of them."""
        columns = [self.rows[name].to_pylist() for name in self.kept.key]
        keys = columns[0] if len(columns) == 1 else zip(*columns, strict=True)
        return {key: row for row, key in enumerate(keys)}

    def item(self, key: Any) -> dict[str, Any] | None:
        """The newest row of a key."""
        row = self.index.get(key)
        if row is None:
            return None
        if row not in self._items:
            self._items[row] = self.rows.slice(row, 1).to_pylist()[0]
        return self._items[row]

    @cached_property
    def items(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.rows.to_pylist()
        return found
