"""Rejected readings, one by one and counted by rule."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from wattcast.serving.queries.selection import Order, first_rows, has_values, in_order, is_behind, is_between
from wattcast.serving.tables.pinned import PinnedTable
from wattcast.serving.tables.view import LakeView

COLUMNS = (
    "kafka_timestamp", "building_id", "device_id", "measured_at", "rejected_for", "raw_payload", "payload_bytes",
    "kafka_topic", "kafka_partition", "kafka_offset",
)  # fmt: skip
REJECTED_ORDER: Order = (
    ("kafka_timestamp", datetime),
    ("kafka_topic", str),
    ("kafka_partition", int),
    ("kafka_offset", int),
)


def rejected(
    lake: LakeView,
    start: datetime,
    end: datetime,
    values: Mapping[str, str | None],
    rule: str | None,
    *,
    limit: int,
    after: Sequence[Any] | None,
) -> list[dict[str, Any]]:
    """Rejected records that arrived in a range and have these column values, the newest first."""
    table = lake.table("received_readings")
    condition = _is_rejected(start, end) & has_values(values)
    if rule is None:
        rows = first_rows(table, COLUMNS, condition, REJECTED_ORDER, limit=limit, after=after)
    else:
        rows = _first_by_rule(table, condition & is_behind(REJECTED_ORDER, after) if after else condition, rule, limit)
    return [_with_text_payload(row) for row in rows]


def rejected_by_rule(lake: LakeView, start: datetime, end: datetime) -> list[dict[str, Any]]:
    """The number of records that broke each rule, sorted by rule."""
    counts: Counter[str] = Counter()
    for batch in lake.table("received_readings").batches(["rejected_for"], _is_rejected(start, end)):
        counts.update(rule for rules in batch["rejected_for"].to_pylist() for rule in rules or ())
    return [{"rule": rule, "records": records} for rule, records in sorted(counts.items())]


def _is_rejected(start: datetime, end: datetime) -> ds.Expression:
    return ~ds.field("accepted") & is_between("kafka_timestamp", start, end)


def _first_by_rule(table: PinnedTable, condition: ds.Expression, rule: str, limit: int) -> list[dict[str, Any]]:
    """The newest rows that broke a rule; a list column cannot be filtered by push-down."""
    rows: pa.Table | None = None
    for batch in table.batches(COLUMNS, condition):
        has_rule = pa.array([rule in (rules or ()) for rules in batch["rejected_for"].to_pylist()])
        matching = batch.filter(has_rule)
        rows = in_order(matching if rows is None else pa.concat_tables([rows, matching]), REJECTED_ORDER)
        rows = rows.slice(0, limit)
    return rows.to_pylist() if rows is not None else []


def _with_text_payload(row: dict[str, Any]) -> dict[str, Any]:
    payload = row.pop("raw_payload")
    return row | {"payload": None if payload is None else payload.decode("utf-8", errors="replace")}
