"""What the API answers with, as pydantic models, from which the OpenAPI document and the types of Arrow come."""

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Method = Literal["model", "weekly_profile", "last_known_profile", "type_prior"]
Kwh = Annotated[float, Field(description="Energy of the hour, kWh")]


class _Item(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


def _example(**values: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", protected_namespaces=(), json_schema_extra={"examples": [values]})


T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    """Some of the items that were asked for, and where the next ones begin: null where there are no more."""

    items: list[T]
    next_cursor: str | None


class ProblemBody(BaseModel):
    """An error, RFC 9457."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"type": "about:blank", "title": "Not Found", "status": 404, "detail": "There is no building nowhere."}
            ]
        }
    )
    type: str
    title: str
    status: int
    detail: str
    errors: list[dict[str, str]] = []


class ForecastHour(_Item):
    target_hour: datetime
    lead_hours: int
    p10_kwh: Kwh
    p50_kwh: Kwh
    p90_kwh: Kwh


HOUR = {"target_hour": "2026-03-15T00:00:00Z", "lead_hours": 1, "p10_kwh": 9.1, "p50_kwh": 10.2, "p90_kwh": 11.4}


class _Issued(_Item):
    """What all hours of a forecast have in common. `age_seconds` is since `issued_at`; `is_stale` that another should have come
    long ago."""

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


class Forecast(_Issued):
    """A forecast. `age_seconds` is since `issued_at`; `is_stale` that another should have come long ago."""

    model_config = _example(
        forecast_id="0123456789abcdef0123456789abcdef", building_id="town-hall", origin="2026-03-15T00:00:00Z",
        issued_at="2026-03-15T00:05:00Z", created_at="2026-03-15T00:05:06Z", method="model", model_name="wattcast-mlp",
        model_version="2.0.0", warnings=[], age_seconds=1260, is_stale=False, hours=[HOUR],
    )  # fmt: skip
    hours: list[ForecastHour]


class ForecastRow(ForecastHour, _Issued):
    """An hour of a forecast, as CSV and Arrow have it."""


class Building(_Item):
    model_config = _example(
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


class HistoryHour(_Item):
    model_config = _example(
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


class Accuracy(_Item):
    """Of the hours of a group; the columns by which it is grouped are set, the others of them null."""

    model_config = _example(
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


class Model(_Item):
    model_config = _example(
        model_name="wattcast-mlp", model_version="2.0.0", aliases=["champion"], is_champion=True, scope="all buildings",
        trained_at=None, forecasts=8064, metrics={"mae_kwh": 1.2},
    )  # fmt: skip
    model_name: str
    model_version: str
    aliases: list[str]
    is_champion: bool | None = Field(description="null where the registry does not answer")
    scope: str | None
    trained_at: datetime | None
    forecasts: int = Field(description="Live forecasts of the last 30 days")
    metrics: dict[str, float]


class Device(_Item):
    model_config = _example(
        device_id="meter-1", building_id="town-hall", last_seen_at="2026-03-15T00:01:00Z",
        last_measured_at="2026-03-14T23:00:00Z", readings_24h=24, rejected_24h=0, last_rejected_for=[], late_share=0.0,
        stuck_hours=1.0, noise=0.02, gaps_24h=0, longest_gap_minutes=None, state="ok",
    )  # fmt: skip
    device_id: str
    building_id: str
    last_seen_at: datetime = Field(description="Arrival of its last record, accepted or not")
    last_measured_at: datetime | None
    readings_24h: int = Field(description="Accepted ones")
    rejected_24h: int
    last_rejected_for: list[str]
    late_share: float | None
    stuck_hours: float | None
    noise: float | None = Field(
        description="Mean distance of its readings from their running median of three, over their mean"
    )
    gaps_24h: int = Field(description="Holes between its readings")
    longest_gap_minutes: float | None = Field(description="null without a gap")
    state: Literal["ok", "silent", "stuck", "noisy", "late", "rejected"]


class Rejected(_Item):
    model_config = _example(
        kafka_timestamp="2026-03-14T12:01:00Z", building_id="town-hall", device_id="meter-1", measured_at=None,
        rejected_for=["energy_usage_kwh.negative"], payload='{"energy_usage_kwh": -1}', payload_bytes=24,
        kafka_topic="readings", kafka_partition=0, kafka_offset=1200,
    )  # fmt: skip
    kafka_timestamp: datetime
    building_id: str | None
    device_id: str | None
    measured_at: datetime | None
    rejected_for: list[str]
    payload: str | None
    payload_bytes: int | None
    kafka_topic: str
    kafka_partition: int
    kafka_offset: int


class RejectedByRule(_Item):
    model_config = _example(rule="energy_usage_kwh.negative", records=4)
    rule: str
    records: int


class Health(_Item):
    model_config = _example(
        as_of="2026-03-15T00:00:00Z", measured_at="2026-03-15T00:00:10Z", measure="completeness", scope="fleet",
        subject="fleet", value=0.98, samples=168, details=None,
    )  # fmt: skip
    as_of: datetime = Field(
        description="What it speaks of, by the clock of the readings; a query's progress: measured_at"
    )
    measured_at: datetime = Field(description="When it was written, by the clock of the machine that measured")
    measure: str
    scope: str
    subject: str
    value: float | None
    samples: int | None
    details: str | None


class Alert(_Item):
    model_config = _example(
        alert_id="0123456789abcdef0123456789abcdef", rule="meter_silent", severity="critical", scope="device",
        subject="meter-1", state="firing", started_at="2026-03-14T23:00:00Z", changed_at="2026-03-14T23:00:00Z",
        value=360.0, threshold=180.0, message="Meter meter-1 has sent nothing for 6 hours: check its power.",
    )  # fmt: skip
    alert_id: str
    rule: str
    severity: str
    scope: str
    subject: str
    state: Literal["firing", "resolved"]
    started_at: datetime
    changed_at: datetime
    value: float | None
    threshold: float | None
    message: str


class OpenAlerts(_Item):
    critical: int
    warning: int


class WorstBuilding(_Item):
    building_id: str
    mae_ratio_to_last_week: float


class MeasuredAt(_Item):
    """When the monitor measured a figure: by the clock of the readings and by its machine's."""

    as_of: datetime
    measured_at: datetime


class FiguresMeasured(_Item):
    """When the monitor measured its figures of the overview; null is never."""

    completeness_24h: MeasuredAt | None
    rejected_share_24h: MeasuredAt | None
    mae_ratio_to_last_week_7d: MeasuredAt | None
    interval_coverage_7d: MeasuredAt | None


class Overview(_Item):
    """The fleet at a glance; null is unknown."""

    now: datetime = Field(description="By which ages are told: in a replay the clock of the readings")
    server_time: datetime
    stale_after_minutes: int = Field(description="What is older is stale")
    as_of: datetime | None
    age_seconds: int | None = Field(description="Time since the newest arrival")
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


class Standing(_Item):
    """Whether the server can answer, and what it lacks."""

    status: Literal["ready", "degraded", "starting", "stopped"]
    as_of: datetime | None
    snapshot_age_seconds: float | None
    problems: dict[str, str]
