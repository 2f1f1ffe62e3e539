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

from wattcast.devices import Limits
from wattcast.serving.newest import Newest
from wattcast.serving.problems import Unavailable
from wattcast.serving.snapshot import Snapshot

T = TypeVar("T")
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
WORST = 10
STATES = {"meter_silent": "silent", "meter_stuck": "stuck", "meter_rejected": "rejected", "meter_late": "late"}


class Remembered(Generic[T]):
    """A value that is made anew when it is so many seconds old or when what it is made `of` is another, by one thread while the
    others take the last."""

    def __init__(self, make: Callable[[], T], *, seconds: float, of: Callable[[], object] = lambda: None) -> None:
        self._make, self._seconds, self._of, self._lock = make, seconds, of, threading.Lock()
        self._made: tuple[float, object, T] | None = None

    def __call__(self) -> T:
        made = self._made
        if made and self._is_fresh(made):
            return made[2]
        if made and not self._lock.acquire(blocking=False):
            return made[2]
        if not made:
            self._lock.acquire()
        try:
            made = self._made
            if made is None or not self._is_fresh(made):
                self._made = made = (time.monotonic(), self._of(), self._make())
            return made[2]
        finally:
            self._lock.release()

    def _is_fresh(self, made: tuple[float, object, T]) -> bool:
        return time.monotonic() - made[0] < self._seconds and made[1] == self._of()


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


def devices(snapshot: Snapshot, counts: dict[tuple[Any, Any], tuple[int, int]]) -> list[dict[str, Any]]:
    """Every device heard in the last 30 days, by building and name."""
    accepted, rejected = snapshot.part("devices"), snapshot.part("rejected")
    last: dict[tuple[Any, Any], dict[str, Any]] = {}
    for row in (*rejected.items, *accepted.items):
        key = (row["building_id"], row["device_id"])
        if row["device_id"]:
            last[key] = {**last.get(key, {}), "accepted" if "rejected_for" not in row else "rejected": row}
    health, alerts = held(snapshot, "health"), {(row["rule"], row["subject"]) for row in open_alerts(snapshot)}
    waits = timedelta(minutes=Limits.of_alerts().silent_minutes)
    found = [_device(key, rows, counts.get(key), health, alerts, snapshot.now() - waits) for key, rows in last.items()]
    return sorted(found, key=lambda row: (row["device_id"], row["building_id"] or ""))


def _device(
    key: tuple[Any, Any],
    rows: dict[str, Any],
    counts: tuple[int, int] | None,
    health: Newest | None,
    alerts: set[tuple[str, str]],
    silent_since: datetime,
) -> dict[str, Any]:
    building, device = key
    subjects = (device, f"{building}/{device}")

    def measured(name: str) -> float | None:
        rows = (health.item((name, "device", subject)) for subject in subjects) if health else ()
        return next((row["value"] for row in rows if row), None)

    seen = {name: row["kafka_timestamp"] for name, row in rows.items()}
    is_rejected = seen.get("rejected", BEGINNING) > seen.get("accepted", BEGINNING)
    raised = [state for rule, state in STATES.items() if any((rule, subject) in alerts for subject in subjects)]
    is_silent = max(seen.values()) < silent_since
    accepted, rejected = counts or (0, 0)
    return {
        "device_id": device,
        "building_id": building,
        "last_seen_at": max(seen.values()),
        "last_measured_at": rows.get("accepted", {}).get("measured_at"),
        "readings_24h": accepted + rejected,
        "rejected_24h": rejected,
        "last_rejected_for": rows.get("rejected", {}).get("rejected_for", []),
        "late_share": measured("meter_late_share"),
        "stuck_hours": measured("meter_stuck_hours"),
        "state": "silent" if is_silent else next(iter(raised), "rejected" if is_rejected else "ok"),
    }


def counts_of_a_day(snapshot: Snapshot) -> dict[tuple[Any, Any], tuple[int, int]]:
    """Accepted and rejected records of the last 24 hours by building and device."""
    table = snapshot.lake.table("received_readings")
    latest = table.newest("kafka_timestamp")
    if latest is None:
        return {}
    found: Counter[tuple[Any, Any, bool]] = Counter()
    columns = ["building_id", "device_id", "accepted"]
    for batch in table.batches(columns, ds.field("kafka_timestamp") > pa.scalar(latest - DAY)):
        for row in batch.group_by(columns).aggregate([([], "count_all")]).to_pylist():
            found[row["building_id"], row["device_id"], row["accepted"]] += row["count_all"]
    return {key: (found[*key, True], found[*key, False]) for key in {each[:2] for each in found}}


def overview(snapshot: Snapshot, mae_kwh: float | None) -> dict[str, Any]:
    """The fleet at a glance."""
    health, forecasts, heard = held(snapshot, "health"), snapshot.part("forecasts"), held(snapshot, "devices")
    since = snapshot.now() - timedelta(minutes=snapshot.settings.serving.stale_after_minutes)
    fresh = (
        pc.sum(pc.greater_equal(forecasts.rows["issued_at"], pa.scalar(since, pa.timestamp("us", "UTC")))).as_py() or 0
    )
    severities = Counter(row["severity"] for row in open_alerts(snapshot))

    def measured(name: str) -> float | None:
        row = health.item((name, "fleet", "fleet")) if health else None
        return None if row is None else row["value"]

    return {
        "as_of": snapshot.state.as_of,
        "age_seconds": snapshot.age_seconds(snapshot.state.as_of),
        "buildings": len(snapshot.state.building_ids),
        "devices": heard.rows.num_rows if heard else None,
        "forecasts_fresh": fresh,
        "forecasts_stale": forecasts.rows.num_rows - fresh,
        "completeness_24h": measured("completeness"),
        "rejected_share_24h": measured("rejected_share"),
        "mae_kwh_7d": mae_kwh,
        "mae_ratio_to_last_week_7d": measured("mae_ratio_to_last_week"),
        "interval_coverage_7d": measured("interval_coverage"),
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
