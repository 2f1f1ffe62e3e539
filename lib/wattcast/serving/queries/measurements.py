"""Measurements of the monitor over time, and the latest ones."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from wattcast.serving.queries.selection import EPOCH, Order, first_rows, has_values, in_order, is_behind, is_between
from wattcast.serving.tables.columns import HEALTH_COLUMNS
from wattcast.serving.tables.pinned import PinnedTable
from wattcast.serving.tables.view import LakeView

HEALTH_ORDER: Order = (("as_of", datetime), ("measure", str), ("scope", str), ("subject", str))


def is_measurement(
    start: datetime | None, end: datetime | None, values: Mapping[str, str | None], clock: str = "as_of"
) -> ds.Expression:
    """That a measurement lies in the range, if there is one, and has these column values."""
    condition = is_between(clock, start, end) if start and end else ds.scalar(True)
    return condition & has_values(values)


def measurements(
    lake: LakeView,
    condition: ds.Expression,
    *,
    limit: int,
    after: Sequence[Any] | None,
    every: timedelta | None = None,
) -> list[dict[str, Any]]:
    """Matching measurements, the newest first; with `every`, only the newest of each measure and subject in each such span."""
    table = lake.table("health")
    if every:
        return _thinned(table, condition, every, limit=limit, after=after)
    return first_rows(table, HEALTH_COLUMNS, condition, HEALTH_ORDER, limit=limit, after=after)


def latest_measurements(
    lake: LakeView, condition: ds.Expression, *, limit: int, after: Sequence[Any] | None
) -> list[dict[str, Any]]:
    """The latest measurement of each measure and subject that matches, the newest first."""
    if after:
        condition = condition & is_behind(HEALTH_ORDER, after)
    rows = lake.latest("health").rows.select(list(HEALTH_COLUMNS)).filter(condition)
    page: list[dict[str, Any]] = in_order(rows, HEALTH_ORDER).slice(0, limit).to_pylist()
    return page


def _thinned(
    table: PinnedTable, condition: ds.Expression, every: timedelta, *, limit: int, after: Sequence[Any] | None
) -> list[dict[str, Any]]:
    """As `first_rows`, of the newest row of each measure and subject in each span of `every`. Memory is bounded by `limit` and
    by the rows of the span in which the page begins."""
    step_us = every // timedelta(microseconds=1)
    is_on_page = is_behind(HEALTH_ORDER, after) if after else ds.scalar(True)
    if after:
        end_us = ((after[0] - EPOCH) // every + 1) * step_us
        condition = condition & (ds.field("as_of") < pa.scalar(end_us, pa.timestamp("us", "UTC")))
    rows: pa.Table | None = None
    for batch in table.batches(HEALTH_COLUMNS, condition):
        newest = _newest_of_spans(batch if rows is None else pa.concat_tables([rows, batch]), step_us)
        page = in_order(newest.filter(is_on_page), HEALTH_ORDER).slice(0, limit)
        rows = pa.concat_tables([newest.filter(~is_on_page), page])
    return in_order(rows.filter(is_on_page), HEALTH_ORDER).to_pylist() if rows is not None else []


def _newest_of_spans(rows: pa.Table, step_us: int) -> pa.Table:
    """The newest row of each measure, scope, subject and span of `step_us` microseconds."""
    rows = in_order(rows, HEALTH_ORDER)
    span = pc.divide(rows["as_of"].cast(pa.timestamp("us", "UTC")).cast(pa.int64()), step_us)
    group = [name for name, _ in HEALTH_ORDER[1:]]
    keys = rows.select(group).append_column("span", span)
    keys = keys.append_column("at", pa.array(range(len(rows)), pa.int64()))
    return rows.take(keys.group_by([*group, "span"], use_threads=False).aggregate([("at", "first")])["at_first"])
