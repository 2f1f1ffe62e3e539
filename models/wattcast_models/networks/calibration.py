"""Conformal calibration: factors for the distance of each quantile from the median, so that quantiles are as frequent as stated.

Split conformal prediction with the forecast width as the scale of the score (Romano, Patterson, Candes 2019,
"Conformalized quantile regression"): a factor per quantile and lead hour, measured on weeks that the network was not trained on.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wattcast_models.quantiles import MEDIAN
from wattcast_models.time_units import DAY_HOURS

MIN_HOURS = 200  # a lead hour with fewer scored hours has the factor 1
MIN_FACTOR, MAX_FACTOR = 0.2, 5.0

Calibration = Mapping[str, Sequence[float]]  # by quantile, such as "0.1", a factor per lead hour


def calibration_factors(
    forecast: NDArray[np.float64], actual: NDArray[np.float64], quantiles: Sequence[float]
) -> dict[str, list[float]]:
    """A factor per lead hour for each quantile but the median.

    `forecast` is (n, leads, quantiles) and `actual` (n, leads), NaN where unknown.
    """
    median = forecast[..., list(quantiles).index(MEDIAN)]  # (n, leads)
    factors = {}
    for column, level in enumerate(quantiles):
        if level != MEDIAN:
            side = 1 if level > MEDIAN else -1
            width = np.maximum(side * (forecast[..., column] - median), 1e-9)  # (n, leads)
            score = side * (actual - median) / width  # (n, leads)
            factors[str(level)] = [_factor(score[:, lead], max(level, 1 - level)) for lead in range(score.shape[1])]
    return factors


def _factor(score: NDArray[np.float64], share: float) -> float:
    """The factor that puts `share` of the scores, (n,), inside the quantile."""
    finite = score[np.isfinite(score)]
    if len(finite) < MIN_HOURS:
        return 1.0
    return round(float(np.clip(np.quantile(finite, share, method="higher"), MIN_FACTOR, MAX_FACTOR)), 4)


def calibrated(scaled: Tensor, calibration: Calibration, quantiles: Sequence[float], *, day: int) -> Tensor:
    """The quantiles (n, 24, quantiles) of a target day with their distances from the median times the factors of their lead
    hours, ascending. Hours after the last lead hour of the calibration keep their distances."""
    median = scaled[..., list(quantiles).index(MEDIAN)]  # (n, 24)
    columns = []
    for column, level in enumerate(quantiles):
        factor = scaled.new_ones(DAY_HOURS)
        if level != MEDIAN:
            of_day = list(calibration[str(level)])[DAY_HOURS * day : DAY_HOURS * (day + 1)]
            factor[: len(of_day)] = scaled.new_tensor(of_day)
        columns.append(median + (scaled[..., column] - median) * factor)
    return torch.stack(columns, dim=-1).sort(dim=-1).values


def is_calibration(value: Any, quantiles: Sequence[float], *, lead_hours: int) -> bool:
    """Whether `value` has a factor per lead hour for every quantile but the median."""
    expected = {str(level) for level in quantiles if level != MEDIAN}
    if not isinstance(value, dict) or set(value) != expected:
        return False
    return all(
        isinstance(factors, list)
        and len(factors) == lead_hours
        and all(isinstance(factor, float) and MIN_FACTOR <= factor <= MAX_FACTOR for factor in factors)
        for factors in value.values()
    )
