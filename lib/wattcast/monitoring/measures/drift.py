"""Drift: whether the inputs of the last days are distributed as those of the training data, and sensors as their neighbours."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from wattcast.measurements import combined, measurement_row, measurement_rows

Floats = NDArray[np.float64]

FEATURES = ("energy_usage_kwh", "temperature_c", "humidity_pct", "occupancy")
WINDOW = pd.Timedelta(days=7)
LEVEL = pd.Timedelta(days=28)  # before the window; energy and occupancy are divided by their mean of this time
BINS = 10
SAMPLE_SIZE = 400  # values that represent the training data
MIN_SHARE = 1e-4  # instead of the share of an empty bin, whose logarithm is infinite
MIN_VALUES = 24
MIN_SENSORS = 4  # of a site: with three, the median of the two others lies half way to a wrong one


class UnreadableReference(ValueError):
    """A training reference that cannot be read."""


@dataclass(frozen=True)
class TrainingReference:
    """Quantiles of each feature by month of the year ("1" to "12", and "all"), as an artifact keeps them under `reference`."""

    quantiles: Mapping[str, Mapping[str, Floats]]
    relative: frozenset[str]  # features that are multiples of the building's mean

    @classmethod
    def parse(cls, reference: Mapping[str, Any]) -> Self:
        """The reference of an artifact.

        Raises:
            UnreadableReference: it does not have the expected form.
        """
        try:
            quantiles = {
                str(name): {str(month): np.asarray(values, np.float64) for month, values in months.items()}
                for name, months in reference["features"].items()
            }
            if incomplete := [name for name, months in quantiles.items() if "all" not in months]:
                raise KeyError(f"all of {incomplete[0]}")
            return cls(quantiles, frozenset(reference["relative"]))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise UnreadableReference(f"The model's training reference cannot be read: {error!r}.") from error

    def sample(self, name: str, months: pd.Series) -> Floats:
        """(about SAMPLE_SIZE,): values of a feature that represent the training data, with the same shares of months (1 to 12)
        as `months`. A month that is not in the training data is represented by all months."""
        by_month = self.quantiles[name]
        shares = months.astype(int).astype(str).value_counts(normalize=True)
        parts = []
        for month, share in shares.sort_index().items():
            quantiles = by_month.get(str(month), by_month["all"])
            count = max(1, round(SAMPLE_SIZE * float(share)))
            levels = np.linspace(0, 1, len(quantiles))
            parts.append(np.interp((np.arange(count) + 0.5) / count, levels, quantiles))
        return np.concatenate(parts)


def psi(values: Floats, reference: Floats) -> float:
    """Population Stability Index over the reference's deciles: the sum over bins of (a - e) ln(a / e), with a and e the shares of
    `values` and `reference` in the bin (Siddiqi, Credit Risk Scorecards, 2006; below 0.1 is usually called stable, above 0.25 a
    shift). A frequent value of the reference is an edge of its own bin; an empty bin has the share MIN_SHARE."""
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, BINS + 1)[1:-1]))
    actual, expected = (_bin_shares(sample, edges) for sample in (values, reference))
    return float(((actual - expected) * np.log(actual / expected)).sum())


def ks(values: Floats, reference: Floats) -> float:
    """The two-sample Kolmogorov-Smirnov statistic: the greatest distance of the two empirical distribution functions."""
    return float(ks_2samp(values, reference, method="asymp").statistic)


def input_drift(hours: pd.DataFrame, reference: TrainingReference, as_of: pd.Timestamp) -> pd.DataFrame:
    """`input_drift_psi` and `input_drift_ks` of each feature of the reference: the hours of the last WINDOW against training.

    `hours`: building_id, hour (naive UTC) and FEATURES of the newest revisions, of WINDOW and, for relative features, of LEVEL
    before. A building without a mean over LEVEL is left out of relative features.
    """
    start = as_of - WINDOW
    recent = hours[(hours["hour"] >= start) & (hours["hour"] < as_of)]
    before = hours[(hours["hour"] < start) & (hours["hour"] >= start - LEVEL)]
    parts = []
    for name in FEATURES:
        if name not in reference.quantiles:
            continue
        values = recent[name].astype(float)
        if name in reference.relative:
            level = before.groupby("building_id")[name].mean()
            values = values / recent["building_id"].map(level.where(level > 0))
        values = values[np.isfinite(values)]
        if len(values) < MIN_VALUES:
            continue
        expected = reference.sample(name, recent.loc[values.index, "hour"].dt.month)
        actual: Floats = np.asarray(values, np.float64)
        details = f"median {np.median(actual):.3g} against {np.median(expected):.3g} in training"
        parts += [
            measurement_row("input_drift_psi", "feature", name, psi(actual, expected), len(actual), details),
            measurement_row("input_drift_ks", "feature", name, ks(actual, expected), len(actual), details),
        ]
    return combined(parts)


def temperature_off_site(hours: pd.DataFrame, sites: Mapping[str, str], as_of: pd.Timestamp) -> pd.DataFrame:
    """`temperature_off_site_c` of each building: how far its outdoor temperature is from the median of the other buildings of its
    site, as the median over the hours of the last day. Only for sites with MIN_SENSORS buildings. Weather and season cancel out.

    `hours`: building_id, hour, temperature_c; `sites` by building_id, "" where unknown.
    """
    recent = hours[(hours["hour"] >= as_of - pd.Timedelta(days=1)) & hours["temperature_c"].notna()]
    recent = recent.assign(site=recent["building_id"].map(dict(sites)).fillna(""))
    differences: dict[str, pd.Series] = {}
    for _, rows in recent[recent["site"] != ""].groupby("site"):
        by_hour = rows.pivot_table(index="hour", columns="building_id", values="temperature_c")
        if len(by_hour.columns) >= MIN_SENSORS:
            for building in by_hour.columns:
                others = by_hour.drop(columns=building).median(axis=1)
                differences[str(building)] = (by_hour[building] - others).dropna()
    distances = {building: abs(values.median()) for building, values in differences.items() if len(values)}
    samples = {building: len(values) for building, values in differences.items()}
    return measurement_rows(
        "temperature_off_site_c", "building", pd.Series(distances, dtype=float), pd.Series(samples, dtype=float)
    )


def _bin_shares(values: Floats, edges: Floats) -> Floats:
    counts = np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)
    return np.maximum(counts / len(values), MIN_SHARE)
