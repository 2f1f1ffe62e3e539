"""Buildings, devices, alerts and the overview: small lists, made from what is held in memory."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from wattcast.devices import devices_in
from wattcast.serving.newest import Newest
from wattcast.serving.problems import Unavailable
from wattcast.serving.snapshot import Snapshot
from wattcast.serving.tables import readable

T = TypeVar("T")
WORST = 10
FIGURES = {  # of the overview, and the measures of the monitor that they are
    "completeness_24h": "completeness",
    "rejected_share_24h": "rejected_share",
    "mae_ratio_to_last_week_7d": "mae_ratio_to_last_week",
    "interval_coverage_7d": "interval_coverage",
}
MEASURED = ("as_of", "measured_at")


class Remembered(Generic[T]):
    """A value that is made anew when it is so many seconds old, by one thread while the others take the last."""

    def __init__(self, make: Callable[[], T], *, seconds: float) -> None:
        self._make, self._seconds, self._lock = make, seconds, threading.Lock()
        self._made: tuple[float, T] | None = None

    def __call__(self) -> T:
        made = self._made
        if made and self._is_fresh(made):
            return made[1]
        if made and not self._lock.acquire(blocking=False):
            return made[1]
        if not made:
            self._lock.acquire()
        try:
            made = self._made
            if made is None or not self._is_fresh(made):
                self._made = made = (time.monotonic(), self._make())
            return made[1]
        finally:
            self._lock.release()

    def _is_fresh(self, made: tuple[float, T]) -> bool:
        return time.monotonic() - made[0] < self._seconds


def held(snapshot: Snapshot, part: str) -> Newest | None:
    """A part of the snapshot, None where it was never read."""
    try:
        return snapshot.part(part)
    except Unavailable:
        return None


def open_alerts(snapshot: Snapshot) -> list[dict[str, Any]]:
    alerts = held(snapshot, "alerts")
    return [row for row in alerts.items if row["state"] == "firing"] if alerts else []


def buildings(snapshot: Snapshot, ids: list[str]) -> list[dict[str, Any]]:
    """What the API says of these buildings."""
    state, alerts = snapshot.state, Counter(row["subject"] for row in open_alerts(snapshot))
    read = _last_reading(snapshot)
    return [_building(name, state.metadata.get(name, {}), snapshot, read.get(name), alerts) for name in ids]


def _building(
    name: str,
    metadata: dict[str, Any],
    snapshot: Snapshot,
    read: tuple[datetime | None, set[str]] | None,
    alerts: Counter[str],
) -> dict[str, Any]:
    forecasts = held(snapshot, "forecasts")
    current = (forecasts.item(name) if forecasts else None) or {}
    last, devices = read or (None, set())
    return {
        "building_id": name,
        **{column: metadata.get(column) for column in ("site", "timezone", "country", "building_type")},
        "last_reading_at": last,
        "last_origin": current.get("origin"),
        "method": current.get("method"),
        "warnings": current.get("warnings", []),
        "open_alerts": alerts[name]
        + sum(alerts[f"{name}/{each}"] + (alerts[each] if each != name else 0) for each in devices),
    }


def _last_reading(snapshot: Snapshot) -> dict[str, tuple[datetime | None, set[str]]]:
    """By building the start of its newest reading's interval, and its devices."""
    devices = held(snapshot, "devices")
    found: dict[str, tuple[datetime | None, set[str]]] = {}
    for row in devices.items if devices else []:
        last, names = found.get(row["building_id"], (None, set()))
        names.add(row["device_id"])
        found[row["building_id"]] = (max(filter(None, (last, row["measured_at"])), default=None), names)
    return found


def devices(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Every device heard in `heard_within_days`, by name and building, in the state that its last day puts it in.

    Raises:
        Unavailable: the records or the metadata cannot be read.
    """
    received, buildings = (snapshot.lake.table(name) for name in ("received_readings", "buildings"))
    settings = snapshot.settings
    with readable("received_readings"):
        found = devices_in(
            received.dataset, buildings.dataset, as_of=snapshot.now(), grace_minutes=settings.closing.grace_minutes,
            heard_within_days=settings.forecasting.heard_within_days,
        )  # fmt: skip
    return [vars(each) for each in sorted(found.items, key=lambda each: (each.device_id, each.building_id))]


def overview(snapshot: Snapshot, mae_kwh: float | None) -> dict[str, Any]:
    """The fleet at a glance."""
    health, forecasts, heard = held(snapshot, "health"), snapshot.part("forecasts"), held(snapshot, "devices")
    since = snapshot.now() - timedelta(minutes=snapshot.settings.serving.stale_after_minutes)
    fresh = (
        pc.sum(pc.greater_equal(forecasts.rows["issued_at"], pa.scalar(since, pa.timestamp("us", "UTC")))).as_py() or 0
    )
    severities = Counter(row["severity"] for row in open_alerts(snapshot))

    rows = {name: health.item((measure, "fleet", "fleet")) if health else None for name, measure in FIGURES.items()}
    return {
        "now": snapshot.now(),
        "server_time": datetime.now(UTC),
        "stale_after_minutes": snapshot.settings.serving.stale_after_minutes,
        "as_of": snapshot.state.as_of,
        "age_seconds": snapshot.age_seconds(snapshot.state.as_of),
        "buildings": len(snapshot.state.building_ids),
        "devices": heard.rows.num_rows if heard else None,
        "forecasts_fresh": fresh,
        "forecasts_stale": forecasts.rows.num_rows - fresh,
        "mae_kwh_7d": mae_kwh,
        **{name: row and row["value"] for name, row in rows.items()},
        "measured": {name: row and {each: row[each] for each in MEASURED} for name, row in rows.items()},
        "alerts": {name: severities[name] for name in ("critical", "warning")},
        "worst_buildings": _worst(health),
    }


def _worst(health: Newest | None) -> list[dict[str, Any]]:
    if health is None:
        return []
    ratio = (ds.field("measure") == "mae_ratio_to_last_week") & (ds.field("scope") == "building")
    rows = health.rows.select(["measure", "scope", "subject", "value"]).filter(ratio).sort_by([("value", "descending")])
    return [
        {"building_id": row["subject"], "mae_ratio_to_last_week": row["value"]}
        for row in rows.slice(0, WORST).to_pylist()
        if row["value"] is not None
    ]
