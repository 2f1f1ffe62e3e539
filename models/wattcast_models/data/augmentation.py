"""Augmentation: training windows are changed at random to resemble the inputs of live forecasts."""

import numpy as np
from numpy.typing import NDArray

from wattcast_models.features.raw_inputs import CONTEXT_INPUTS, Inputs
from wattcast_models.time_units import DAY_HOURS

FORECAST_ERROR = {"future_temperature_c": 1.5, "future_humidity_pct": 10.0}  # standard deviation a day ahead
FORECAST_STEP_HOURS = 6


def augment(
    inputs: Inputs, actual: NDArray[np.float32], rng: np.random.Generator
) -> tuple[dict[str, NDArray[np.generic]], NDArray[np.float32]]:
    """A copy of windows with noisy loads, errors in the weather forecasts, and missing parts in random rows.

    Noise turns few buildings into loads of every degree of steadiness, so that the outer quantiles are right for noisier
    buildings than any in the training data. Missing are the future weather (in more than half of the rows), each other series (in
    one of five), hours of energy (see `_hidden_hours`), and country and closures (in one of twenty). Inputs are scaled by row, so
    copies in other units or sizes are not needed.
    """
    changed = dict(inputs)
    energy = np.array(inputs["energy_usage_kwh"])  # (n, context hours)
    rows, hours = energy.shape

    load = np.concatenate([energy, actual], axis=1) * _load_noise((rows, hours + actual.shape[1]), rng)
    energy, actual = load[:, :hours], load[:, hours:]
    changed["energy_usage_kwh"] = np.where(_hidden_hours(rows, hours, rng), np.float32(np.nan), energy)
    for name in CONTEXT_INPUTS[1:]:
        changed[name] = np.where(_some_rows(rows, 0.2, rng), np.float32(np.nan), inputs[name])
    no_forecast = _some_rows(rows, 0.6, rng)
    for name, forecast in forecast_weather(inputs, rng).items():
        changed[name] = np.where(no_forecast | _some_rows(rows, 0.1, rng), np.float32(np.nan), forecast)
    no_place = _some_rows(rows, 0.05, rng)[:, 0]
    for name in ("country", "closures"):
        changed[name] = np.where(no_place, "", inputs[name])
    return changed, actual


def forecast_weather(inputs: Inputs, rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
    """The measured future weather of these inputs with errors of the size that weather forecasts have."""
    return {
        name: inputs[name] + _forecast_error(error, inputs[name].shape, rng) for name, error in FORECAST_ERROR.items()
    }


def _some_rows(rows: int, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """A random share of the rows, (n, 1)."""
    return rng.random((rows, 1)) < share


def _hidden_hours(rows: int, hours: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """The hours of energy to hide, (n, hours): a gap of up to three days and single hours in 10 % of the rows, the most recent
    hours (stale data) in 4 %, and all but the most recent days (a short history) in 10 %."""
    position = np.arange(hours)[None, :]
    gap_start = rng.integers(0, hours, (rows, 1))
    gap = (position >= gap_start) & (position < gap_start + rng.integers(1, 73, (rows, 1)))
    is_hidden = (gap | (rng.random((rows, hours), np.float32) < 0.02)) & _some_rows(rows, 0.1, rng)
    is_hidden |= (position >= hours - rng.integers(1, 25, (rows, 1))) & _some_rows(rows, 0.04, rng)
    is_hidden |= (position < hours - rng.integers(24, hours, (rows, 1))) & _some_rows(rows, 0.1, rng)
    return np.asarray(is_hidden)


def _load_noise(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """Factors of the load, (n, hours): 1 in most rows, in some with noise from hour to hour, in some from day to day."""
    rows, hours = shape
    hourly, daily = (
        ((rng.random((rows, 1)) < share) * largest * rng.random((rows, 1)) ** 2).astype(np.float32)
        for share, largest in ((0.4, 0.5), (0.3, 0.4))
    )
    day = (np.arange(hours) + rng.integers(0, DAY_HOURS, (rows, 1))) // DAY_HOURS  # days begin at a random hour
    of_day = np.take_along_axis(rng.standard_normal((rows, hours // DAY_HOURS + 2), np.float32), day, axis=1)
    return (1 + hourly * rng.standard_normal(shape, np.float32)) * (1 + daily * of_day)


def _forecast_error(error: float, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """Errors of weather forecasts, (n, leads), that grow with the lead time and are similar in neighbouring hours.

    Their standard deviation a day ahead is `error`.
    """
    rows, leads = shape
    steps = rng.standard_normal((rows, -(-leads // FORECAST_STEP_HOURS) + 1))
    constant = rng.standard_normal((rows, 1))
    step = np.arange(leads) / FORECAST_STEP_HOURS
    low = step.astype(int)
    interpolated = steps[:, low] * (1 - (step - low)) + steps[:, low + 1] * (step - low)
    size = error * (0.5 + 0.5 * np.sqrt(np.arange(leads) / DAY_HOURS))
    return np.asarray((0.8 * constant + 0.6 * interpolated) * size, np.float32)
