"""The loss that quantile forecasts are trained on and judged by."""

from collections.abc import Sequence

import torch
from torch import Tensor


def pinball_losses(forecast: Tensor, actual: Tensor, levels: Sequence[float]) -> Tensor:
    """The pinball (quantile) loss of each quantile, (..., levels), for forecasts (..., levels) of `actual` (...).

    An error costs the level where the forecast is too low, and 1 - level where it is too high.
    """
    error = actual[..., None] - forecast
    level = forecast.new_tensor(levels)
    return torch.maximum(level * error, (level - 1) * error)
