"""The history of a building: its actual energy and the forecasts of the same hours."""

from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from wattcast.forecast.quantiles import QUANTILE_COLUMNS
from wattcast.serving.queries.selection import is_between
from wattcast.serving.tables.columns import LIVE
from wattcast.serving.tables.view import LakeView

MAX_LEAD_HOURS = 168
ACTUAL_VALUES = ("energy_usage_kwh", "coverage", "temperature_c", "humidity_pct", "occupancy")
USAGE_COLUMNS = ("hour", "available_at", "quality_flags", *ACTUAL_VALUES)
FORECAST_VALUES = ("method", "model_version", "warnings")
FORECAST_COLUMNS = ("origin", "created_at", "target_hour", *QUANTILE_COLUMNS, *FORECAST_VALUES)


def history(
    lake: LakeView, building_id: str, start: datetime, end: datetime, lead_hours: int | None
) -> list[dict[str, Any]]:
    """The hours of a building from `start` to before `end`: the newest revision of the usage, and the live forecast with this
    lead, or the newest one."""
    hours = {row["hour"]: _actual_hour(row) for row in _usage(lake, building_id, start, end).to_pylist()}
    for row in _forecasts(lake, building_id, start, end, lead_hours or MAX_LEAD_HOURS).to_pylist():
        for lead, hour in enumerate(row["target_hour"], start=1):
            if start <= hour < end and lead == (lead_hours or lead):
                hours[hour] = hours.get(hour, _actual_hour({"hour": hour})) | _forecast_hour(row, lead)
    return [hours[hour] for hour in sorted(hours)]


def _usage(lake: LakeView, building_id: str, start: datetime, end: datetime) -> pa.Table:
    """All revisions, so that the newest one of an hour comes last."""
    condition = (ds.field("building_id") == building_id) & is_between("hour", start, end)
    return lake.table("hourly_usage").rows(USAGE_COLUMNS, condition).sort_by("available_at")


def _forecasts(lake: LakeView, building_id: str, start: datetime, end: datetime, max_lead: int) -> pa.Table:
    """The live forecasts that can reach into the range, so that the newest one comes last."""
    condition = (
        (ds.field("building_id") == building_id)
        & (ds.field("purpose") == LIVE)
        & is_between("origin", start - timedelta(hours=max_lead), end)
    )
    rows = lake.table("forecasts").rows(FORECAST_COLUMNS, condition)
    return rows.sort_by([("origin", "ascending"), ("created_at", "ascending")])


def _actual_hour(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "hour": row["hour"],
        **{name: row.get(name) for name in ACTUAL_VALUES},
        "flags": row.get("quality_flags", []),
        **dict.fromkeys((*QUANTILE_COLUMNS, "lead_hours", *FORECAST_VALUES)),
        "warnings": [],
    }


def _forecast_hour(row: dict[str, Any], lead: int) -> dict[str, Any]:
    levels = {name: row[name][lead - 1] for name in QUANTILE_COLUMNS}
    return levels | {"lead_hours": lead, **{name: row[name] for name in FORECAST_VALUES}}
