"""The backtest: several methods forecast the last weeks of every building from rolling origins, and are scored.

A method is scored on an hour only if the hour was measured and every method has a value for it.
"""

import zlib
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wattcast_models.artifact.predictor import Predictor
from wattcast_models.data.augmentation import forecast_weather
from wattcast_models.data.readings import Building, buildings_from_readings
from wattcast_models.data.rolling import FORECAST, UNKNOWN, Rolling, scoring_origins
from wattcast_models.data.windows import Origins, cut_windows
from wattcast_models.evaluation.baselines import LAST_WEEK, Method, TooLittleToFit, baseline
from wattcast_models.evaluation.error_accumulator import ErrorAccumulator
from wattcast_models.evaluation.results import skipped_row
from wattcast_models.features.raw_inputs import CONTEXT_INPUTS, FUTURE_INPUTS, Inputs

ORIGINS_AT_ONCE = 256  # bounds the memory of a long test span


def model_method(predictor: Predictor, rolling: Rolling) -> Method:
    """A model as a method; ValueError when it does not forecast as far ahead as the backtest needs."""
    if predictor.lead_hours < rolling.lead_hours:
        raise ValueError(
            f"{model_name(predictor)} forecasts {predictor.lead_hours} hours ahead; the backtest needs {rolling.lead_hours}."
        )
    return Method(model_name(predictor), lambda building: predictor, predictor.context_hours)


def model_name(predictor: Predictor) -> str:
    return f"{predictor.name} {predictor.version}"


def with_reference(methods: Sequence[Method], rolling: Rolling) -> list[Method]:
    """The methods and, if it is not among them, the same hour last week; ValueError for two methods with one name."""
    names = [method.name for method in methods]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"Two methods have the name {', '.join(sorted(repeated))}.")
    return [*methods, *([] if LAST_WEEK in names else [baseline(LAST_WEEK, rolling)])]


def building_error_sums(building: Building, methods: Sequence[Method], rolling: Rolling) -> pd.DataFrame:
    """The error sums of a building in RESULT_COLUMNS; one row with the reason when it cannot be scored."""
    origins = scoring_origins(building, rolling)
    if reason := _unscorable_reason(building, origins):
        return skipped_row(building.building_id, reason)
    try:
        forecasts = [(method, method.fit(building)) for method in methods]
    except TooLittleToFit as error:
        return skipped_row(building.building_id, str(error))
    errors = ErrorAccumulator([method.name for method in methods], rolling.lead_hours)
    context_hours = max(method.context_hours for method in methods)
    for start in range(0, len(origins), ORIGINS_AT_ONCE):
        part = origins.pick(np.arange(start, min(start + ORIGINS_AT_ONCE, len(origins))))
        inputs, actual = inputs_at_origins(
            building,
            part,
            context_hours=context_hours,
            lead_hours=rolling.lead_hours,
            future_weather=rolling.future_weather,
            without=rolling.without,
        )
        values = [forecast(_last_hours(inputs, method.context_hours)) for method, forecast in forecasts]
        errors.add(inputs, actual.astype(float), values)
    reason = errors.unscorable_reason()
    return skipped_row(building.building_id, reason) if reason else errors.rows(building.building_id)


def readings_error_sums(
    readings: pd.DataFrame, *, places: Mapping[str, dict[str, str]], methods: Sequence[Method], rolling: Rolling
) -> pd.DataFrame:
    """`building_error_sums` of the readings of one building, in any order, with the columns of a file of readings."""
    (building,) = buildings_from_readings(readings.sort_values("timestamp", kind="stable"), places)
    return building_error_sums(building, methods, rolling)


def inputs_at_origins(
    building: Building,
    origins: Origins,
    *,
    context_hours: int,
    lead_hours: int,
    future_weather: str = UNKNOWN,
    without: Collection[str] = (),
) -> tuple[dict[str, NDArray[np.generic]], NDArray[np.float32]]:
    """The raw inputs that are known at these origins, and the energy that followed, (n, leads).

    `Rolling` describes `future_weather` and `without`.
    """
    inputs, actual = cut_windows([building], origins, context_hours=context_hours, lead_hours=lead_hours)
    if future_weather == UNKNOWN:
        inputs |= {name: np.full(actual.shape, np.nan, np.float32) for name in FUTURE_INPUTS}
    elif future_weather == FORECAST:
        seed = [zlib.crc32(building.building_id.encode()), int(origins.hour[0])] if len(origins) else 0
        inputs |= forecast_weather(inputs, np.random.default_rng(seed))
    hidden = [name for name in inputs if name.removeprefix("future_") in without]
    return inputs | {name: np.full(inputs[name].shape, np.nan, np.float32) for name in hidden}, actual


def _unscorable_reason(building: Building, origins: Origins) -> str:
    """Why the test span of the building has nothing to score; empty when it has."""
    if not len(origins):
        return f"has {building.hours} hours: too few for a week of context and an origin to score"
    energy = building.values[int(origins.hour.min()) :, 0]
    if not np.isfinite(energy).any():
        return "has no measured hour in the test span"
    return "" if energy[np.isfinite(energy)].any() else "used no energy in the test span"


def _last_hours(inputs: Inputs, hours: int) -> Inputs:
    """The inputs with a context of `hours`, so that a method's forecasts do not depend on the contexts of other methods."""
    return {name: value[:, -hours:] if name in CONTEXT_INPUTS else value for name, value in inputs.items()}
