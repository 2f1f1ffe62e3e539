"""Versions of models: those seen in forecasts, with what the registry says of them where it answers."""

from typing import Any

from wattcast.serving.fleet import held


def models(server: Any) -> list[dict[str, Any]]:
    """A row per version, the newest names last."""
    counts = server.by_model()
    known = server.forecaster.registered() if server.forecaster else None
    registered = {(each.model_name, each.model_version): each for each in known or []}
    health = held(server.snapshot, "health")
    found = []
    for key in sorted({*counts, *registered}):
        version, subject = registered.get(key), " ".join(key)
        aliases = list(version.aliases) if version else []
        rows = {name: health.item((name, "model", subject)) for name in MEASURES} if health else {}
        metrics = {name: row["value"] for name, row in rows.items() if row and row["value"] is not None}
        found.append(
            {
                "model_name": key[0],
                "model_version": key[1],
                "aliases": aliases,
                "is_champion": None if known is None else any(alias.startswith("champion") for alias in aliases),
                "scope": version.scope if version else None,
                "trained_at": version.trained_at if version else None,
                "forecasts": counts.get(key, 0),
                "metrics": (version.figures if version else {}) | metrics,
            }
        )
    return found


MEASURES = ("mae_ratio_to_last_week", "interval_coverage", "residual_bias", "residual_drift_ks")
