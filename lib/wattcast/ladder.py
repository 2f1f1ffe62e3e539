"""The ladder: a forecast always comes, from the best method that the known history allows, and says which and why.

model → weekly_profile → last_known_profile → type_prior. numpy only; hours are int64 hours since 1970 UTC.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import yaml
from numpy.typing import NDArray

from wattcast.settings import project_folder

Array = NDArray[Any]
log = logging.getLogger(__name__)

LEVELS = (0.1, 0.5, 0.9)
NORMAL_P90 = 1.2816  # 0.9 quantile of the standard normal distribution
NORMAL_MAD = 1.4826  # standard deviation over median absolute deviation of a normal distribution
DAY, WEEK = 24, 168
MODEL_NEEDS_HOURS = 72  # of the last week
PROFILE_NEEDS_HOURS = WEEK
FLAT_HOURS = 24


class Predictor(Protocol):
    """A model over arrays; see `ModelInputs` for what it is given. Raises ValueError, OSError or RuntimeError when it cannot."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    def __call__(self, inputs: Mapping[str, Array]) -> Array: ...


@dataclass(frozen=True)
class Building:
    """Metadata as far as it is known; an unknown time zone is UTC, an unknown country has no holidays."""

    building_id: str
    timezone: str = "UTC"
    country: str = ""
    building_type: str = ""
    closures: str = ""
    is_known: bool = False


@dataclass(frozen=True)
class Context:
    """What one forecast is made from: `past` (hours, 4) energy, temperature, humidity, occupancy before `origin`; `future`
    (lead_hours, 2) forecast temperature and humidity from it on. NaN is missing."""

    building: Building
    origin: int
    past: Array
    future: Array
    is_late: bool = False


@dataclass(frozen=True)
class Forecast:
    """`quantiles_kwh` (lead_hours, 3) for P10, P50, P90."""

    quantiles_kwh: Array
    method: str
    warnings: tuple[str, ...]


def forecast(contexts: list[Context], predictor: Predictor | None) -> list[Forecast]:
    """One forecast per context. What goes wrong with the model, or with one building, stays there."""
    warnings = [_warnings(context) for context in contexts]
    is_fit = [_fits_model(context, warned) for context, warned in zip(contexts, warnings, strict=True)]
    predicted, failure = _predicted([c for c, fit in zip(contexts, is_fit, strict=True) if fit], predictor)
    results, rows = [], iter(predicted)
    for context, warned, fit in zip(contexts, warnings, is_fit, strict=True):
        quantiles = next(rows, None) if fit else None
        if quantiles is not None and np.isfinite(quantiles).all():
            results.append(Forecast(np.sort(quantiles, axis=1), "model", tuple(warned)))
        else:
            reason = (
                (failure or "model_not_finite")
                if fit
                else "model_unavailable"
                if predictor is None
                else "short_history"
            )
            results.append(_stepped_down(context, [*warned, reason]))
    return results


def _predicted(contexts: list[Context], predictor: Predictor | None) -> tuple[list[Array], str | None]:
    if not contexts:
        return [], None
    if predictor is None:
        return [], "model_unavailable"
    try:
        return list(predictor(model_inputs(contexts))), None
    except (ValueError, OSError, RuntimeError) as error:
        log.error("Model %s %s failed, stepping down: %s", predictor.name, predictor.version, error)
        return [], "model_failed"


def model_inputs(contexts: list[Context]) -> dict[str, Array]:
    """The arrays that a model is given, n forecasts by context or lead hours."""
    past, future = (
        np.stack([c.past for c in contexts]),
        np.stack([c.future for c in contexts]),
    )  # (n, hours, 4), (n, leads, 2)
    buildings = [c.building for c in contexts]
    return {
        "origin": np.array([c.origin for c in contexts]).astype("datetime64[h]").astype("datetime64[s]"),
        "timezone": np.array([_zone_name(b.timezone) for b in buildings], dtype=object),
        "country": np.array([b.country for b in buildings], dtype=object),
        "closures": np.array([b.closures for b in buildings], dtype=object),
        "building_type": np.array([b.building_type for b in buildings], dtype=object),
        "energy_usage_kwh": past[:, :, 0],
        "temperature_c": past[:, :, 1],
        "humidity_pct": past[:, :, 2],
        "occupancy": past[:, :, 3],
        "future_temperature_c": future[:, :, 0],
        "future_humidity_pct": future[:, :, 1],
    }


def _warnings(context: Context) -> list[str]:
    energy = context.past[:, 0]
    present = np.isfinite(energy)
    heard = present[np.argmax(present) :] if present.any() else present[:0]
    found = {
        "no_metadata": not context.building.is_known,
        "cold_start": present.sum() < WEEK,
        "gaps": len(heard) > 0 and heard.mean() < 0.95,
        "stale_context": not present[-1],
        "flat_meter": _flat_hours(energy) >= FLAT_HOURS,
        "late": context.is_late,
    }
    return [name for name, holds in found.items() if holds]


def _flat_hours(energy: Array) -> int:
    """How many of the newest present hours have one and the same value; 0 where too little is known."""
    present = energy[np.isfinite(energy)]
    if len(present) < FLAT_HOURS:
        return 0
    changes = np.flatnonzero(present != present[-1])
    return len(present) - 1 - int(changes[-1]) if len(changes) else len(present)


def _fits_model(context: Context, warnings: list[str]) -> bool:
    return bool(np.isfinite(context.past[-WEEK:, 0]).sum() >= MODEL_NEEDS_HOURS) and "flat_meter" not in warnings


def _stepped_down(context: Context, warnings: list[str]) -> Forecast:
    energy = context.past[:, 0].astype(float)
    flat = _flat_hours(energy)
    present = np.flatnonzero(np.isfinite(energy))
    if FLAT_HOURS <= flat < len(present):
        energy = energy.copy()
        energy[present[-flat:]] = np.nan  # a dead sensor's tail says nothing
        present = present[:-flat]
    hours = context.origin + np.arange(-len(energy), len(context.future))
    weekly, daily = _local_hours(hours, context.building.timezone)
    if len(present) >= PROFILE_NEEDS_HOURS:
        return Forecast(_profile(energy, weekly, daily), "weekly_profile", tuple(warnings))
    if len(present):
        return Forecast(_profile(energy, daily, np.zeros_like(daily)), "last_known_profile", tuple(warnings))
    return Forecast(type_prior(context.building.building_type)[weekly[len(energy) :]], "type_prior", tuple(warnings))


def _profile(energy: Array, fine: Array, coarse: Array) -> Array:
    """(leads, 3): the median of the present hours of the same class (`fine`, else `coarse`, else all), with the spread of what
    the profile leaves over in the past. `fine` and `coarse` (hours + leads,) are classes of hours."""
    hours = len(energy)
    present = np.isfinite(energy)
    overall = float(np.median(energy[present]))
    medians = {
        (name, key): float(np.median(energy[present & (classes[:hours] == key)]))
        for name, classes in (("fine", fine), ("coarse", coarse))
        for key in np.unique(classes[:hours][present])
    }

    def expected(at: int) -> float:
        return medians.get(("fine", fine[at]), medians.get(("coarse", coarse[at]), overall))

    fitted = np.array([expected(at) for at in range(len(fine))])
    left_over = np.abs(energy[present] - fitted[:hours][present])
    spread = NORMAL_MAD * float(np.median(left_over)) or 0.05 * abs(overall)
    p50 = fitted[hours:]
    return np.stack([p50 - NORMAL_P90 * spread, p50, p50 + NORMAL_P90 * spread], axis=1)


def _local_hours(hours: Array, timezone: str) -> tuple[Array, Array]:
    """Local hour of the week (Monday 0 is 0) and hour of the day of UTC hours, daylight saving included."""
    import pandas as pd

    local = pd.DatetimeIndex(hours.astype("datetime64[h]").astype("datetime64[s]"), tz="UTC").tz_convert(
        _zone_name(timezone)
    )
    return np.asarray(local.weekday * DAY + local.hour), np.asarray(local.hour)


@lru_cache(maxsize=4096)
def _zone_name(timezone: str) -> str:
    try:
        return ZoneInfo(timezone).key
    except (ZoneInfoNotFoundError, ValueError):
        return "UTC"


@lru_cache(maxsize=64)
def type_prior(building_type: str) -> Array:
    """(168, 3) P10, P50, P90 in kWh by local hour of the week for a building of which nothing is known but its type."""
    priors = _priors(project_folder("conf") / "priors.yaml")
    days = priors.get(building_type, priors["default"])
    levels = [[*days[f"weekday_{level}_kwh"] * 5, *days[f"weekend_{level}_kwh"] * 2] for level in ("p10", "p50", "p90")]
    return np.array(levels, dtype=float).T


@lru_cache(maxsize=4)
def _priors(file: Path) -> Mapping[str, Mapping[str, list[float]]]:
    with file.open(encoding="utf-8") as text:
        priors: Mapping[str, Mapping[str, list[float]]] = yaml.safe_load(text)
    return priors
