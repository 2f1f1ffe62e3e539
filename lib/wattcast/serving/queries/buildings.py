"""Buildings and devices, from the rows in memory and the records of the last days."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from wattcast.monitoring.measures.device_status import device_statuses_in
from wattcast.serving.tables.pinned import readable
from wattcast.serving.tables.view import LakeView


@dataclass
class BuildingDevices:
    """The devices of a building, and the start of its newest reading's interval."""

    last_reading_at: datetime | None = None
    device_ids: set[str] = field(default_factory=set)


def firing_alerts(lake: LakeView) -> list[dict[str, Any]]:
    alerts = lake.latest_or_none("alerts")
    return [row for row in alerts.all if row["state"] == "firing"] if alerts else []


def buildings(lake: LakeView, building_ids: list[str]) -> list[dict[str, Any]]:
    """A row for each of these buildings: metadata, newest reading, current forecast and number of open alerts."""
    alerts = Counter(row["subject"] for row in firing_alerts(lake))
    devices = _devices_by_building(lake)
    return [
        _building(lake, building_id, devices.get(building_id, BuildingDevices()), alerts)
        for building_id in building_ids
    ]


def _building(lake: LakeView, building_id: str, devices: BuildingDevices, alerts: Counter[str]) -> dict[str, Any]:
    forecasts = lake.latest_or_none("forecasts")
    forecast = (forecasts.get(building_id) if forecasts else None) or {}
    metadata = lake.state.metadata.get(building_id, {})
    return {
        "building_id": building_id,
        **{column: metadata.get(column) for column in ("site", "timezone", "country", "building_type")},
        "last_reading_at": devices.last_reading_at,
        "last_origin": forecast.get("origin"),
        "method": forecast.get("method"),
        "warnings": forecast.get("warnings", []),
        "open_alerts": _open_alerts(building_id, devices.device_ids, alerts),
    }


def _open_alerts(building_id: str, device_ids: set[str], alerts: Counter[str]) -> int:
    """Alerts of the building, of its devices, and of its devices as building/device."""
    of_devices = sum(alerts[device_id] for device_id in device_ids if device_id != building_id)
    return alerts[building_id] + of_devices + sum(alerts[f"{building_id}/{device_id}"] for device_id in device_ids)


def _devices_by_building(lake: LakeView) -> dict[str, BuildingDevices]:
    latest = lake.latest_or_none("devices")
    by_building: dict[str, BuildingDevices] = {}
    for row in latest.all if latest else []:
        devices = by_building.setdefault(row["building_id"], BuildingDevices())
        devices.device_ids.add(row["device_id"])
        times = filter(None, (devices.last_reading_at, row["measured_at"]))
        devices.last_reading_at = max(times, default=None)
    return by_building


def devices(lake: LakeView) -> list[dict[str, Any]]:
    """Every device of all buildings with a record in the last `heard_within_days`, by device id and building, with the state of
    its last day.

    Raises:
        Unavailable: the records or the metadata cannot be read.
    """
    received, metadata = (lake.table(name) for name in ("received_readings", "buildings"))
    settings = lake.settings
    with readable("received_readings"):
        status = device_statuses_in(
            received.dataset, metadata.dataset, as_of=lake.now(), grace_minutes=settings.closing.grace_minutes,
            heard_within_days=settings.forecasting.heard_within_days,
        )  # fmt: skip
    in_order = sorted(status.items, key=lambda device: (device.device_id, device.building_id))
    return [vars(device) for device in in_order]
