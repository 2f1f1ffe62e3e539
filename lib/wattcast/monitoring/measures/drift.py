"""Drift: whether inputs of today are distributed as those that a model learned from, and errors as those before."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from wattcast.measures import one_row, rows_of, together

Floats = NDArray[np.float64]

FEATURES = ("energy_usage_kwh", "temperature_c", "humidity_pct", "occupancy")
WINDOW = pd.Timedelta(days=7)
LEVEL = pd.Timedelta(days=28)  # before the window: what energy and occupancy are multiples of
BINS = 10
SAMPLE = 400  # values that stand for the reference
SMALLEST_SHARE = 1e-4  # in place of an empty bin, whose logarithm is infinite
FEWEST_VALUES = 24
FEWEST_SENSORS = 4  # of a site: of three, the median of two others lies half way to the one that is wrong


class UnreadableReference(ValueError):
    """A training reference that cannot be read."""


@dataclass(frozen=True)
class Reference:
    """Quantiles of each feature by month of the year ("1" to "12", and "all"), as an artifact keeps them under `reference`."""

    quantiles: Mapping[str, Mapping[str, Floats]]
    relative: frozenset[str]  # features that are multiples of the building's own level

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        """UnreadableReference: it is not as an artifact keeps it."""
        try:
            quantiles = {
                str(name): {str(month): np.asarray(cell, np.float64) for month, cell in months.items()}
                for name, months in found["features"].items()
            }
            if lacking := [name for name, months in quantiles.items() if "all" not in months]:
                raise KeyError(f"all of {lacking[0]}")
            return cls(quantiles, frozenset(found["relative"]))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise UnreadableReference(f"The model's training reference cannot be read: {error!r}.") from error

    def sample(self, name: str, months: pd.Series) -> Floats:
        """(about SAMPLE,): values of a feature that stand for the training data, each month (1 to 12) in the share that it has in
        `months`; a month that training has not seen is stood for by all of it."""
        cells = self.quantiles[name]
        shares = months.astype(int).astype(str).value_counts(normalize=True)
        parts = []
        for month, share in shares.sort_index().items():
            cell = cells.get(str(month), cells["all"])
            count = max(1, round(SAMPLE * float(share)))
            parts.append(np.interp((np.arange(count) + 0.5) / count, np.linspace(0, 1, len(cell)), cell))
        return np.concatenate(parts)


def psi(values: Floats, reference: Floats) -> float:
    """Population Stability Index over the reference's deciles: the sum over bins of (a - e) ln(a / e), with a and e the shares of
    `values` and `reference` in the bin (Siddiqi, Credit Risk Scorecards, 2006; below 0.1 is usually called stable, above 0.25 a
    shift). A value that the reference has often makes an edge of its own; a share of nothing counts as SMALLEST_SHARE."""
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, BINS + 1)[1:-1]))
    actual, expected = (_shares(each, edges) for each in (values, reference))
    return float(((actual - expected) * np.log(actual / expected)).sum())


def ks(values: Floats, reference: Floats) -> float:
    """The two-sample Kolmogorov-Smirnov statistic: the greatest distance of the two empirical distribution functions."""
    return float(ks_2samp(values, reference, method="asymp").statistic)


def input_drift(hours: pd.DataFrame, reference: Reference, as_of: pd.Timestamp) -> pd.DataFrame:
    """`input_drift_psi` and `input_drift_ks` of each feature of the reference: the hours of the last WINDOW against training.

    `hours`: building_id, hour (naive UTC) and FEATURES of the newest revisions, of WINDOW and, for features that are relative,
    of LEVEL before. A building without a level there is left out of those.
    """
    start = as_of - WINDOW
    recent = hours[(hours["hour"] >= start) & (hours["hour"] < as_of)]
    before = hours[(hours["hour"] < start) & (hours["hour"] >= start - LEVEL)]
    parts = []
    for name in (each for each in FEATURES if each in reference.quantiles):
        values = recent[name].astype(float)
        if name in reference.relative:
            level = before.groupby("building_id")[name].mean()
            values = values / recent["building_id"].map(level.where(level > 0))
        values = values[np.isfinite(values)]
        if len(values) < FEWEST_VALUES:
            continue
        expected = reference.sample(name, recent.loc[values.index, "hour"].dt.month)
        now: Floats = np.asarray(values, np.float64)
        said = f"median {np.median(now):.3g} against {np.median(expected):.3g} in training"
        parts.append(one_row("input_drift_psi", "feature", name, psi(now, expected), len(now), said))
        parts.append(one_row("input_drift_ks", "feature", name, ks(now, expected), len(now), said))
    return together(parts)


def off_site(hours: pd.DataFrame, sites: Mapping[str, str], as_of: pd.Timestamp) -> pd.DataFrame:
    """`temperature_off_site_c` of each building: the median over the hours of the last day of how far its outdoor temperature
    is from the median of the other buildings of its site, where there are FEWEST_SENSORS or more. Weather and season cancel out.

    `hours`: building_id, hour, temperature_c; `sites` by building_id, "" where unknown.
    """
    recent = hours[(hours["hour"] >= as_of - pd.Timedelta(days=1)) & hours["temperature_c"].notna()]
    recent = recent.assign(site=recent["building_id"].map(dict(sites)).fillna(""))
    apart = []
    for _, of_site in recent[recent["site"] != ""].groupby("site"):
        table = of_site.pivot_table(index="hour", columns="building_id", values="temperature_c")
        if len(table.columns) >= FEWEST_SENSORS:
            for name in table.columns:
                others = table.drop(columns=name).median(axis=1)
                apart.append((name, (table[name] - others).dropna()))
    found = pd.Series({name: float(abs(away.median())) for name, away in apart if len(away)}, dtype=float)
    return rows_of(
        "temperature_off_site_c", "building", found, pd.Series({name: len(away) for name, away in apart}, dtype=float)
    )


def _shares(values: Floats, edges: Floats) -> Floats:
    counts = np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)
    return np.maximum(counts / len(values), SMALLEST_SHARE)
