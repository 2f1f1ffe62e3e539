"""Buildings, the overview, models and their accuracy."""

from datetime import datetime

from pydantic import Field

from wattcast.serving.schemas.base import Item, Method, example


class Building(Item):
    model_config = example(
        building_id="town-hall", site="north", timezone="Europe/London", country="GB", building_type="office",
        last_reading_at="2026-03-14T23:00:00Z", last_origin="2026-03-15T00:00:00Z", method="model", warnings=[], open_alerts=0,
    )  # fmt: skip
    building_id: str
    site: str | None
    timezone: str | None
    country: str | None
    building_type: str | None
    last_reading_at: datetime | None = Field(description="Start of the newest accepted reading's interval")
    last_origin: datetime | None
    method: Method | None
    warnings: list[str]
    open_alerts: int


class Accuracy(Item):
    """Errors over all hours of a group. Columns that define the group are set; the other grouping columns are null."""

    model_config = example(
        building_id="town-hall", lead_hours=None, local_hour=None, day=None, model_name="wattcast-mlp", model_version="2.0.0",
        method=None, hours=4032, mean_kwh=20.1, mae_kwh=1.2, rmse_kwh=1.6, cv_rmse=0.08, nmbe=0.01, pinball_kwh=0.4,
        interval_coverage=0.8, last_week_mae_kwh=1.9, last_day_mae_kwh=2.3,
    )  # fmt: skip
    building_id: str | None
    lead_hours: int | None
    local_hour: int | None
    day: str | None
    model_name: str
    model_version: str
    method: str | None
    hours: int
    mean_kwh: float
    mae_kwh: float
    rmse_kwh: float
    cv_rmse: float | None
    nmbe: float | None
    pinball_kwh: float
    interval_coverage: float
    last_week_mae_kwh: float | None
    last_day_mae_kwh: float | None


class Model(Item):
    model_config = example(
        model_name="wattcast-mlp", model_version="2.0.0", aliases=["champion"], is_champion=True, scope="all buildings",
        trained_at=None, forecasts=8064, metrics={"mae_kwh": 1.2},
    )  # fmt: skip
    model_name: str
    model_version: str
    aliases: list[str]
    is_champion: bool | None = Field(
        description="null where the model registry does not answer, and for a key of some buildings"
    )
    scope: str | None
    trained_at: datetime | None
    forecasts: int = Field(description="Live forecasts of the last 30 days")
    metrics: dict[str, float]


class OpenAlerts(Item):
    critical: int
    warning: int


class WorstBuilding(Item):
    building_id: str
    mae_ratio_to_last_week: float


class MeasuredAt(Item):
    """When the monitor measured a figure: by the clock of the readings and by the clock of its machine."""

    as_of: datetime
    measured_at: datetime


class FiguresMeasured(Item):
    """When the monitor measured the figures of the overview; null: never."""

    completeness_24h: MeasuredAt | None
    rejected_share_24h: MeasuredAt | None
    mae_ratio_to_last_week_7d: MeasuredAt | None
    interval_coverage_7d: MeasuredAt | None


class Overview(Item):
    """A summary of all buildings; null: not known."""

    now: datetime = Field(description="Current time for computing ages; in a replay it follows the readings")
    server_time: datetime
    stale_after_minutes: int = Field(description="Forecasts and readings that are older than this are stale")
    as_of: datetime | None
    age_seconds: int | None = Field(description="Time since the newest record arrived")
    buildings: int
    devices: int | None
    forecasts_fresh: int
    forecasts_stale: int
    completeness_24h: float | None
    rejected_share_24h: float | None
    mae_kwh_7d: float | None
    mae_ratio_to_last_week_7d: float | None
    interval_coverage_7d: float | None
    measured: FiguresMeasured
    alerts: OpenAlerts
    worst_buildings: list[WorstBuilding]
