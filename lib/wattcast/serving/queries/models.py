"""Model versions: those that issued forecasts, with the details of the model registry where it answers."""

from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from wattcast.serving.on_demand.forecaster import RegisteredModel
from wattcast.serving.tables.columns import LIVE, MONTH
from wattcast.serving.tables.latest_rows import LatestRows
from wattcast.serving.tables.view import LakeView

MEASURES = ("mae_ratio_to_last_week", "interval_coverage", "residual_bias", "residual_drift_ks")
ForecastCounts = dict[tuple[str, str], int]


def forecast_counts(lake: LakeView) -> ForecastCounts:
    """The number of live forecasts of the last 30 days by model name and version."""
    table = lake.table("forecasts")
    latest = table.latest_time("origin")
    if latest is None:
        return {}
    counts: Counter[tuple[str, str]] = Counter()
    columns = ["model_name", "model_version"]
    is_recent = (ds.field("purpose") == LIVE) & (ds.field("origin") > pa.scalar(latest - MONTH))
    for batch in table.batches(columns, is_recent):
        for row in batch.group_by(columns).aggregate([([], "count_all")]).to_pylist():
            counts[row["model_name"], row["model_version"]] += row["count_all"]
    return dict(counts)


def models(lake: LakeView, counts: ForecastCounts, registered: list[RegisteredModel] | None) -> list[dict[str, Any]]:
    """A row per model version, sorted by name and version; `registered` is None where the registry does not answer."""
    by_version = {(model.model_name, model.model_version): model for model in registered or []}
    health = lake.latest_or_none("health")
    rows = []
    for name, version in sorted({*counts, *by_version}):
        model = by_version.get((name, version))
        aliases = list(model.aliases) if model else []
        is_champion = any(alias.startswith("champion") for alias in aliases)
        rows.append(
            {
                "model_name": name,
                "model_version": version,
                "aliases": aliases,
                "is_champion": None if registered is None else is_champion,
                "scope": model.scope if model else None,
                "trained_at": model.trained_at if model else None,
                "forecasts": counts.get((name, version), 0),
                "metrics": (model.metrics if model else {}) | _latest_metrics(health, f"{name} {version}"),
            }
        )
    return rows


def _latest_metrics(health: LatestRows | None, subject: str) -> dict[str, float]:
    """The latest measurements of a model version by the monitor."""
    rows = {measure: health.get((measure, "model", subject)) for measure in MEASURES} if health else {}
    return {measure: row["value"] for measure, row in rows.items() if row and row["value"] is not None}
