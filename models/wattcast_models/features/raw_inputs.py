"""The raw inputs of a forecast: named arrays, one row per forecast, in physical units and with gaps."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wattcast_models.features import calendar as local

Inputs = Mapping[str, NDArray[Any]]  # origin (n,), metadata (n,), CONTEXT_INPUTS, FUTURE_INPUTS
CalendarAt = Callable[[Inputs, NDArray[np.int64]], Tensor]

CONTEXT_INPUTS = ("energy_usage_kwh", "temperature_c", "humidity_pct", "occupancy")  # (n, context hours)
FUTURE_INPUTS = ("future_temperature_c", "future_humidity_pct")  # (n, lead hours)
PLACE_INPUTS = ("timezone", "country", "closures")  # (n,)


def calendar_at(inputs: Inputs, offsets: NDArray[np.int64]) -> Tensor:
    """The local calendar of the hours at origin + offsets, (n, offsets, local.COLUMNS), int16."""
    origin = np.asarray(inputs["origin"]).astype("datetime64[h]").astype(np.int64)[:, None]  # (n, 1)
    places = ([str(value or "") for value in inputs[name]] for name in PLACE_INPUTS)
    return torch.from_numpy(local.local_calendar(origin + offsets, *places))
