"""Errors of forecasts by building, model, lead and so on: the sums of `wattcast.views`, made day by day in bounded memory."""

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds

from wattcast.serving.problems import Problem
from wattcast.serving.queries import within
from wattcast.serving.snapshot import Snapshot

HOURS_AT_ONCE = 1_000_000
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
        rows = table.rows(SCORES, others & within("target_hour", first, last))
        if rows.num_rows:
            summed.append(_sums(_newest(rows), list(BY[by])))
    return _measures(pd.concat(summed), list(BY[by])) if summed else []


def _newest(rows: pa.Table) -> pd.DataFrame:
    """The newest score of each forecast hour; all of one hour lie in one part of the range."""
    frame: pd.DataFrame = rows.to_pandas()
    return frame.sort_values("available_at", kind="stable").drop_duplicates(["forecast_id", "lead_hours"], keep="last")


def _sums(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    error, actual = rows["error_kwh"], rows["actual_kwh"]
    day, week = ((rows[name] - actual).abs() for name in ("last_day_kwh", "last_week_kwh"))
    values: tuple[pd.Series, ...] = (
        actual, error.abs(), error**2, error, rows["pinball_kwh"], rows["in_interval"].astype(float),
        day.fillna(0.0), day.notna().astype(int), week.fillna(0.0), week.notna().astype(int),
    )  # fmt: skip
    made = rows[[name for name in by if name != "day"]].assign(day=rows["target_hour"].dt.strftime("%Y-%m-%d"), hours=1)
    for name, column in zip(SUMMED, values, strict=True):
        made[name] = column
    return made.groupby(by, as_index=False, sort=False, dropna=False)[["hours", *SUMMED]].sum()


def _measures(parts: pd.DataFrame, by: list[str]) -> list[dict[str, Any]]:
    sums = parts.groupby(by, as_index=False, sort=True, dropna=False).sum()
    hours, mean = sums["hours"], sums["actual"] / sums["hours"]
    rmse = np.sqrt(sums["square"] / hours)
    divisor = mean.where(mean != 0)
    found = sums[by].assign(
        hours=hours, mean_kwh=mean, mae_kwh=sums["absolute"] / hours, rmse_kwh=rmse, cv_rmse=rmse / divisor.abs(),
        nmbe=sums["error"] / hours / divisor, pinball_kwh=sums["pinball"] / hours, interval_coverage=sums["inside"] / hours,
        last_week_mae_kwh=sums["week_error"] / sums["week_hours"].where(sums["week_hours"] > 0),
        last_day_mae_kwh=sums["day_error"] / sums["day_hours"].where(sums["day_hours"] > 0),
    )  # fmt: skip
    rows = pa.Table.from_pandas(found, preserve_index=False).to_pylist()  # what is missing there is null
    return [dict.fromkeys(GROUPS) | row for row in rows]
