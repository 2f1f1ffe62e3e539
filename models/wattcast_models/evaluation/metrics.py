"""Measures of forecasts: sums over scored hours, which can be added up over the parts of a backtest, and their ratios."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from wattcast_models.networks.losses import pinball_losses
from wattcast_models.quantiles import QUANTILES

Floats = NDArray[np.float64]

KEYS = ["building_id", "method", "by", "group"]
SHARES = ["below_p10", "below_p50", "below_p90", "inside"]
SUMS = ["hours", "load", "error", "absolute_error", "squared_error", "pinball", *SHARES]
MEASURES = [
    "mae_kwh",
    "rmse_kwh",
    "nrmse_pct",
    "nmae_pct",
    "nmbe_pct",
    "pinball_pct",
    "coverage_pct",
    "below_p10_pct",
    "below_p50_pct",
    "below_p90_pct",
    "skill_pct",
]
RESAMPLES = 1000
CONFIDENCE = 0.95
MIN_NRMSE_PCT = 1e-6  # so that the ratio to a forecast without any error is defined


@dataclass(frozen=True)
class Interval:
    """A statistic over buildings with its bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ErrorRatio:
    """The errors of one method over those of another: the geometric mean over buildings, below 1 where the first is better."""

    mean: Interval
    better: int  # buildings for which the first method has the smaller error
    buildings: int


def error_sums(actual: Floats, forecast: Floats) -> Floats:
    """What each hour adds to SUMS, (hours, len(SUMS)); `actual` (hours,), `forecast` (hours,) or (hours, 3 quantiles).

    `pinball` is twice the mean loss of the quantiles, so that it equals the absolute error of a point forecast. A point forecast
    has no interval: its shares are NaN.
    """
    quantiles = forecast if forecast.ndim == 2 else np.repeat(forecast[:, None], len(QUANTILES), axis=1)  # (hours, 3)
    residual = actual[:, None] - quantiles  # (hours, 3), positive where the forecast is too low
    error = -residual[:, 1]
    losses = pinball_losses(torch.from_numpy(quantiles), torch.from_numpy(actual), QUANTILES).numpy()  # (hours, 3)
    pinball = 2 * losses.mean(axis=1)
    is_inside = (residual[:, 0] >= 0) & (residual[:, 2] <= 0)
    shares = np.column_stack([residual <= 0, is_inside]).astype(float)  # (hours, 4)
    if forecast.ndim == 1:
        shares[:] = np.nan
    sums = [np.ones(len(actual)), np.abs(actual), error, np.abs(error), error**2, pinball]
    return np.column_stack([*sums, shares])


def measures_from_sums(sums: pd.DataFrame, *, reference: str) -> pd.DataFrame:
    """KEYS, hours and MEASURES of rows with KEYS and SUMS.

    Every group is divided by the building's mean load over all its scored hours, so that a group with small errors shows small
    measures. NMBE is positive where forecasts are too high; skill is 1 - RMSE / RMSE of the method `reference`.
    """
    overall = sums[sums["by"] == "all"].drop_duplicates("building_id").set_index("building_id")
    mean_load = sums["building_id"].map(overall["load"] / overall["hours"]).to_numpy(float)
    per_hour = {name: sums[name].to_numpy(float) / sums["hours"].to_numpy(float) for name in SUMS}
    rmse = np.sqrt(per_hour["squared_error"])
    measures = {
        "mae_kwh": per_hour["absolute_error"],
        "rmse_kwh": rmse,
        "nrmse_pct": 100 * rmse / mean_load,
        "nmae_pct": 100 * per_hour["absolute_error"] / mean_load,
        "nmbe_pct": 100 * per_hour["error"] / mean_load,
        "pinball_pct": 100 * per_hour["pinball"] / mean_load,
        "coverage_pct": 100 * per_hour["inside"],
        **{f"{name}_pct": 100 * per_hour[name] for name in ("below_p10", "below_p50", "below_p90")},
        "skill_pct": 100 * (1 - _safe_ratio(rmse, _reference_rmse(sums, rmse, reference))),
    }
    return sums[[*KEYS, "hours"]].assign(**measures)


def _reference_rmse(sums: pd.DataFrame, rmse: Floats, reference: str) -> Floats:
    """The RMSE of the reference method for the same building and group, by row."""
    groups = ["building_id", "by", "group"]
    of_reference = sums[groups].assign(rmse=rmse)[sums["method"] == reference]
    return sums[groups].merge(of_reference, on=groups, how="left")["rmse"].to_numpy(float)


def _safe_ratio(part: Floats, whole: Floats) -> Floats:
    """The ratio; NaN where `whole` is 0."""
    return np.asarray(np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0))


def shares_pct(sums: pd.DataFrame, method: str, *, by: str = "all") -> pd.DataFrame:
    """By group, the share of hours at or below P10, P50 and P90 and inside P10 to P90, in %; every hour has the same weight."""
    rows = sums[(sums["method"] == method) & (sums["by"] == by)]
    total = rows.groupby("group")[["hours", *SHARES]].sum(min_count=1)
    return 100 * total[SHARES].div(total["hours"], axis=0)


def by_building(measures: pd.DataFrame, name: str, *, by: str = "all") -> pd.DataFrame:
    """The measure `name`, one row per building, one column per method and group."""
    rows = measures[measures["by"] == by]
    return rows.pivot_table(index="building_id", columns=["method", "group"], values=name, sort=True)


def median_interval(values: Floats, *, seed: int = 0) -> Interval:
    """The median over buildings, (buildings,), without NaN."""
    finite = values[np.isfinite(values)]
    return bootstrap_intervals(finite[:, None], lambda rows: np.median(rows, axis=0), seed=seed)[0]


def error_ratio(challenger: Floats, champion: Floats, *, seed: int = 0) -> ErrorRatio:
    """The ratio of the NRMSE in % of two methods, each (buildings,)."""
    mean = error_ratio_intervals(challenger[:, None], champion[:, None], seed=seed)[0]
    return ErrorRatio(mean, better=int((challenger < champion).sum()), buildings=len(challenger))


def error_ratio_intervals(challenger: Floats, champion: Floats, *, seed: int = 0) -> list[Interval]:
    """By group, the geometric mean over buildings of the ratio of NRMSE in %, each (buildings, groups)."""
    logs = np.log(np.maximum(challenger, MIN_NRMSE_PCT) / np.maximum(champion, MIN_NRMSE_PCT))
    means = bootstrap_intervals(logs, lambda rows: np.ma.masked_invalid(rows).mean(axis=0).filled(np.nan), seed=seed)
    return [Interval(float(np.exp(mean.value)), float(np.exp(mean.low)), float(np.exp(mean.high))) for mean in means]


def bootstrap_intervals(rows: Floats, statistic: Callable[[Floats], Any], *, seed: int = 0) -> list[Interval]:
    """A statistic of `rows` (buildings, groups) by group, with its 95 % percentile interval over resampled buildings.

    The same seed gives the same intervals. NaN where there is no building.
    """
    if not len(rows):
        return [Interval(np.nan, np.nan, np.nan)] * rows.shape[1]
    rng = np.random.default_rng(seed)
    resampled = [statistic(rows[rng.integers(0, len(rows), len(rows))]) for _ in range(RESAMPLES)]  # (groups,) each
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(np.stack(resampled), (tail, 1 - tail), axis=0)
    return [Interval(*map(float, bounds)) for bounds in zip(statistic(rows), low, high, strict=True)]
