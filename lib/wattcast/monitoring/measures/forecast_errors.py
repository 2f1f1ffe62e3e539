"""Errors of the forecasts of the last days, against the weekly baseline and against earlier errors (pandas)."""

import numpy as np
import pandas as pd

from wattcast.measurements import FLEET, combined, measurement_rows
from wattcast.monitoring.measures.drift import MIN_VALUES, ks

WINDOW, BEFORE, RECENT = pd.Timedelta(days=7), pd.Timedelta(days=28), pd.Timedelta(days=2)
SUMS = ["hours", "error", "actual", "in_interval", "paired", "abs_error", "abs_naive", "error_2d", "actual_2d"]
KEYS = ["building_id", "model"]
COLUMNS = [*KEYS, *SUMS, "ks", "before"]


def error_sums(scores: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """COLUMNS by building and model, of the scores with a target hour in WINDOW. `ks` compares all errors of the building with
    those of BEFORE; null with fewer than MIN_VALUES on one side. `before` is the number of the latter.

    `scores`: building_id, model_name, model_version, target_hour, actual_kwh, error_kwh, in_interval, last_week_kwh, of the
    newest revision of each forecast hour of WINDOW and BEFORE. `paired` counts the hours that have a baseline; only those
    are in `abs_error` and `abs_naive`.
    """
    start = as_of - WINDOW
    recent = scores[(scores["target_hour"] >= start) & (scores["target_hour"] < as_of)]
    earlier = scores[(scores["target_hour"] < start) & (scores["target_hour"] >= start - BEFORE)]
    naive = (recent["last_week_kwh"].astype(float) - recent["actual_kwh"]).abs()
    is_last_2d = recent["target_hour"] >= as_of - RECENT
    by_hour = pd.DataFrame({
        "building_id": recent["building_id"], "model": recent["model_name"] + " " + recent["model_version"], "hours": 1.0,
        "error": recent["error_kwh"], "actual": recent["actual_kwh"], "in_interval": recent["in_interval"].astype(float),
        "paired": naive.notna().astype(float), "abs_error": recent["error_kwh"].abs().where(naive.notna()), "abs_naive": naive,
        "error_2d": recent["error_kwh"].where(is_last_2d), "actual_2d": recent["actual_kwh"].where(is_last_2d),
    })  # fmt: skip
    sums = by_hour.groupby(KEYS, as_index=False)[SUMS].sum()
    errors, earlier_errors = _errors_by_building(recent), _errors_by_building(earlier)
    sums["ks"] = sums["building_id"].map(_error_drift(errors, earlier_errors)).astype(float)
    counts = {building: len(values) for building, values in earlier_errors.items()}
    sums["before"] = sums["building_id"].map(counts).fillna(0).astype(float)
    return sums[COLUMNS]


def accuracy_measurements(sums: pd.DataFrame) -> pd.DataFrame:
    """`interval_coverage` and `mae_ratio_to_last_week` by building, by model and of the fleet; `residual_bias`,
    `residual_bias_2d` (its size over the last two days) and `residual_drift_ks` by building and by model. `sums` are the
    `error_sums` of all buildings. The drift of a model is the median over its buildings."""
    parts = []
    for scope, key in (("building", "building_id"), ("model", "model"), (FLEET, None)):
        by = sums[key] if key else pd.Series(FLEET, index=sums.index)
        total = sums.groupby(by)[SUMS].sum()
        mae_ratio = total["abs_error"] / total["abs_naive"].where(total["abs_naive"] > 0)
        parts += [
            measurement_rows("interval_coverage", scope, total["in_interval"] / total["hours"], total["hours"]),
            measurement_rows("mae_ratio_to_last_week", scope, mae_ratio, total["paired"]),
        ]
        if key:
            bias = total["error"] / total["actual"].where(total["actual"] != 0)
            bias_2d = (total["error_2d"] / total["actual_2d"].where(total["actual_2d"] != 0)).abs()
            parts += [
                measurement_rows("residual_bias", scope, bias, total["hours"]),
                measurement_rows("residual_bias_2d", scope, bias_2d, total["hours"]),
                measurement_rows("residual_drift_ks", scope, sums.groupby(by)["ks"].median(), total["hours"]),
            ]
    return combined(parts)


def _errors_by_building(scores: pd.DataFrame) -> dict[str, np.ndarray]:
    return {str(name): rows["error_kwh"].to_numpy(np.float64) for name, rows in scores.groupby("building_id")}


def _error_drift(errors: dict[str, np.ndarray], earlier: dict[str, np.ndarray]) -> dict[str, float]:
    """The KS statistic of each building with MIN_VALUES errors in both periods."""
    return {
        name: ks(values, earlier[name])
        for name, values in errors.items()
        if name in earlier and min(len(values), len(earlier[name])) >= MIN_VALUES
    }
