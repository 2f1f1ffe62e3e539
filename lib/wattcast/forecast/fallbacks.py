"""The fallbacks: every context gets a forecast, from the best method that its history allows, with the reasons as warnings.

model → weekly_profile → last_known_profile → type_prior. numpy only; hours are int64 hours since 1970 UTC.
"""

import logging

import numpy as np

from wattcast.forecast.context import Array, Context, Forecast, Predictor, model_inputs
from wattcast.forecast.profiles import local_hours, profile_quantiles, type_prior

log = logging.getLogger(__name__)

WEEK_HOURS = 168
MIN_MODEL_HOURS = 72  # with a value, of the last week
MIN_WEEKLY_PROFILE_HOURS = WEEK_HOURS
MIN_FLAT_HOURS = 24
MIN_COVERAGE = 0.95  # of the hours since the first value; below it the forecast warns of gaps


def forecasts_with_fallbacks(contexts: list[Context], predictor: Predictor | None) -> list[Forecast]:
    """One forecast per context, in order. A value of the model that is not finite costs only its own forecast; if the model
    raises an error, all forecasts of this call use fallbacks."""
    warnings = [_context_warnings(context) for context in contexts]
    is_fit = [_is_fit_for_model(context, names) for context, names in zip(contexts, warnings, strict=True)]
    predictions, failure = _predictions([c for c, fit in zip(contexts, is_fit, strict=True) if fit], predictor)
    forecasts, rows = [], iter(predictions)
    for context, names, fit in zip(contexts, warnings, is_fit, strict=True):
        quantiles = next(rows, None) if fit else None
        if quantiles is not None and np.isfinite(quantiles).all():
            forecasts.append(Forecast(np.sort(quantiles, axis=1), "model", tuple(names)))
        else:
            reasons = [failure or "model_not_finite"] if fit else _reasons_against_model(context, predictor)
            forecasts.append(_fallback(context, (*names, *reasons)))
    return forecasts


def _reasons_against_model(context: Context, predictor: Predictor | None) -> list[str]:
    """The further warnings that say why the model is not used for this context; none where `flat_meter` says it."""
    if predictor is None:
        return ["model_unavailable"]
    return [] if _has_hours_for_model(context) else ["short_history"]


def _predictions(contexts: list[Context], predictor: Predictor | None) -> tuple[list[Array], str | None]:
    """The model's quantiles by context, or none and the warning."""
    if not contexts:
        return [], None
    if predictor is None:
        return [], "model_unavailable"
    try:
        return list(predictor(model_inputs(contexts))), None
    except (ValueError, OSError, RuntimeError) as error:
        log.error("Model %s %s failed; fallbacks are used: %s", predictor.name, predictor.version, error)
        return [], "model_failed"


def _context_warnings(context: Context) -> list[str]:
    energy = context.past[:, 0]
    is_present = np.isfinite(energy)
    since_first = is_present[np.argmax(is_present) :] if is_present.any() else is_present[:0]
    conditions = {
        "no_metadata": not context.building.has_metadata,
        "cold_start": is_present.sum() < WEEK_HOURS,
        "gaps": len(since_first) > 0 and since_first.mean() < MIN_COVERAGE,
        "stale_context": not is_present[-1],
        "flat_meter": _flat_hours(energy) >= MIN_FLAT_HOURS,
        "late": context.is_late,
    }
    return [name for name, holds in conditions.items() if holds]


def _flat_hours(energy: Array) -> int:
    """How many of the newest hours with a value have the same value; 0 with fewer than MIN_FLAT_HOURS values."""
    present = energy[np.isfinite(energy)]
    if len(present) < MIN_FLAT_HOURS:
        return 0
    changes = np.flatnonzero(present != present[-1])
    return len(present) - 1 - int(changes[-1]) if len(changes) else len(present)


def _is_fit_for_model(context: Context, warnings: list[str]) -> bool:
    return _has_hours_for_model(context) and "flat_meter" not in warnings


def _has_hours_for_model(context: Context) -> bool:
    return bool(np.isfinite(context.past[-WEEK_HOURS:, 0]).sum() >= MIN_MODEL_HOURS)


def _fallback(context: Context, warnings: tuple[str, ...]) -> Forecast:
    """The best forecast that needs no model."""
    energy = _without_flat_end(context.past[:, 0].astype(float))
    hours = context.origin + np.arange(-len(energy), len(context.future))
    hour_of_week, hour_of_day = local_hours(hours, context.building.timezone)
    present = int(np.isfinite(energy).sum())
    if present >= MIN_WEEKLY_PROFILE_HOURS:
        return Forecast(profile_quantiles(energy, hour_of_week, hour_of_day), "weekly_profile", warnings)
    if present:
        every_hour = np.zeros_like(hour_of_day)
        return Forecast(profile_quantiles(energy, hour_of_day, every_hour), "last_known_profile", warnings)
    prior = type_prior(context.building.building_type)
    return Forecast(prior[hour_of_week[len(energy) :]], "type_prior", warnings)


def _without_flat_end(energy: Array) -> Array:
    """Without the newest values of a stuck meter, which measure nothing; unchanged where it has never shown another value."""
    flat = _flat_hours(energy)
    present = np.flatnonzero(np.isfinite(energy))
    if not MIN_FLAT_HOURS <= flat < len(present):
        return energy
    energy = energy.copy()
    energy[present[-flat:]] = np.nan
    return energy
