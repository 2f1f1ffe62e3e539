"""What `wattcast devices` prints."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from deltalake.exceptions import TableNotFoundError
from rich.table import Table

from wattcast.errors import refuse
from wattcast.lake.reader import TableUnreadable
from wattcast.monitoring.measures.device_status import DeviceStatus, DeviceStatuses, device_statuses
from wattcast.settings import settings
from wattcast.terminal.console import plain
from wattcast.times import instant


def current_statuses(building_id: str = "", as_of: str = "") -> DeviceStatuses:
    """The devices of the lake of the settings, or of one building, at a time (ISO 8601).

    Without a time: now, or with `forecasting.clock: arrival` the newest arrival. A lake without readings and a building without
    records end the program with a message.
    """
    current = settings()
    at = instant(as_of) if as_of else datetime.now(UTC) if current.forecasting.clock == "wall" else None
    days = current.forecasting.heard_within_days
    try:
        statuses = device_statuses(
            current.lake_uri, as_of=at, building_id=building_id or None, grace_minutes=current.closing.grace_minutes,
            heard_within_days=days,
        )  # fmt: skip
    except TableUnreadable as error:
        if isinstance(error.__cause__, TableNotFoundError):
            refuse(f"The lake {current.lake_uri} has no readings yet: receive them with `wattcast run ingest`.")
        refuse(str(error))
    if building_id and not statuses.items:
        refuse(f"The building {building_id} has sent no record with a device name in the last {days} days.")
    return statuses


def devices_json(statuses: DeviceStatuses, devices: Sequence[DeviceStatus]) -> dict[str, object]:
    """The selected devices as JSON; times are ISO 8601 in UTC."""

    def json_value(value: object) -> object:
        return f"{value:%Y-%m-%dT%H:%M:%S.%fZ}" if isinstance(value, datetime) else value

    return {
        "as_of": json_value(statuses.as_of),
        "without_device_24h": statuses.without_device_24h,
        "items": [{name: json_value(value) for name, value in asdict(device).items()} for device in devices],
    }


def devices_table(statuses: DeviceStatuses, devices: Sequence[DeviceStatus]) -> Table:
    """The selected devices as a table that fits 80 columns."""
    title = f"Devices as of {statuses.as_of:%Y-%m-%d %H:%M} UTC" if statuses.as_of else "No record has arrived yet"
    nameless = statuses.without_device_24h
    note = f"; {nameless:,} records of the last 24 h have no device name" if nameless else ""
    table = Table(title=title, caption=f"{len(devices):,} devices{note}")
    for name in ("building", "device"):
        table.add_column(name, overflow="fold")
    for name in ("state", "last seen"):
        table.add_column(name, no_wrap=True)
    table.add_column("last 24 h", overflow="fold")
    for device in devices:
        last_seen = f"{device.last_seen_at:%Y-%m-%d %H:%M}"
        cells = (device.building_id, device.device_id, device.state, last_seen, ", ".join(_last_day(device)))
        table.add_row(*map(plain, cells))
    return table


def _last_day(device: DeviceStatus) -> Iterator[str]:
    """The number of readings of the last 24 hours, then what was wrong with them."""
    yield f"{device.readings_24h:,} readings"
    if device.gaps_24h:
        yield f"{device.gaps_24h} gap{'' if device.gaps_24h == 1 else 's'} of {device.longest_gap_minutes:.0f} min at most"
    if device.late_share:
        yield f"{device.late_share:.0%} late"
    if device.stuck_hours and device.stuck_hours > 1:
        yield f"the same energy for {device.stuck_hours:.0f} h"
    if device.rejected_24h:
        yield f"{device.rejected_24h:,} rejected, the last for {', '.join(device.last_rejected_for)}"
