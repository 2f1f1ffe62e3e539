"""Forecasts and the history of a building."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from wattcast.serving.schemas.base import Item, Method, example

Kwh = Annotated[float, Field(description="Energy of the hour, kWh")]

EXAMPLE_HOUR = {
    "target_hour": "2026-03-15T00:00:00Z", "lead_hours": 1, "p10_kwh": 9.1, "p50_kwh": 10.2, "p90_kwh": 11.4,
}  # fmt: skip


class ForecastHour(Item):
    target_hour: datetime
    lead_hours: int
    p10_kwh: Kwh
    p50_kwh: Kwh
    p90_kwh: Kwh


class IssuedForecast(Item):
    """What all hours of a forecast share. `age_seconds` is the time since `issued_at`; `is_stale` means that it is older than
    the setting `stale_after_minutes`."""

    forecast_id: str | None
    building_id: str
    origin: datetime
    issued_at: datetime
    created_at: datetime
    method: Method
    model_name: str
    model_version: str
    warnings: list[str]
    age_seconds: int | None
    is_stale: bool | None


class Forecast(IssuedForecast):
    """A forecast with its hours. `age_seconds` is the time since `issued_at`; `is_stale` means that it is older than the setting
    `stale_after_minutes`."""

    model_config = example(
        forecast_id="0123456789abcdef0123456789abcdef", building_id="town-hall", origin="2026-03-15T00:00:00Z",
        issued_at="2026-03-15T00:05:00Z", created_at="2026-03-15T00:05:06Z", method="model", model_name="wattcast-mlp",
        model_version="2.0.0", warnings=[], age_seconds=1260, is_stale=False, hours=[EXAMPLE_HOUR],
    )  # fmt: skip
    hours: list[ForecastHour]


class ForecastRow(ForecastHour, IssuedForecast):
    """One hour of a forecast, as in CSV and Arrow."""


class HistoryHour(Item):
    model_config = example(
        hour="2026-03-14T00:00:00Z", energy_usage_kwh=10.4, coverage=1.0, flags=[], temperature_c=4.0, humidity_pct=80.0,
        occupancy=20.0, p10_kwh=9.1, p50_kwh=10.2, p90_kwh=11.4, lead_hours=1, method="model", model_version="2.0.0",
        warnings=[],
    )  # fmt: skip
    hour: datetime
    energy_usage_kwh: float | None
    coverage: float | None
    flags: list[str]
    temperature_c: float | None
    humidity_pct: float | None
    occupancy: float | None
    p10_kwh: float | None
    p50_kwh: float | None
    p90_kwh: float | None
    lead_hours: int | None
    method: Method | None
    model_version: str | None
    warnings: list[str]
