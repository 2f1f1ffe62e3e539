"""Online bias correction: a part of a model's error at the same hours of the last days is added to the next forecast.

It needs no retraining and keeps no state: the last days are forecast again, each from what was known before it (hindcasts).
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from wattcast_models.features.raw_inputs import CONTEXT_INPUTS, Inputs
from wattcast_models.time_units import DAY_HOURS

Floats = NDArray[np.float64]

DAILY_DECAY = 0.8  # the weight of a day relative to the day after it
SHARE = 0.35  # of the mean error that is corrected when many days are known
PRIOR_DAYS = 1.5  # days without an error that are counted beside the known ones
MAX_DAYS = 14


def bias_correction(errors: Floats) -> Floats:
    """kWh to add to each lead hour, (n, leads), from actual - median of the last days, (n, days, leads), newest day first, NaN
    where unknown."""
    weight = DAILY_DECAY ** np.arange(errors.shape[1])[None, :, None] * np.isfinite(errors)
    return np.asarray(SHARE * (weight * np.nan_to_num(errors)).sum(axis=1) / (weight.sum(axis=1) + PRIOR_DAYS))


def hindcast_inputs(inputs: Inputs, days: int) -> Iterator[tuple[Inputs, Floats]]:
    """The inputs as known 1 to `days` days before the origin, each with the energy that followed, (n, leads) kWh.

    The energy is NaN from the origin on: it is not known yet. The measured weather takes the place of the weather forecast, in
    rows that have one.
    """
    leads = inputs["future_temperature_c"].shape[1]
    hours = inputs["energy_usage_kwh"].shape[1]
    for back in range(DAY_HOURS, min(days * DAY_HOURS, hours - 1) + 1, DAY_HOURS):
        earlier_inputs = dict(inputs)
        earlier_inputs["origin"] = inputs["origin"] - np.timedelta64(back, "h")
        for name in CONTEXT_INPUTS:
            earlier_inputs[name] = inputs[name][:, :-back]
        for future, past in (("future_temperature_c", "temperature_c"), ("future_humidity_pct", "humidity_pct")):
            has_forecast = np.isfinite(inputs[future]).any(axis=1, keepdims=True)
            earlier_inputs[future] = np.where(has_forecast, _following_hours(inputs[past], back, leads), np.nan)
        yield earlier_inputs, _following_hours(inputs["energy_usage_kwh"], back, leads)


def _following_hours(series: NDArray[np.floating], back: int, leads: int) -> Floats:
    """The hours from `back` hours before the end on, (n, leads), NaN after the end."""
    measured = np.asarray(series[:, -back:], float)[:, :leads]
    return np.pad(measured, ((0, 0), (0, leads - measured.shape[1])), constant_values=np.nan)
