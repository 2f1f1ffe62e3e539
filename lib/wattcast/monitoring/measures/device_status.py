"""The state of each device, from its records of the last days; read from the Delta tables without Spark."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import pyarrow.dataset as ds

from wattcast.lake.reader import table
from wattcast.monitoring.alerting.rules import load_alert_rules
from wattcast.monitoring.measures.device_records import DAY, DEVICE, DeviceRecords, device_records, newest_arrival
from wattcast.monitoring.measures.meter_health import first_arrivals, noise, stuck_hours, with_interval_ends

State = Literal["ok", "silent", "rejected", "stuck", "noisy", "late"]
STATES: tuple[State, ...] = (
    "silent",
    "rejected",
    "stuck",
    "noisy",
    "late",
    "ok",
)  # the first that applies is the state


@dataclass(frozen=True)
class DeviceLimits:
    """Beyond these a device is not ok: by default, the limits of the alert rules for meters."""

    silent_minutes: float
    rejected_share: float
    stuck_hours: float
    noise: float
    late_share: float

    @classmethod
    def from_alert_rules(cls) -> Self:
        limits = {rule.name: rule.threshold for rule in load_alert_rules()}
        return cls(*(limits.get(f"meter_{state}", float("inf")) for state in STATES[:-1]))


@dataclass(frozen=True)
class DeviceStatus:
    """A device at one time. `last_seen_at` is the arrival of its last record, accepted or not; `last_measured_at` is the start of
    the newest interval that it measured. Counts, gaps and shares are of the last 24 hours by arrival. `stuck_hours` are its last
    hours with one same value, at most 48, and `noise` is `meter_health.noise` over those 48. None: no record was accepted."""

    device_id: str
    building_id: str
    last_seen_at: datetime
    last_measured_at: datetime | None
    readings_24h: int
    rejected_24h: int
    last_rejected_for: tuple[str, ...]
    late_share: float | None
    stuck_hours: float | None
    noise: float | None
    gaps_24h: int
    longest_gap_minutes: float | None
    state: State


@dataclass(frozen=True)
class DeviceStatuses:
    """All devices with records, by building and name. `without_device_24h` counts rejected records that name no device."""

    as_of: datetime | None
    items: tuple[DeviceStatus, ...]
    without_device_24h: int


def device_statuses(
    lake_uri: str,
    *,
    as_of: datetime | None = None,
    building_id: str | None = None,
    grace_minutes: int = 5,
    heard_within_days: int = 30,
    limits: DeviceLimits | None = None,
) -> DeviceStatuses:
    """The devices with records in the `heard_within_days` before `as_of`; by default before the newest arrival of any building.

    A reading is late if it first arrived more than `grace_minutes` after the end of its interval.

    Raises:
        TableUnreadable: the lake cannot be read.
    """
    received, buildings = (table(lake_uri, name) for name in ("received_readings", "buildings"))
    return device_statuses_in(
        received, buildings, as_of=as_of, building_id=building_id, grace_minutes=grace_minutes,
        heard_within_days=heard_within_days, limits=limits,
    )  # fmt: skip


def device_statuses_in(
    received: ds.Dataset,
    buildings: ds.Dataset,
    *,
    as_of: datetime | None = None,
    building_id: str | None = None,
    grace_minutes: int = 5,
    heard_within_days: int = 30,
    limits: DeviceLimits | None = None,
) -> DeviceStatuses:
    """`device_statuses` of tables that are already open."""
    at = as_of or newest_arrival(received)
    if at is None:
        return DeviceStatuses(None, (), 0)
    at = at.astimezone(UTC)
    records = device_records(received, buildings, at=at, building_id=building_id, heard_within_days=heard_within_days)
    statistics = _statistics(records, at, grace_minutes)
    statistics["state"] = _states(statistics, at, limits or DeviceLimits.from_alert_rules())
    return DeviceStatuses(at, tuple(_statuses(statistics)), records.without_device)


def _statistics(records: DeviceRecords, at: datetime, grace_minutes: int) -> pd.DataFrame:
    """By DEVICE, the fields of DeviceStatus except its state."""
    accepted, rejected = records.accepted, records.rejected.groupby(DEVICE)
    accepted = accepted.assign(interval_minutes=accepted["building_id"].map(dict(records.interval_minutes)))
    accepted = with_interval_ends(accepted, DEVICE)
    first = first_arrivals(accepted, DEVICE, after=at - DAY, grace_minutes=grace_minutes)
    newest = accepted.drop_duplicates([*DEVICE, "measured_at"], keep="last").sort_values([*DEVICE, "measured_at"])
    gap = newest.groupby(DEVICE)["measured_at"].diff().dt.total_seconds() / 60 - newest["minutes"]
    is_last_day = newest["kafka_timestamp"] > at - DAY
    gaps = newest.assign(gap=gap)[(gap > 0) & is_last_day].groupby(DEVICE)["gap"]
    counts = {
        "readings_24h": accepted[accepted["kafka_timestamp"] > at - DAY].groupby(DEVICE).size(),
        "rejected_24h": rejected.size(),
        "gaps_24h": gaps.size(),
    }
    last_seen = records.last_seen
    return last_seen.assign(
        **{name: count.reindex(last_seen.index, fill_value=0).astype(int) for name, count in counts.items()},
        last_rejected_for=rejected["rejected_for"].last(),
        late_share=first.groupby(DEVICE)["is_late"].mean(),
        stuck_hours=stuck_hours(newest, DEVICE),
        noise=noise(newest, DEVICE),
        longest_gap_minutes=gaps.max(),
    )


def _states(statistics: pd.DataFrame, at: datetime, limits: DeviceLimits) -> np.ndarray:
    silent_minutes = (at - statistics["last_seen_at"]).dt.total_seconds() / 60
    records = statistics["readings_24h"] + statistics["rejected_24h"]
    conditions = [
        silent_minutes > limits.silent_minutes,
        statistics["rejected_24h"] / records.where(records > 0, 1) > limits.rejected_share,
        statistics["stuck_hours"] > limits.stuck_hours,
        statistics["noise"] > limits.noise,
        statistics["late_share"] > limits.late_share,
    ]
    return np.select([condition.to_numpy(bool) for condition in conditions], list(STATES[:-1]), STATES[-1])


def _statuses(statistics: pd.DataFrame) -> Iterator[DeviceStatus]:
    for (building_id, device_id), row in zip(statistics.index, statistics.to_dict("records"), strict=True):
        rules = row.pop("last_rejected_for")
        last_rejected_for = () if isinstance(rules, float) else tuple(rules)
        values = {str(name): _python_value(value) for name, value in row.items()}
        yield DeviceStatus(building_id=building_id, device_id=device_id, last_rejected_for=last_rejected_for, **values)


def _python_value(value: Any) -> Any:
    """A plain Python value; None for a missing one."""
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    return None if value is pd.NaT or (isinstance(value, float) and np.isnan(value)) else value
