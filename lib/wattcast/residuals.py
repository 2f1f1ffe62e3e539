"""How well forecasts of the last days did, against the weekly baseline and against the errors before (pandas)."""

import numpy as np
import pandas as pd

from wattcast.drift import FEWEST_VALUES, ks
from wattcast.measures import FLEET, rows_of, together

WINDOW, BEFORE, NOW = pd.Timedelta(days=7), pd.Timedelta(days=28), pd.Timedelta(days=2)
SUMS = ["hours", "error", "actual", "in_interval", "paired", "abs_error", "abs_naive", "error_2d", "actual_2d"]
KEYS = ["building_id", "model"]
COLUMNS = [*KEYS, *SUMS, "ks", "before"]


def sums(scores: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """COLUMNS by building and model of the scores of WINDOW, by target hour; `ks` is of all errors of the building against those
    of BEFORE, null with fewer than FEWEST_VALUES on a side, and `before` how many these are.

    `scores`: building_id, model_name, model_version, target_hour, actual_kwh, error_kwh, in_interval, last_week_kwh, of the
    newest revision of each forecast hour of WINDOW and BEFORE. The baseline is compared on the hours that it has.
    """
    start = as_of - WINDOW
    is_recent = (scores["target_hour"] >= start) & (scores["target_hour"] < as_of)
    recent = scores[is_recent]
    earlier = scores[(scores["target_hour"] < start) & (scores["target_hour"] >= start - BEFORE)]
    naive = (recent["last_week_kwh"].astype(float) - recent["actual_kwh"]).abs()
    is_now = recent["target_hour"] >= as_of - NOW
    each = pd.DataFrame({
        "building_id": recent["building_id"], "model": recent["model_name"] + " " + recent["model_version"], "hours": 1.0,
        "error": recent["error_kwh"], "actual": recent["actual_kwh"], "in_interval": recent["in_interval"].astype(float),
        "paired": naive.notna().astype(float), "abs_error": recent["error_kwh"].abs().where(naive.notna()), "abs_naive": naive,
        "error_2d": recent["error_kwh"].where(is_now), "actual_2d": recent["actual_kwh"].where(is_now),
    })  # fmt: skip
    by = each.groupby(KEYS, as_index=False)[SUMS].sum()
    errors = {name: rows["error_kwh"].to_numpy(np.float64) for name, rows in recent.groupby("building_id")}
    old = {name: rows["error_kwh"].to_numpy(np.float64) for name, rows in earlier.groupby("building_id")}
    none = np.empty(0)
    enough = [name for name in errors if min(len(errors[name]), len(old.get(name, none))) >= FEWEST_VALUES]
    moved = {name: ks(errors[name], old[name]) for name in enough}
    by["ks"] = by["building_id"].map(moved).astype(float)
    by["before"] = by["building_id"].map({name: len(values) for name, values in old.items()}).fillna(0).astype(float)
    return by[COLUMNS]


def accuracy(found: pd.DataFrame) -> pd.DataFrame:
    """`interval_coverage`, `mae_ratio_to_last_week`, `residual_bias`, `residual_bias_2d` (its size in the last two days) and
    `residual_drift_ks` by building, by model and, the first two, of the fleet, from the `sums` of all buildings. The drift of a
    model is the median of its buildings'."""
    parts = []
    for scope, key in (("building", "building_id"), ("model", "model"), (FLEET, None)):
        by = found[key] if key else pd.Series(FLEET, index=found.index)
        total = found.groupby(by)[SUMS].sum()
        paired = total["abs_error"] / total["abs_naive"].where(total["abs_naive"] > 0)
        parts += [
            rows_of("interval_coverage", scope, total["in_interval"] / total["hours"], total["hours"]),
            rows_of("mae_ratio_to_last_week", scope, paired, total["paired"]),
        ]
        if key:
            bias = total["error"] / total["actual"].where(total["actual"] != 0)
            parts.append(rows_of("residual_bias", scope, bias, total["hours"]))
            lately = (total["error_2d"] / total["actual_2d"].where(total["actual_2d"] != 0)).abs()
            parts.append(rows_of("residual_bias_2d", scope, lately, total["hours"]))
            moved = found.groupby(by)["ks"].median()
            parts.append(rows_of("residual_drift_ks", scope, moved, total["hours"]))
    return together(parts)
