"""What queries share: checked time ranges, conditions on columns, and pages in a fixed order."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from wattcast.serving.problems import Problem
from wattcast.serving.tables.pinned import PinnedTable
from wattcast.times import HOUR

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Order = Sequence[tuple[str, type]]  # columns with their types: the first one descends, the others ascend


def time_range(
    start: datetime | None, end: datetime | None, *, latest: datetime, days: int, max_days: int
) -> tuple[datetime, datetime]:
    """The range from `start` to `end`, by default the last `days` until `latest`.

    Raises:
        Problem: start is not before end, or the range is longer than `max_days`.
    """
    last = end or max(latest, start + HOUR if start else latest)
    first = start or last - timedelta(days=days)
    if first >= last:
        raise Problem(422, "from must be earlier than to.")
    if last - first > timedelta(days=max_days):
        raise Problem(422, f"A request can cover at most {max_days} days: choose from and to closer together.")
    return first, last


def is_between(column: str, start: datetime, end: datetime) -> ds.Expression:
    """Start included, end not."""
    return (ds.field(column) >= pa.scalar(start)) & (ds.field(column) < pa.scalar(end))


def has_values(values: Mapping[str, str | None]) -> ds.Expression:
    """That columns have these values; a column whose value is None may have any."""
    condition = ds.scalar(True)
    for column, value in values.items():
        if value is not None:
            condition = condition & (ds.field(column) == value)
    return condition


def is_behind(order: Order, key: Sequence[Any]) -> ds.Expression:
    """That a row comes after the row with this key."""
    condition, is_equal = None, None
    for position, ((name, _), value) in enumerate(zip(order, key, strict=True)):
        column = ds.field(name)
        is_later = column < pa.scalar(value) if position == 0 else column > pa.scalar(value)
        term = is_later if is_equal is None else is_equal & is_later
        condition = term if condition is None else condition | term
        is_equal = (column == pa.scalar(value)) if is_equal is None else is_equal & (column == pa.scalar(value))
    return condition


def in_order(rows: pa.Table, order: Order) -> pa.Table:
    return rows.sort_by([(name, "ascending" if position else "descending") for position, (name, _) in enumerate(order)])


def first_rows(
    table: PinnedTable,
    columns: Sequence[str],
    condition: ds.Expression,
    order: Order,
    *,
    limit: int,
    after: Sequence[Any] | None,
) -> list[dict[str, Any]]:
    """The first `limit` rows in this order, behind the key `after` if there is one."""
    if after:
        condition = condition & is_behind(order, after)
    rows: pa.Table | None = None
    for batch in table.batches(columns, condition):
        rows = in_order(batch if rows is None else pa.concat_tables([rows, batch]), order).slice(0, limit)
    return rows.to_pylist() if rows is not None else []
