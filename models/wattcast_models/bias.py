"""Online bias correction: what a model got wrong at the same hours on the last days is in part taken off the next forecast.

It needs no retraining and keeps no state: the last days are forecast again from what was known before each.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from wattcast_models.features import CONTEXT_INPUTS, DAY_HOURS, Inputs

Floats = NDArray[np.float64]

KEPT = 0.8  # of a day's weight on the day before
SHARE = 0.35  # of the mean error that is taken off once many days are known
DOUBT = 1.5  # days of no error that are counted beside the known ones
MOST_DAYS = 14


def bias(errors: Floats) -> Floats:
    """kWh to add to each lead hour, (n, leads), from actual - median on the last days, (n, days, leads), newest first, NaN
    where unknown."""
    weight = KEPT ** np.arange(errors.shape[1])[None, :, None] * np.isfinite(errors)
    return np.asarray(SHARE * (weight * np.nan_to_num(errors)).sum(axis=1) / (weight.sum(axis=1) + DOUBT))


def earlier(inputs: Inputs, days: int) -> Iterator[tuple[Inputs, Floats]]:
    """What was known 1 to `days` days before the origin, and the energy that followed as far as it is known now,
    (n, leads) kWh, NaN beyond."""
    leads = inputs["future_temperature_c"].shape[1]
    hours = inputs["energy_usage_kwh"].shape[1]
    for back in range(DAY_HOURS, min(days * DAY_HOURS, hours - 1) + 1, DAY_HOURS):
        then = dict(inputs)
        then["origin"] = inputs["origin"] - np.timedelta64(back, "h")
        for name in CONTEXT_INPUTS:
            then[name] = inputs[name][:, :-back]
        for future, past in (("future_temperature_c", "temperature_c"), ("future_humidity_pct", "humidity_pct")):
            has_forecast = np.isfinite(inputs[future]).any(axis=1, keepdims=True)
            then[future] = np.where(has_forecast, _followed(inputs[past], back, leads), np.nan)
        yield then, _followed(inputs["energy_usage_kwh"], back, leads)


def _followed(series: NDArray[np.floating], back: int, leads: int) -> Floats:
    """The hours from `back` hours before the end on, (n, leads), NaN after the end."""
    known = np.asarray(series[:, -back:], float)[:, :leads]
    return np.pad(known, ((0, 0), (0, leads - known.shape[1])), constant_values=np.nan)
