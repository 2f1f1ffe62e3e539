"""Measures of forecasts: sums over scored hours, which add up over parts of a backtest, and what is made of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wattcast_models.networks import QUANTILES

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
LEAST_NRMSE_PCT = 1e-6  # of a forecast that is always right, so that it has a ratio


@dataclass(frozen=True)
class Interval:
    """A figure and the bootstrap interval around it, over buildings."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Ratio:
    """How one method's errors compare with another's over buildings: geometric mean of the ratios, below 1 where better."""

    mean: Interval
    better: int
    buildings: int


def error_sums(actual: Floats, forecast: Floats) -> Floats:
    """What each hour adds to SUMS, (hours, len(SUMS)); `actual` (hours,), `forecast` (hours,) or (hours, 3 quantiles).

    Pinball is the mean over quantiles of twice the loss: the absolute error for a point. A point covers nothing: NaN.
    """
    quantiles = forecast if forecast.ndim == 2 else np.repeat(forecast[:, None], len(QUANTILES), axis=1)  # (hours, 3)
    over, levels = actual[:, None] - quantiles, np.array(QUANTILES)
    error = -over[:, 1]
    pinball = 2 * np.maximum(levels * over, (levels - 1) * over).mean(axis=1)
    shares = np.column_stack([over <= 0, (over[:, 0] >= 0) & (over[:, 2] <= 0)]).astype(float)  # (hours, 4)
    if forecast.ndim == 1:
        shares[:] = np.nan
    sums = [np.ones(len(actual)), np.abs(actual), error, np.abs(error), error**2, pinball]
    return np.column_stack([*sums, shares])


def measures(sums: pd.DataFrame, *, reference: str) -> pd.DataFrame:
    """KEYS, hours and MEASURES of rows with KEYS and SUMS.

    Shares in % of the building's mean load over all its scored hours, in every group, so that a group of small errors
    shows as such. NMBE is positive where forecasts are too high; skill is 1 - RMSE / RMSE of the method `reference`.
    """
    whole = sums[sums["by"] == "all"].drop_duplicates("building_id").set_index("building_id")
    mean = sums["building_id"].map(whole["load"] / whole["hours"]).to_numpy(float)
    of_hours = {name: sums[name].to_numpy(float) / sums["hours"].to_numpy(float) for name in SUMS}
    rmse = np.sqrt(of_hours["squared_error"])
    made = {
        "mae_kwh": of_hours["absolute_error"],
        "rmse_kwh": rmse,
        "nrmse_pct": 100 * rmse / mean,
        "nmae_pct": 100 * of_hours["absolute_error"] / mean,
        "nmbe_pct": 100 * of_hours["error"] / mean,
        "pinball_pct": 100 * of_hours["pinball"] / mean,
        "coverage_pct": 100 * of_hours["inside"],
        **{f"{name}_pct": 100 * of_hours[name] for name in ("below_p10", "below_p50", "below_p90")},
        "skill_pct": 100 * (1 - _share(rmse, _reference(sums, rmse, reference))),
    }
    return sums[[*KEYS, "hours"]].assign(**made)


def _reference(sums: pd.DataFrame, rmse: Floats, reference: str) -> Floats:
    """The reference's RMSE of the same building and group, by row."""
    groups = ["building_id", "by", "group"]
    known = sums[groups].assign(rmse=rmse)[sums["method"] == reference]
    return sums[groups].merge(known, on=groups, how="left")["rmse"].to_numpy(float)


def _share(part: Floats, whole: Floats) -> Floats:
    return np.asarray(np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0))


def shares_pct(sums: pd.DataFrame, method: str, *, by: str = "all") -> pd.DataFrame:
    """By group, the share of hours at or below P10, P50 and P90 and inside P10 to P90, each hour of each building alike."""
    rows = sums[(sums["method"] == method) & (sums["by"] == by)]
    total = rows.groupby("group")[["hours", *SHARES]].sum(min_count=1)
    return 100 * total[SHARES].div(total["hours"], axis=0)


def by_building(measured: pd.DataFrame, figure: str, *, by: str = "all") -> pd.DataFrame:
    """A figure of `measures`, one row per building, one column per method and group."""
    rows = measured[measured["by"] == by]
    return rows.pivot_table(index="building_id", columns=["method", "group"], values=figure, sort=True)


def median(values: Floats, *, seed: int = 0) -> Interval:
    """The median over buildings, (buildings,), of what is known."""
    known = values[np.isfinite(values)]
    return bootstrap(known[:, None], lambda rows: np.median(rows, axis=0), seed=seed)[0]


def ratio(challenger: Floats, champion: Floats, *, seed: int = 0) -> Ratio:
    """The ratio of two methods' NRMSE in %, each (buildings,)."""
    better, buildings = int((challenger < champion).sum()), len(challenger)
    return Ratio(ratios(challenger[:, None], champion[:, None], seed=seed)[0], better, buildings)


def ratios(challenger: Floats, champion: Floats, *, seed: int = 0) -> list[Interval]:
    """Geometric means over buildings of the ratios of two methods' NRMSE in %, each (buildings, groups), by group."""
    logs = np.log(np.maximum(challenger, LEAST_NRMSE_PCT) / np.maximum(champion, LEAST_NRMSE_PCT))
    found = bootstrap(logs, lambda rows: np.ma.masked_invalid(rows).mean(axis=0).filled(np.nan), seed=seed)
    return [Interval(*(float(np.exp(each)) for each in (one.value, one.low, one.high))) for one in found]


def bootstrap(rows: Floats, statistic: Callable[[Floats], Any], *, seed: int = 0) -> list[Interval]:
    """A statistic of `rows` (buildings, groups) by group, with its percentile interval (95 %) over resampled buildings;
    the same for a seed. NaN where there is no building."""
    if not len(rows):
        return [Interval(np.nan, np.nan, np.nan)] * rows.shape[1]
    rng = np.random.default_rng(seed)
    resampled = [statistic(rows[rng.integers(0, len(rows), len(rows))]) for _ in range(RESAMPLES)]  # each (groups,)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(np.stack(resampled), (tail, 1 - tail), axis=0)
    return [Interval(*map(float, each)) for each in zip(statistic(rows), low, high, strict=True)]
