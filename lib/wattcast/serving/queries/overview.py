"""The summary of all buildings at the top of the dashboard."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from wattcast.serving.queries.buildings import firing_alerts
from wattcast.serving.tables.latest_rows import LatestRows
from wattcast.serving.tables.view import LakeView

MAX_WORST_BUILDINGS = 10
MEASURE_OF_FIGURE = {
    "completeness_24h": "completeness",
    "rejected_share_24h": "rejected_share",
    "mae_ratio_to_last_week_7d": "mae_ratio_to_last_week",
    "interval_coverage_7d": "interval_coverage",
}
MEASUREMENT_TIMES = ("as_of", "measured_at")


def overview(lake: LakeView, mae_kwh: float | None) -> dict[str, Any]:
    """Counts, ages and figures of all buildings; a figure that was never measured is None.

    Raises:
        Unavailable: the forecasts have not been read.
    """
    health, devices = lake.latest_or_none("health"), lake.latest_or_none("devices")
    figures = _figures(health)
    fresh, stale = _fresh_and_stale(lake)
    severities = Counter(row["severity"] for row in firing_alerts(lake))
    return {
        "now": lake.now(),
        "server_time": datetime.now(UTC),
        "stale_after_minutes": lake.settings.serving.stale_after_minutes,
        "as_of": lake.state.as_of,
        "age_seconds": lake.age_seconds(lake.state.as_of),
        "buildings": len(lake.state.building_ids),
        "devices": devices.rows.num_rows if devices else None,
        "forecasts_fresh": fresh,
        "forecasts_stale": stale,
        "mae_kwh_7d": mae_kwh,
        **{name: row and row["value"] for name, row in figures.items()},
        "measured": {name: row and {time: row[time] for time in MEASUREMENT_TIMES} for name, row in figures.items()},
        "alerts": {name: severities[name] for name in ("critical", "warning")},
        "worst_buildings": _worst_buildings(health),
    }


def _figures(health: LatestRows | None) -> dict[str, dict[str, Any] | None]:
    return {
        figure: health.get((measure, "fleet", "fleet")) if health else None
        for figure, measure in MEASURE_OF_FIGURE.items()
    }


def _fresh_and_stale(lake: LakeView) -> tuple[int, int]:
    """The numbers of fresh and of stale current forecasts."""
    rows = lake.latest("forecasts").rows
    since = lake.now() - timedelta(minutes=lake.settings.serving.stale_after_minutes)
    is_fresh = pc.greater_equal(rows["issued_at"], pa.scalar(since, pa.timestamp("us", "UTC")))
    fresh = pc.sum(is_fresh).as_py() or 0
    return fresh, rows.num_rows - fresh


def _worst_buildings(health: LatestRows | None) -> list[dict[str, Any]]:
    """The buildings with the largest error relative to repeating last week."""
    if health is None:
        return []
    is_ratio = (ds.field("measure") == "mae_ratio_to_last_week") & (ds.field("scope") == "building")
    rows = health.rows.select(["measure", "scope", "subject", "value"]).filter(is_ratio)
    return [
        {"building_id": row["subject"], "mae_ratio_to_last_week": row["value"]}
        for row in rows.sort_by([("value", "descending")]).slice(0, MAX_WORST_BUILDINGS).to_pylist()
        if row["value"] is not None
    ]
