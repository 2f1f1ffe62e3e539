"""Literal rows of hours and forecasts, and their scores computed by plain loops over the stored doubles."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from wattcast.contracts import contract
from wattcast.runtime.context import Run

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LEVELS = {"p10_kwh": 0.1, "p50_kwh": 0.5, "p90_kwh": 0.9}
PASSED_ON = ["building_id", "origin", "purpose", "issued_at", "method", "model_name", "model_version"]


def hour_row(
    building: str,
    hour: datetime,
    kwh: float,
    *,
    revision: int = 1,
    known_after: timedelta = HOUR,
    coverage: float | None = 1.0,
) -> dict[str, Any]:
    """A revision of an hour, available so long after its start."""
    available_at = hour + known_after
    return {
        "building_id": building, "hour": hour, "available_at": available_at, "revision": revision, "energy_usage_kwh": kwh,
        "readings_seen": 1, "coverage": coverage, "quality_flags": [], "as_of": available_at,
    }  # fmt: skip


def forecast_row(building: str, origin: datetime, p50: Sequence[float], **others: Any) -> dict[str, Any]:
    """A forecast from an origin, issued a minute after it, with a band of 1 kWh on each side."""
    p50 = [float(kwh) for kwh in p50]
    row = {
        "building_id": building, "origin": origin, "purpose": "live", "issued_at": origin + HOUR / 60,
        "target_hour": [origin + HOUR * lead for lead in range(len(p50))], "p10_kwh": [kwh - 1 for kwh in p50],
        "p50_kwh": p50, "p90_kwh": [kwh + 1 for kwh in p50], "method": "model", "model_name": "wattcast-mlp",
        "model_version": "1", "warnings": [], "created_at": origin + HOUR / 30,
    } | others  # fmt: skip
    return row | {"forecast_id": f"{building}-{origin:%m%dT%H}-{row['purpose']}"}


def append(run: Run, table: str, rows: Sequence[dict[str, Any]]) -> None:
    """Append in one commit, as a batch of a job does."""
    schema = contract(table).schema
    frame = run.spark.createDataFrame([tuple(map(row.get, schema.fieldNames())) for row in rows], schema)
    run.lake.append(table, lambda _: frame)


def scored(run: Run) -> pd.DataFrame:
    """The table in the order of its key."""
    scores: pd.DataFrame = run.lake.table("forecast_scores").toPandas()
    return scores.sort_values(["forecast_id", "lead_hours", "available_at"], ignore_index=True)


def expected_scores(hours: pd.DataFrame, forecasts: pd.DataFrame, zones: dict[str, str]) -> pd.DataFrame:
    """The rows that `forecast_scores` must have: one for each complete revision that differs from the complete one before it."""
    revisions = {key: rows.sort_values("available_at") for key, rows in hours.groupby(["building_id", "hour"])}
    rows = [row for forecast in forecasts.to_dict("records") for row in _of_forecast(forecast, revisions, zones)]
    return pd.DataFrame(rows).sort_values(["forecast_id", "lead_hours", "available_at"], ignore_index=True)


def _of_forecast(
    forecast: dict[str, Any], revisions: dict[Any, pd.DataFrame], zones: dict[str, str]
) -> Iterator[dict[str, Any]]:
    building, origin, leads = forecast["building_id"], forecast["origin"], len(forecast["target_hour"])

    def repeated(first: datetime, length: int, index: int) -> float:
        """The energy, available at issue, of the hour `index` of a baseline that repeats `length` hours from `first` on."""
        of_hour = revisions.get((building, first + HOUR * (index % length)))
        if of_hour is None:
            return np.nan
        available = of_hour[of_hour.available_at <= forecast["issued_at"]].to_dict("records")
        return available[-1]["energy_usage_kwh"] if available and is_complete(available[-1]) else np.nan

    for index in range(leads):
        target, before = forecast["target_hour"][index], None
        for row in revisions.get((building, target), pd.DataFrame()).to_dict("records"):
            actual = row["energy_usage_kwh"]
            if not is_complete(row) or actual == before:
                continue
            before = actual
            quantiles = {name: forecast[name][index] for name in LEVELS}
            losses = [
                max(q * (actual - p), (1 - q) * (p - actual))
                for p, q in zip(quantiles.values(), LEVELS.values(), strict=True)
            ]
            yield {
                **{name: forecast[name] for name in ["forecast_id", *PASSED_ON]}, **quantiles,
                "lead_hours": index + 1, "available_at": row["available_at"], "target_hour": target,
                "local_hour": pd.Timestamp(target, tz="UTC").tz_convert(zones.get(building, "UTC")).hour,
                "actual_kwh": actual, "error_kwh": quantiles["p50_kwh"] - actual, "pinball_kwh": sum(losses) / 3,
                "in_interval": quantiles["p10_kwh"] <= actual <= quantiles["p90_kwh"],
                "last_day_kwh": repeated(origin - DAY, 24, index), "last_week_kwh": repeated(origin - 7 * DAY, 168, index),
            }  # fmt: skip


def is_complete(row: dict[str, Any]) -> bool:
    return bool(pd.isna(row["coverage"]) or row["coverage"] >= 1)
