"""Accuracy of forecasts by building, model, lead, hour or day: the sums of `wattcast.lake.views`, in parts of bounded memory."""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from wattcast.serving.problems import Problem
from wattcast.serving.queries.selection import has_values, is_between
from wattcast.serving.tables.columns import LIVE
from wattcast.serving.tables.view import LakeView
from wattcast.times import HOUR

HOURS_PER_PART = 250_000
MODEL = ("model_name", "model_version")
GROUPS = {
    "building": ("building_id", *MODEL),
    "model": (*MODEL, "method"),
    "lead": ("lead_hours", *MODEL),
    "hour": ("local_hour", *MODEL),
    "day": ("day", *MODEL),
}
GROUP_COLUMNS = ("building_id", "lead_hours", "local_hour", "day", "method")
SCORE_COLUMNS = (
    "forecast_id", "lead_hours", "available_at", "building_id", "target_hour", "local_hour", "method", *MODEL, "actual_kwh",
    "error_kwh", "pinball_kwh", "in_interval", "last_day_kwh", "last_week_kwh",
)  # fmt: skip
SUMS = (
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
    lake: LakeView, by: str, start: datetime, end: datetime, values: Mapping[str, str | None]
) -> list[dict[str, Any]]:
    """The errors of each group, from the newest score of every forecast hour that matches; sorted, unnamed groups last.

    Raises:
        Problem: the range holds more scored hours than the setting `max_scored_hours`.
    """
    table, max_hours = lake.table("forecast_scores"), lake.settings.serving.max_scored_hours
    condition, group = has_values(values), GROUPS[by]
    count = table.count(condition & is_between("target_hour", start, end))
    if count > max_hours:
        raise Problem(
            422,
            f"The range holds {count:,} scored hours, but a request can sum up at most {max_hours:,}: shorten the range or "
            "name a building.",
        )
    sums = []
    for part_start, part_end in _parts(start, end, count):
        scores = _newest_scores(table.rows(SCORE_COLUMNS, condition & is_between("target_hour", part_start, part_end)))
        if scores.num_rows:
            sums.append(_sums(scores, group))
    return _measures(pa.concat_tables(sums), group) if sums else []


def weekly_mae_kwh(lake: LakeView) -> float | None:
    """The MAE of live forecasts over the last seven scored days; None if it is unknown or too large to sum up."""
    try:
        latest = lake.table("forecast_scores").latest_time("target_hour")
        if latest is None:
            return None
        rows = accuracy(lake, "model", latest - timedelta(days=7), latest + HOUR, {"purpose": LIVE})
    except Problem:
        return None
    hours = sum(row["hours"] for row in rows)
    return sum(row["mae_kwh"] * row["hours"] for row in rows) / hours if hours else None


def _parts(start: datetime, end: datetime, count: int) -> Iterator[tuple[datetime, datetime]]:
    """The range in parts of about HOURS_PER_PART scored hours, none shorter than an hour."""
    parts = max(1, min(-(-count // HOURS_PER_PART), int((end - start) / HOUR) or 1))
    return pairwise([*(start + (end - start) * part / parts for part in range(parts)), end])


def _newest_scores(rows: pa.Table) -> pa.Table:
    """The newest score of each forecast hour; all scores of one hour lie in the same part of the range."""
    key = ["forecast_id", "lead_hours"]
    if rows.select(key).group_by(key).aggregate([]).num_rows == rows.num_rows:  # no corrections, as in most parts
        return rows
    oldest_first = pc.sort_indices(rows["available_at"])
    keys = rows.select(key).take(oldest_first).append_column("at", oldest_first)
    last = keys.group_by(key, use_threads=False).aggregate([("at", "last")])
    return rows.take(last["at_last"])


def _sums(rows: pa.Table, group: Sequence[str]) -> pa.Table:
    """The sums by group from which all measures follow."""
    error, actual = rows["error_kwh"], rows["actual_kwh"]
    day, week = (pc.abs(pc.subtract(rows[name], actual)) for name in ("last_day_kwh", "last_week_kwh"))
    values = (
        pa.array(np.ones(len(rows), np.int64)), actual, pc.abs(error), pc.multiply(error, error), error, rows["pinball_kwh"],
        pc.cast(rows["in_interval"], pa.float64()), day, _is_valid(day), week, _is_valid(week),
    )  # fmt: skip
    keys = {name: pc.cast(rows["target_hour"], pa.date32()) if name == "day" else rows[name] for name in group}
    return _summed(pa.table(keys | dict(zip(SUMS, values, strict=True))), group)


def _is_valid(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.cast(pc.is_valid(values), pa.int64())


def _summed(rows: pa.Table, group: Sequence[str]) -> pa.Table:
    sums = rows.group_by(list(group)).aggregate([(name, "sum") for name in SUMS])
    return sums.select([*group, *(f"{name}_sum" for name in SUMS)]).rename_columns([*group, *SUMS])


def _measures(parts: pa.Table, group: Sequence[str]) -> list[dict[str, Any]]:
    sums = _summed(parts, group).to_pylist()
    sums.sort(key=lambda row: [(row[name] is None, row[name] or 0) for name in group])
    return [
        dict.fromkeys(GROUP_COLUMNS) | {name: _json_value(row[name]) for name in group} | _errors(row) for row in sums
    ]


def _json_value(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def _errors(row: dict[str, Any]) -> dict[str, float | None]:
    hours, mean = row["hours"], row["actual"] / row["hours"]
    rmse = math.sqrt(row["square"] / hours)
    return {
        "hours": hours, "mean_kwh": mean, "mae_kwh": row["absolute"] / hours, "rmse_kwh": rmse,
        "cv_rmse": rmse / abs(mean) if mean else None, "nmbe": row["error"] / hours / mean if mean else None,
        "pinball_kwh": row["pinball"] / hours, "interval_coverage": row["inside"] / hours,
        "last_week_mae_kwh": row["week_error"] / row["week_hours"] if row["week_hours"] else None,
        "last_day_mae_kwh": row["day_error"] / row["day_hours"] if row["day_hours"] else None,
    }  # fmt: skip
