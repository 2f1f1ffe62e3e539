"""Explains a forecast of recorded readings, or one that was issued and is in the lake."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from wattcast.cli.models.files import recorded_buildings
from wattcast.forecast.as_issued import ForecastAsIssued, load_forecast_as_issued
from wattcast.forecast.context import model_inputs
from wattcast.forecast.fallbacks import MIN_MODEL_HOURS, WEEK_HOURS
from wattcast.settings import Settings
from wattcast_models.artifact.predictor import Predictor
from wattcast_models.data.closing import ClosingRules
from wattcast_models.data.readings import Building
from wattcast_models.data.windows import Origins
from wattcast_models.evaluation.backtest import inputs_at_origins, model_name
from wattcast_models.evaluation.explain import explain
from wattcast_models.evaluation.explanation import Explanation
from wattcast_models.features.raw_inputs import CONTEXT_INPUTS, Inputs
from wattcast_models.quantiles import MEDIAN, QUANTILES
from wattcast_models.registry.champions import ChampionSource
from wattcast_models.registry.model_refs import SHIPPED, load_version, resolve_model
from wattcast_models.registry.registry import Registry

TOLERANCE = 1e-4  # relative: forecasts made in one batch with others are rounded differently


@dataclass(frozen=True)
class ExplainRequest:
    """The options of `wattcast explain`."""

    building_id: str
    data: Path | None  # None: a forecast in the lake
    buildings_file: Path | None
    origin: datetime | None  # naive UTC; None: the newest
    model: str  # a reference as `resolve_model` takes it, or empty
    lead_hours: int


@dataclass(frozen=True)
class ExplainedForecast:
    """An explanation with its building and model. `remark` says how it differs from the issued forecast, if it does."""

    building_id: str
    explanation: Explanation
    model: str
    remark: str = ""


def explain_forecast(request: ExplainRequest, settings: Settings) -> ExplainedForecast:
    """Raises ValueError or OSError where there is nothing to explain or a file cannot be read."""
    registry = Registry(settings.tracking_uri, settings.model.registered_name)
    if request.data:
        closing = ClosingRules(**settings.closing_rules)
        return _explain_readings(request, request.data, closing, registry)
    return _explain_issued(request, settings, registry)


def _explain_readings(
    request: ExplainRequest, data: Path, closing: ClosingRules, registry: Registry
) -> ExplainedForecast:
    """The forecast from the origin, or from the end of the newest hour; the weather ahead is unknown."""
    predictor = resolve_model(request.model or SHIPPED, registry).predictor
    buildings = recorded_buildings(data, request.buildings_file, closing=closing)
    matches = [building for building in buildings if building.building_id == request.building_id]
    if not matches:
        raise ValueError(f"{data.name} has no building {request.building_id}.")
    inputs = _inputs_at(matches[0], request.origin, predictor.context_hours, request.lead_hours)
    return ExplainedForecast(request.building_id, explain(predictor, inputs), model_name(predictor))


def _inputs_at(building: Building, origin: datetime | None, context_hours: int, lead_hours: int) -> Inputs:
    """The raw inputs of the one forecast; ValueError where the readings around the origin are too few for a model."""
    start, end = (np.datetime64(hour, "h") for hour in (building.start, building.start + building.hours))
    at = np.datetime64(origin, "h") if origin else end
    if not start < at <= end:
        raise ValueError(
            f"{building.building_id} can be forecast from {start + 1}:00 to {end}:00 UTC, not from {at}:00."
        )
    origins = Origins(np.array([0]), np.array([int((at - start).astype(int))]))
    inputs, _ = inputs_at_origins(building, origins, context_hours=context_hours, lead_hours=lead_hours)
    last_week = np.asarray(inputs[CONTEXT_INPUTS[0]], float)[0, -WEEK_HOURS:]
    measured = int(np.isfinite(last_week).sum())
    if measured < MIN_MODEL_HOURS:
        raise ValueError(
            f"{building.building_id} has {measured} measured hours in the week before {at}:00 UTC; a model needs "
            f"{MIN_MODEL_HOURS}."
        )
    return inputs


def _explain_issued(request: ExplainRequest, settings: Settings, registry: Registry) -> ExplainedForecast:
    """The newest live forecast in the lake, or the one from the origin, repeated from what was known when it was issued."""
    issued = load_forecast_as_issued(request.building_id, settings, origin=request.origin)
    if issued.method != "model":
        raise ValueError(
            f"The forecast of {request.building_id} was made by {issued.method}, not by a model: there is nothing to explain."
        )
    named = resolve_model(request.model, registry).predictor if request.model else None
    predictor = named or _issuing_model(issued, settings, registry)
    explanation = explain(predictor, model_inputs([issued.context]))
    remark = _difference(issued, predictor, explanation)
    return ExplainedForecast(request.building_id, explanation, model_name(predictor), remark)


def _issuing_model(issued: ForecastAsIssued, settings: Settings, registry: Registry) -> Predictor:
    """The model that made a forecast if the registry has it, else the model that forecasts the building now."""
    for version in registry.versions():
        if (version.model_name, version.model_version) == (issued.model_name, issued.model_version):
            return load_version(version, registry).predictor
    source = ChampionSource(registry, models=settings.state / "models", artifact=settings.model.artifact)
    predictor = source.current()(issued.context.building.building_id, issued.site)
    if predictor is None:
        raise ValueError(
            f"The model {issued.model_name} {issued.model_version} is not available, nor is any other: name one with --model."
        )
    return predictor


def _difference(issued: ForecastAsIssued, predictor: Predictor, explanation: Explanation) -> str:
    """How the explained forecast differs from the issued one; empty where they are the same."""
    issued_kwh = issued.quantiles_kwh[:, QUANTILES.index(MEDIAN)]
    if (issued.model_name, issued.model_version) != (predictor.name, predictor.version):
        return (
            f"The forecast was made by {issued.model_name} {issued.model_version}; explained is the forecast of "
            f"{model_name(predictor)} from the same history."
        )
    if np.allclose(explanation.p50_kwh, issued_kwh, rtol=TOLERANCE, atol=TOLERANCE * float(np.abs(issued_kwh).max())):
        return ""
    difference = float(np.abs(explanation.p50_kwh - issued_kwh).max())
    return (
        f"The P50 explained here differs from the issued one by up to {difference:.3g} kWh: the metadata of the building, the "
        "settings or the model of this version have changed since then."
    )
