"""Devices, rejected readings, measurements and alerts."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from wattcast.serving.schemas.base import Item, example


class Device(Item):
    model_config = example(
        device_id="meter-1", building_id="town-hall", last_seen_at="2026-03-15T00:01:00Z",
        last_measured_at="2026-03-14T23:00:00Z", readings_24h=24, rejected_24h=0, last_rejected_for=[], late_share=0.0,
        stuck_hours=1.0, noise=0.02, gaps_24h=0, longest_gap_minutes=None, state="ok",
    )  # fmt: skip
    device_id: str
    building_id: str
    last_seen_at: datetime = Field(description="Arrival of the last record of the device, accepted or not")
    last_measured_at: datetime | None
    readings_24h: int = Field(description="Accepted readings")
    rejected_24h: int
    last_rejected_for: list[str]
    late_share: float | None
    stuck_hours: float | None
    noise: float | None = Field(
        description="Mean distance of the readings from their running median of three, divided by their mean"
    )
    gaps_24h: int = Field(description="Gaps between the readings")
    longest_gap_minutes: float | None = Field(description="null where there is no gap")
    state: Literal["ok", "silent", "stuck", "noisy", "late", "rejected"]


class Rejected(Item):
    model_config = example(
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


class RejectedByRule(Item):
    model_config = example(rule="energy_usage_kwh.negative", records=4)
    rule: str
    records: int


class Health(Item):
    model_config = example(
        as_of="2026-03-15T00:00:00Z", measured_at="2026-03-15T00:00:10Z", measure="completeness", scope="fleet",
        subject="fleet", value=0.98, samples=168, details=None,
    )  # fmt: skip
    as_of: datetime = Field(
        description="The time that it describes, by the clock of the readings; for the progress of a query: measured_at"
    )
    measured_at: datetime = Field(
        description="When the measurement was written, by the clock of the machine that measured"
    )
    measure: str
    scope: str
    subject: str
    value: float | None
    samples: int | None
    details: str | None


class Alert(Item):
    model_config = example(
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
