"""Errors of forecasts by building, model, lead and so on: the sums of `wattcast.views`, made part by part in bounded memory."""

import math
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from wattcast.serving.problems import Problem
from wattcast.serving.queries import within
from wattcast.serving.snapshot import Snapshot

HOURS_AT_ONCE = 250_000
MODEL = ("model_name", "model_version")
BY = {
    "building": ("building_id", *MODEL),
    "model": (*MODEL, "method"),
    "lead": ("lead_hours", *MODEL),
    "hour": ("local_hour", *MODEL),
    "day": ("day", *MODEL),
}
GROUPS = ("building_id", "lead_hours", "local_hour", "day", "method")
SCORES = (
    "forecast_id", "lead_hours", "available_at", "building_id", "target_hour", "local_hour", "method", *MODEL, "actual_kwh",
    "error_kwh", "pinball_kwh", "in_interval", "last_day_kwh", "last_week_kwh",
)  # fmt: skip
SUMMED = (
    "hours",
    "actual",
    "absolute",
    "square",
    "error",
    "pinball",
    "inside",
    "day_error",
    "day_hours",
    "week_error",
    "week_hours",
)


def accuracy(
    snapshot: Snapshot, by: str, start: datetime, end: datetime, wanted: dict[str, str | None]
) -> list[dict[str, Any]]:
    """Of the newest score of every forecast hour in a range.

    Raises:
        Problem: it holds more hours than are summed up at once.
    """
    table, most = snapshot.lake.table("forecast_scores"), snapshot.settings.serving.max_scored_hours
    others = ds.scalar(True)
    for name, value in wanted.items():
        if value is not None:
            others = others & (ds.field(name) == value)
    count = table.count(others & within("target_hour", start, end))
    if count > most:
        raise Problem(
            422,
            f"The range holds {count:,} scored hours and at most {most:,} are summed up: narrow it, or name a building.",
        )
    parts = max(1, min(-(-count // HOURS_AT_ONCE), int((end - start) / timedelta(hours=1)) or 1))
    cuts = [*(start + (end - start) * part / parts for part in range(parts)), end]
    summed = []
    for first, last in pairwise(cuts):
        rows = _newest(table.rows(SCORES, others & within("target_hour", first, last)))
        if rows.num_rows:
            summed.append(_sums(rows, BY[by]))
    return _measures(pa.concat_tables(summed), BY[by]) if summed else []


def _newest(rows: pa.Table) -> pa.Table:
    """The newest score of each forecast hour; all of one hour lie in one part of the range."""
    hours = rows.select(["forecast_id", "lead_hours"]).group_by(["forecast_id", "lead_hours"])
    if hours.aggregate([]).num_rows == rows.num_rows:  # nothing was corrected, as in most parts
        return rows
    by_age = pc.sort_indices(rows["available_at"])
    keys = rows.select(["forecast_id", "lead_hours"]).take(by_age).append_column("at", by_age)
    last = keys.group_by(["forecast_id", "lead_hours"], use_threads=False).aggregate([("at", "last")])
    return rows.take(last["at_last"])


def _sums(rows: pa.Table, by: Sequence[str]) -> pa.Table:
    """By group the sums that all measures follow from."""
    error, actual = rows["error_kwh"], rows["actual_kwh"]
    day, week = (pc.abs(pc.subtract(rows[name], actual)) for name in ("last_day_kwh", "last_week_kwh"))
    values = (
        pa.array(np.ones(len(rows), np.int64)), actual, pc.abs(error), pc.multiply(error, error), error, rows["pinball_kwh"],
        pc.cast(rows["in_interval"], pa.float64()), day, _is_known(day), week, _is_known(week),
    )  # fmt: skip
    groups = {name: pc.cast(rows["target_hour"], pa.date32()) if name == "day" else rows[name] for name in by}
    return _added(pa.table(groups | dict(zip(SUMMED, values, strict=True))), by)


def _is_known(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.cast(pc.is_valid(values), pa.int64())


def _added(rows: pa.Table, by: Sequence[str]) -> pa.Table:
    found = rows.group_by(list(by)).aggregate([(name, "sum") for name in SUMMED])
    return found.select([*by, *(f"{name}_sum" for name in SUMMED)]).rename_columns([*by, *SUMMED])


def _measures(parts: pa.Table, by: Sequence[str]) -> list[dict[str, Any]]:
    """A row per group in their order, those that are not named last."""
    sums = _added(parts, by).to_pylist()
    sums.sort(key=lambda row: [(row[name] is None, row[name] or 0) for name in by])
    return [dict.fromkeys(GROUPS) | {name: _word(row[name]) for name in by} | _measured(row) for row in sums]


def _word(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def _measured(row: dict[str, Any]) -> dict[str, float | None]:
    hours, mean = row["hours"], row["actual"] / row["hours"]
    rmse = math.sqrt(row["square"] / hours)
    return {
        "hours": hours, "mean_kwh": mean, "mae_kwh": row["absolute"] / hours, "rmse_kwh": rmse,
        "cv_rmse": rmse / abs(mean) if mean else None, "nmbe": row["error"] / hours / mean if mean else None,
        "pinball_kwh": row["pinball"] / hours, "interval_coverage": row["inside"] / hours,
        "last_week_mae_kwh": row["week_error"] / row["week_hours"] if row["week_hours"] else None,
        "last_day_mae_kwh": row["day_error"] / row["day_hours"] if row["day_hours"] else None,
    }  # fmt: skip
