"""Baselines that a model is compared with: repeated past hours, ridge regression and LightGBM.

They forecast from the raw inputs of a Predictor, of which they read only the energy of the last week and the calendar. Ridge and
LightGBM are fitted on the midnights before the test span.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wattcast_models.data.readings import Building
from wattcast_models.data.rolling import Rolling, fitting_origins
from wattcast_models.data.windows import cut_windows
from wattcast_models.features import calendar as local
from wattcast_models.features.raw_inputs import PLACE_INPUTS, Inputs
from wattcast_models.time_units import DAY_HOURS, WEEK_HOURS

Floats = NDArray[np.float64]
ColumnsOf = Callable[[Inputs], tuple[NDArray[np.float32], Floats]]
Forecast = Callable[[Inputs], Floats]  # raw inputs of n forecasts -> (n, leads) kWh, or (n, leads, 3) quantiles

LAST_WEEK = "last-week"
MIN_FITTING_DAYS = 14
MIN_MEAN_KWH = 1e-6
TREES = {"objective": "regression", "num_leaves": 31, "learning_rate": 0.05, "num_threads": 1, "verbose": -1}
GLOBAL_TREES, BUILDING_TREES = 500, 200


class TooLittleToFit(ValueError):
    """A building's hours before the test span are too few for a method that is fitted on them."""


@dataclass(frozen=True)
class Method:
    """A forecasting method. `fit` returns the forecast of one building, fitted only on hours before its test span."""

    name: str
    fit: Callable[[Building], Forecast]
    context_hours: int = WEEK_HOURS


def baseline(name: str, rolling: Rolling, *, training: Sequence[Building] = ()) -> Method:
    """The method of this name. lightgbm-global is fitted here, once, on the buildings in `training`.

    Raises ValueError for an unknown name, too little training data, or a library that is not installed.
    """
    if name in REPETITIONS:
        repetition = REPETITIONS[name]
        return Method(name, lambda building: repetition)
    if name == "ridge":
        return Method(name, lambda building: ridge([building], rolling))
    if name == "lightgbm":
        return Method(
            name, lambda building: lightgbm([building], rolling, columns_of=building_columns, trees=BUILDING_TREES)
        )
    if name == "lightgbm-global":
        try:
            forecast = lightgbm(training, rolling)
        except TooLittleToFit as error:
            raise ValueError(f"{name} {error}.") from error
        return Method(name, lambda building: forecast)
    raise ValueError(f"Unknown method {name}. Available methods: {', '.join(METHODS)}.")


def same_hour_last_week(inputs: Inputs) -> Floats:
    energy, leads = _energy(inputs), _leads(inputs)  # (n, WEEK_HOURS), (leads,)
    return energy[:, leads]


def same_hour_yesterday(inputs: Inputs) -> Floats:
    energy, leads = _energy(inputs), _leads(inputs)
    return energy[:, WEEK_HOURS - DAY_HOURS + leads % DAY_HOURS]


def mean_of_last_days(inputs: Inputs) -> Floats:
    """The mean of the last seven days at that hour: the persistence ensemble of NREL BuildingsBench."""
    return _mean(_same_hours(inputs), axis=-1)


REPETITIONS: dict[str, Forecast] = {
    LAST_WEEK: same_hour_last_week,
    "yesterday": same_hour_yesterday,
    "last-7-days": mean_of_last_days,
}
METHODS = (*REPETITIONS, "ridge", "lightgbm", "lightgbm-global")


def lag_columns(inputs: Inputs) -> tuple[NDArray[np.float32], Floats]:
    """The columns of ridge and lightgbm-global for each target hour, (n, leads, columns), and the mean load, (n, 1) kWh.

    The columns are the same hour of the last seven days over the mean load, the mean load, the spread over it, hour, weekday, day
    of year and weekend, and the day ahead if there are several; NaN where missing. The mean load is the mean of absolute values,
    so that a net meter has one; NaN without a measured hour.
    """
    energy, leads = _energy(inputs), _leads(inputs)
    mean = _mean(np.abs(energy), axis=1)[:, None]  # (n, 1)
    spread = np.sqrt(_mean((energy - _mean(energy, axis=1)[:, None]) ** 2, axis=1))[:, None]
    over = np.maximum(mean, MIN_MEAN_KWH)
    calendar = _calendar(inputs)
    shape = (*calendar.shape[:2], 1)
    columns: list[NDArray[Any]] = [
        _same_hours(inputs) / over[..., None],
        np.broadcast_to(mean[..., None], shape),
        np.broadcast_to((spread / over)[..., None], shape),
        calendar[..., [local.HOUR, local.WEEKDAY, local.DAY_OF_YEAR, local.WEEKEND]],
    ]
    if len(leads) > DAY_HOURS:
        columns.append(np.broadcast_to(leads[:, None] // DAY_HOURS, shape))
    return np.concatenate(columns, axis=-1).astype(np.float32), mean


def building_columns(inputs: Inputs) -> tuple[NDArray[np.float32], Floats]:
    """The columns of LightGBM fitted on one building, and the mean load as in `lag_columns`.

    `lag_columns`, the level of the last hour, three hours and day, and whether the day of the target hour, the day before and the
    day after are days off.
    """
    columns, mean = lag_columns(inputs)  # (n, leads, columns), (n, 1)
    scaled = _energy(inputs) / np.maximum(mean, MIN_MEAN_KWH)
    levels = np.stack([_mean(scaled[:, -hours:], axis=1) for hours in (1, 3, DAY_HOURS)], axis=-1)  # (n, 3)
    levels = levels[:, None, :]
    days_off = _calendar(inputs)[..., [local.HOLIDAY, local.DAY_OFF, local.OFF_BEFORE, local.OFF_AFTER]]
    levels = np.broadcast_to(levels, (*columns.shape[:2], 3))
    return np.concatenate([columns, levels, days_off], axis=-1).astype(np.float32), mean


def ridge(buildings: Sequence[Building], rolling: Rolling) -> Forecast:
    """A forecast by ridge regression on the same hours of the last seven days, weighted by weekday, and the hour of the week."""
    linear_model: Any = _library("sklearn.linear_model", "scikit-learn")
    columns, share = fitting_rows(buildings, rolling, lag_columns)
    flat = _linear(columns)
    has_lags = np.isfinite(flat).all(axis=1)  # not where an hour is missing on all seven days
    model = linear_model.Ridge(alpha=1.0).fit(flat[has_lags], share[has_lags])

    def forecast(inputs: Inputs) -> Floats:
        columns, mean = lag_columns(inputs)  # (n, leads, columns), (n, 1)
        flat = _linear(columns.reshape(-1, columns.shape[-1]))
        share = np.full(len(flat), np.nan)
        has_lags = np.isfinite(flat).all(axis=-1)
        share[has_lags] = model.predict(flat[has_lags]) if has_lags.any() else 0
        return np.asarray(share.reshape(columns.shape[:2]) * mean)

    return forecast


def lightgbm(
    buildings: Sequence[Building],
    rolling: Rolling,
    *,
    columns_of: ColumnsOf = lag_columns,
    trees: int = GLOBAL_TREES,
) -> Forecast:
    """A forecast by gradient-boosted trees, one forest for all of these buildings."""
    library: Any = _library("lightgbm", "lightgbm")
    columns, share = fitting_rows(buildings, rolling, columns_of)
    forest = library.train(TREES, library.Dataset(columns, share), trees)

    def forecast(inputs: Inputs) -> Floats:
        columns, mean = columns_of(inputs)  # (n, leads, columns), (n, 1)
        share = forest.predict(columns.reshape(-1, columns.shape[-1]), num_threads=1).reshape(columns.shape[:2])
        return np.asarray(share * mean)

    return forecast


def fitting_rows(
    buildings: Sequence[Building], rolling: Rolling, columns_of: ColumnsOf
) -> tuple[NDArray[np.float32], Floats]:
    """The columns of the measured hours of all fitting origins, (rows, columns), and the energy over the mean, (rows,)."""
    parts = []
    for building in buildings:
        inputs, actual = cut_windows(
            [building], fitting_origins(building, rolling), context_hours=WEEK_HOURS, lead_hours=rolling.lead_hours
        )
        columns, mean = columns_of(inputs)
        share = actual / np.where(mean > MIN_MEAN_KWH, mean, np.nan)  # (n, leads)
        is_measured = np.isfinite(share)
        parts.append((columns[is_measured], share[is_measured].astype(float)))
    rows = sum(len(share) for _, share in parts)
    if rows < MIN_FITTING_DAYS * DAY_HOURS:
        raise TooLittleToFit(
            f"has {rows} hours before the test span to fit on; at least {MIN_FITTING_DAYS * DAY_HOURS} are needed"
        )
    return np.concatenate([columns for columns, _ in parts]), np.concatenate([share for _, share in parts])


def _linear(columns: NDArray[np.float32]) -> Floats:
    """The columns of ridge from `lag_columns` (rows, columns): the seven lags by weekday, and the hour of the week, one-hot.

    A missing lag is the mean of the others; NaN where all are missing.
    """
    lags, (hour, weekday) = columns[:, :7].astype(float), columns[:, [9, 10]].astype(int).T
    lags = np.where(np.isfinite(lags), lags, _mean(lags, axis=1)[:, None])
    by_weekday = np.where(np.eye(7, dtype=bool)[weekday][:, :, None], lags[:, None, :], 0.0)  # (rows, 7, 7)
    return np.concatenate([by_weekday.reshape(-1, 49), np.eye(WEEK_HOURS)[weekday * DAY_HOURS + hour]], axis=1)


def _energy(inputs: Inputs) -> Floats:
    """The last week of energy, (n, WEEK_HOURS) kWh; NaN where missing or not finite."""
    energy = np.asarray(inputs["energy_usage_kwh"], float)[:, -WEEK_HOURS:]
    if energy.shape[1] < WEEK_HOURS:
        raise ValueError(f"The context has {energy.shape[1]} hours; at least {WEEK_HOURS} are needed.")
    return np.where(np.isfinite(energy), energy, np.nan)


def _leads(inputs: Inputs) -> NDArray[np.int64]:
    return np.arange(np.asarray(inputs["future_temperature_c"]).shape[1])


def _calendar(inputs: Inputs) -> NDArray[np.int16]:
    """The local calendar of the target hours, (n, leads, calendar columns)."""
    hours = np.asarray(inputs["origin"]).astype("datetime64[h]").astype(np.int64)[:, None] + _leads(inputs)
    return local.local_calendar(hours, *([str(value or "") for value in inputs[name]] for name in PLACE_INPUTS))


def _same_hours(inputs: Inputs) -> Floats:
    """The energy at the hour of the day of each target in the last seven days, newest first, (n, leads, 7)."""
    energy, leads = _energy(inputs), _leads(inputs)
    return energy[:, WEEK_HOURS - DAY_HOURS * np.arange(1, 8)[None, :] + leads[:, None] % DAY_HOURS]


def _mean(values: Floats, *, axis: int) -> Floats:
    """The mean of the finite values; NaN where there is none."""
    is_finite = np.isfinite(values)
    total, count = np.where(is_finite, values, 0.0).sum(axis=axis), is_finite.sum(axis=axis)
    return np.asarray(np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0))


def _library(module: str, package: str) -> object:
    try:
        return import_module(module)
    except ImportError as error:
        raise ValueError(f"This method needs {package}, which is not installed. Run: pip install {package}") from error
