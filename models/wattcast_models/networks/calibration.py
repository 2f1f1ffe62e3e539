"""Conformal calibration: by how much the distance of a quantile from the median must grow to hold what it promises.

Split conformal prediction with the forecast width as the scale of the score (Romano, Patterson, Candes 2019,
"Conformalized quantile regression"), a factor per quantile and lead hour, measured on weeks that trained nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wattcast_models.networks import MEDIAN

LEAST_HOURS = 200  # a lead with fewer scored hours keeps its widths
SMALLEST, LARGEST = 0.2, 5.0

Calibration = Mapping[str, Sequence[float]]  # by quantile, such as "0.1", a factor per lead hour


def factors(
    forecast: NDArray[np.float64], actual: NDArray[np.float64], quantiles: Sequence[float]
) -> dict[str, list[float]]:
    """A factor per lead for each quantile but the median, from forecasts (n, leads, quantiles) and what happened,
    (n, leads), NaN where unknown."""
    median = forecast[..., list(quantiles).index(MEDIAN)]
    made = {}
    for column, level in enumerate(quantiles):
        if level != MEDIAN:
            side = 1 if level > MEDIAN else -1
            width = np.maximum(side * (forecast[..., column] - median), 1e-9)
            score = side * (actual - median) / width  # (n, leads)
            made[str(level)] = [_factor(score[:, lead], max(level, 1 - level)) for lead in range(score.shape[1])]
    return made


def _factor(score: NDArray[np.float64], share: float) -> float:
    known = score[np.isfinite(score)]
    if len(known) < LEAST_HOURS:
        return 1.0
    return round(float(np.clip(np.quantile(known, share, method="higher"), SMALLEST, LARGEST)), 4)


def calibrated(scaled: Tensor, calibration: Calibration, quantiles: Sequence[float], *, day: int) -> Tensor:
    """The quantiles (n, 24, quantiles) of a target day with their widths times the factors of their leads, ascending."""
    median = scaled[..., list(quantiles).index(MEDIAN)]
    columns = []
    for column, level in enumerate(quantiles):
        factor = scaled.new_ones(24)
        known = list(calibration[str(level)])[24 * day : 24 * day + 24] if level != MEDIAN else []
        factor[: len(known)] = scaled.new_tensor(known)
        columns.append(median + (scaled[..., column] - median) * factor)
    return torch.stack(columns, dim=-1).sort(dim=-1).values


def is_calibration(value: Any, quantiles: Sequence[float], *, lead_hours: int) -> bool:
    """Whether this has a factor per lead hour for every quantile but the median."""
    expected = {str(level) for level in quantiles if level != MEDIAN}
    if not isinstance(value, dict) or set(value) != expected:
        return False
    return all(
        isinstance(each, list)
        and len(each) == lead_hours
        and all(isinstance(factor, float) and SMALLEST <= factor <= LARGEST for factor in each)
        for each in value.values()
    )
