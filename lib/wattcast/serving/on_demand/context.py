"""From a request's readings to the context of the forecast methods, and from a forecast to the response."""

from collections import Counter, defaultdict
from datetime import UTC, datetime
from typing import Any

import numpy as np

from wattcast.forecast.columns import NO_MODEL, USAGE_COLUMNS
from wattcast.forecast.context import Building, Context, Forecast, Predictor
from wattcast.forecast.quantiles import QUANTILE_COLUMNS
from wattcast.serving.on_demand.forecast_requests import ForecastRequest, RequestReading
from wattcast.serving.queries.selection import EPOCH
from wattcast.settings import Settings
from wattcast.times import HOUR

BUILDING_FIELDS = {"building_id", "timezone", "country", "building_type", "closures"}
HourlyValues = dict[int, dict[str, list[float]]]


def context_of(request: ForecastRequest, settings: Settings) -> Context:
    """The hours of the readings, aggregated as by the jobs: sums of energy, means of other values, gaps where readings are
    missing. Of several readings of one time the last one counts."""
    readings = list({reading.measured_at: reading for reading in request.readings}.values())
    origin = (max(reading.measured_at for reading in readings) - EPOCH) // HOUR + 1
    hours = settings.forecasting.context_hours
    values, counts = _by_hour(readings, origin - hours)
    past = np.full((hours, len(USAGE_COLUMNS)), np.nan)  # (context_hours, values)
    interval = request.building.reading_interval_minutes
    for row, of_hour in values.items():
        is_complete = interval is None or counts[row] * interval >= 60
        past[row] = [_aggregated(name, of_hour[name], is_complete) for name in USAGE_COLUMNS]
    building = Building(
        **request.building.model_dump(include=BUILDING_FIELDS), has_metadata="building" in request.model_fields_set
    )
    lead_hours = request.lead_hours or settings.forecasting.lead_hours
    return Context(building, origin, past, np.full((lead_hours, 2), np.nan))


def _by_hour(readings: list[RequestReading], first_hour: int) -> tuple[HourlyValues, Counter[int]]:
    """The values and the number of readings of each hour since `first_hour`."""
    values: HourlyValues = defaultdict(lambda: defaultdict(list))
    counts: Counter[int] = Counter()
    for reading in readings:
        row = (reading.measured_at - EPOCH) // HOUR - first_hour
        if row < 0:
            continue
        counts[row] += 1
        for name in USAGE_COLUMNS:
            if (value := getattr(reading, name)) is not None:
                values[row][name].append(value)
    return values, counts


def _aggregated(name: str, values: list[float], is_complete: bool) -> float:
    if name == "energy_usage_kwh":
        return sum(values) if is_complete else np.nan
    return float(np.mean(values)) if values else np.nan


def forecast_response(
    request: ForecastRequest, context: Context, model: Predictor | None, forecast: Forecast
) -> dict[str, Any]:
    """The forecast as a response; it has no id since it is not stored."""
    origin, now = EPOCH + context.origin * HOUR, datetime.now(UTC)
    hours = [
        {
            "target_hour": origin + lead * HOUR,
            "lead_hours": lead + 1,
            **dict(zip(QUANTILE_COLUMNS, quantiles, strict=True)),
        }
        for lead, quantiles in enumerate(forecast.quantiles_kwh.tolist())
    ]
    return {
        "forecast_id": None, "building_id": request.building.building_id, "origin": origin, "issued_at": now,
        "created_at": now, "method": forecast.method, "model_name": model.name if model else NO_MODEL,
        "model_version": model.version if model else NO_MODEL, "warnings": list(forecast.warnings), "age_seconds": 0,
        "is_stale": False, "hours": hours,
    }  # fmt: skip
