"""What is read from the tables when it is asked for: history, rejected records, measurements, models; always in bounds."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from wattcast.serving.problems import Problem
from wattcast.serving.snapshot import HEALTH_COLUMNS, LIVE, MONTH, Snapshot
from wattcast.serving.tables import Table

HOUR = timedelta(hours=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
USAGE = (
    "hour",
    "available_at",
    "energy_usage_kwh",
    "coverage",
    "quality_flags",
    "temperature_c",
    "humidity_pct",
    "occupancy",
)
FORECAST = ("p10_kwh", "p50_kwh", "p90_kwh", "lead_hours", "method", "model_version", "warnings")
ISSUED = ("origin", "created_at", "target_hour", "p10_kwh", "p50_kwh", "p90_kwh", "method", "model_version", "warnings")
REJECTED = (
    "kafka_timestamp", "building_id", "device_id", "measured_at", "rejected_for", "raw_payload", "payload_bytes",
    "kafka_topic", "kafka_partition", "kafka_offset",
)  # fmt: skip
Order = Sequence[tuple[str, type]]
REJECTED_ORDER: Order = (
    ("kafka_timestamp", datetime),
    ("kafka_topic", str),
    ("kafka_partition", int),
    ("kafka_offset", int),
)
HEALTH_ORDER: Order = (("as_of", datetime), ("measure", str), ("scope", str), ("subject", str))


def time_range(
    start: datetime | None, end: datetime | None, *, newest: datetime, days: int, most: int
) -> tuple[datetime, datetime]:
    """From and to, by default the last `days`; both are checked.

    Raises:
        Problem: from is not before to, or more than `most` days lie between them.
    """
    last = end or max(newest, start + HOUR if start else newest)
    first = start or last - timedelta(days=days)
    if first >= last:
        raise Problem(422, "from must lie before to.")
    if last - first > timedelta(days=most):
        raise Problem(422, f"At most {most} days can be asked for at once: bring from and to nearer to each other.")
    return first, last


def within(column: str, start: datetime, end: datetime) -> ds.Expression:
    return (ds.field(column) >= pa.scalar(start)) & (ds.field(column) < pa.scalar(end))


def history(
    snapshot: Snapshot, building_id: str, start: datetime, end: datetime, lead_hours: int | None
) -> list[dict[str, Any]]:
    """The hours of a building with the newest revision of their usage, and their forecast: of one lead, or the newest."""
    usage = snapshot.lake.table("hourly_usage").rows(
        USAGE, (ds.field("building_id") == building_id) & within("hour", start, end)
    )
    forecasts = snapshot.lake.table("forecasts")
    longest = timedelta(hours=lead_hours or 168)
    wanted = (
        (ds.field("building_id") == building_id)
        & (ds.field("purpose") == LIVE)
        & within("origin", start - longest, end)
    )
    hours: dict[datetime, dict[str, Any]] = {}
    for row in usage.sort_by("available_at").to_pylist():
        hours[row["hour"]] = _actual(row)
    for row in (
        forecasts.rows(ISSUED, wanted).sort_by([("origin", "ascending"), ("created_at", "ascending")]).to_pylist()
    ):
        for lead, hour in enumerate(row["target_hour"], start=1):
            if start <= hour < end and lead == (lead_hours or lead):
                hours[hour] = hours.get(hour, _actual({"hour": hour})) | _forecast(row, lead)
    return [hours[hour] for hour in sorted(hours)]


def _actual(row: dict[str, Any]) -> dict[str, Any]:
    known = {name: row.get(name) for name in ("hour", *USAGE[2:]) if name != "quality_flags"}
    return known | {"flags": row.get("quality_flags", []), **dict.fromkeys(FORECAST), "warnings": []}


def _forecast(row: dict[str, Any], lead: int) -> dict[str, Any]:
    levels = {name: row[name][lead - 1] for name in FORECAST[:3]}
    return levels | {"lead_hours": lead, **{name: row[name] for name in FORECAST[4:]}}


def top(
    table: Table, columns: Sequence[str], wanted: ds.Expression, order: Order, *, limit: int, after: list[Any] | None
) -> list[dict[str, Any]]:
    """The `limit` rows that come first by `order`, whose first column descends and the others ascend, after a key."""
    directions = [(name, "ascending" if at else "descending") for at, (name, _) in enumerate(order)]
    if after:
        wanted = wanted & behind(order, after)
    rows: pa.Table | None = None
    for batch in table.batches(columns, wanted):
        rows = (batch if rows is None else pa.concat_tables([rows, batch])).sort_by(directions).slice(0, limit)
    return rows.to_pylist() if rows is not None else []


def behind(order: Order, after: list[Any]) -> ds.Expression:
    """That a row comes after this key."""
    found, equal = None, None
    for at, ((name, _), value) in enumerate(zip(order, after, strict=True)):
        column = ds.field(name)
        past = column < pa.scalar(value) if at == 0 else column > pa.scalar(value)
        this = past if equal is None else equal & past
        found = this if found is None else found | this
        equal = (column == pa.scalar(value)) if equal is None else equal & (column == pa.scalar(value))
    return found


def rejected(
    snapshot: Snapshot,
    start: datetime,
    end: datetime,
    wanted: dict[str, str | None],
    rule: str | None,
    *,
    limit: int,
    after: list[Any] | None,
) -> list[dict[str, Any]]:
    """Rejected records, the newest first."""
    condition = ~ds.field("accepted") & within("kafka_timestamp", start, end)
    for name, value in wanted.items():
        if value is not None:
            condition = condition & (ds.field(name) == value)
    table = snapshot.lake.table("received_readings")
    if rule is None:
        found = top(table, REJECTED, condition, REJECTED_ORDER, limit=limit, after=after)
    else:
        found = _broken(table, condition if not after else condition & behind(REJECTED_ORDER, after), rule, limit)
    return [_rejected(row) for row in found]


def _broken(table: Table, condition: ds.Expression, rule: str, limit: int) -> list[dict[str, Any]]:
    """The newest of the rows that broke a rule: a list cannot be asked by push-down."""
    directions = [(name, "ascending" if at else "descending") for at, (name, _) in enumerate(REJECTED_ORDER)]
    rows: pa.Table | None = None
    for batch in table.batches(REJECTED, condition):
        has_rule = pa.array([rule in (rules or ()) for rules in batch["rejected_for"].to_pylist()])
        kept = batch.filter(has_rule)
        rows = (kept if rows is None else pa.concat_tables([rows, kept])).sort_by(directions).slice(0, limit)
    return rows.to_pylist() if rows is not None else []


def _rejected(row: dict[str, Any]) -> dict[str, Any]:
    payload = row.pop("raw_payload")
    return row | {"payload": None if payload is None else payload.decode("utf-8", errors="replace")}


def rejected_by_rule(snapshot: Snapshot, start: datetime, end: datetime) -> list[dict[str, Any]]:
    found: Counter[str] = Counter()
    condition = ~ds.field("accepted") & within("kafka_timestamp", start, end)
    for batch in snapshot.lake.table("received_readings").batches(["rejected_for"], condition):
        found.update(rule for rules in batch["rejected_for"].to_pylist() for rule in rules or ())
    return [{"rule": rule, "records": records} for rule, records in sorted(found.items())]


def health(
    snapshot: Snapshot,
    start: datetime,
    end: datetime,
    wanted: dict[str, str | None],
    *,
    limit: int,
    after: list[Any] | None,
    clock: str = "as_of",
    every: timedelta | None = None,
) -> list[dict[str, Any]]:
    """Measurements over time, the newest first; of each measure and subject only the newest in `every` so long, if given."""
    table, condition = snapshot.lake.table("health"), measured(start, end, wanted, clock)
    if every:
        return _thinned(table, condition, every, limit=limit, after=after)
    return top(table, HEALTH_COLUMNS, condition, HEALTH_ORDER, limit=limit, after=after)


def _thinned(
    table: Table, condition: ds.Expression, every: timedelta, *, limit: int, after: list[Any] | None
) -> list[dict[str, Any]]:
    """As `top`, of the newest of each measure and subject in each span of `every`; what is held is bounded by `limit` and by
    what was measured in the span in which the page begins."""
    step = every // timedelta(microseconds=1)
    is_on_page = behind(HEALTH_ORDER, after) if after else ds.scalar(True)
    if after:
        end = ((after[0] - EPOCH) // every + 1) * step
        condition = condition & (ds.field("as_of") < pa.scalar(end, pa.timestamp("us", "UTC")))
    rows: pa.Table | None = None
    for batch in table.batches(HEALTH_COLUMNS, condition):
        newest = _newest_of_spans(batch if rows is None else pa.concat_tables([rows, batch]), step)
        page = _in_order(newest.filter(is_on_page)).slice(0, limit)
        rows = pa.concat_tables([newest.filter(~is_on_page), page])
    return _in_order(rows.filter(is_on_page)).to_pylist() if rows is not None else []


def _in_order(rows: pa.Table) -> pa.Table:
    return rows.sort_by([(name, "ascending" if at else "descending") for at, (name, _) in enumerate(HEALTH_ORDER)])


def _newest_of_spans(rows: pa.Table, step_us: int) -> pa.Table:
    """The newest row of each measure, scope, subject and span of so many microseconds."""
    rows = _in_order(rows)
    span = pc.divide(rows["as_of"].cast(pa.timestamp("us", "UTC")).cast(pa.int64()), step_us)
    keys = rows.select([name for name, _ in HEALTH_ORDER[1:]]).append_column("span", span)
    keys = keys.append_column("at", pa.array(range(len(rows)), pa.int64()))
    by = [name for name in keys.column_names if name != "at"]
    return rows.take(keys.group_by(by, use_threads=False).aggregate([("at", "first")])["at_first"])


def forecasts_by_model(snapshot: Snapshot) -> dict[tuple[str, str], int]:
    """How many live forecasts of the last 30 days each model version made."""
    table = snapshot.lake.table("forecasts")
    latest = table.newest("origin")
    if latest is None:
        return {}
    found: Counter[tuple[str, str]] = Counter()
    names = ["model_name", "model_version"]
    for batch in table.batches(names, (ds.field("purpose") == LIVE) & (ds.field("origin") > pa.scalar(latest - MONTH))):
        for row in batch.group_by(names).aggregate([([], "count_all")]).to_pylist():
            found[row["model_name"], row["model_version"]] += row["count_all"]
    return dict(found)


def measured(
    start: datetime | None, end: datetime | None, wanted: dict[str, str | None], clock: str = "as_of"
) -> ds.Expression:
    """That a measurement is of this time, if any, and of these measures, scopes and subjects where they are named."""
    condition = within(clock, start, end) if start and end else ds.scalar(True)
    for name, value in wanted.items():
        if value is not None:
            condition = condition & (ds.field(name) == value)
    return condition
