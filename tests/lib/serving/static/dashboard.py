"""A dashboard over a lake with hostile names, and what its tests share."""

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
from deltalake import DeltaTable
from playwright.sync_api import ConsoleMessage, Page, Request
from tests.lib.serving.lake import append
from tests.lib.serving.screenshots import executable

if executable() is None and os.environ.get("WATTCAST_REQUIRE_CHROMIUM"):
    raise pytest.UsageError("WATTCAST_REQUIRE_CHROMIUM is set, but there is no chromium on the path.")
needs_chromium = pytest.mark.skipif(executable() is None, reason="needs Chromium: install chromium")

HOSTILE = "<img src=x onerror=\"document.title='taken'\">/../&amp;?#%"


@dataclass(frozen=True)
class Dashboard:
    """A server of the dashboard, its lake, and the end of the data in it."""

    address: str
    lake: Path
    end: datetime


def address(client: httpx.Client) -> str:
    return str(client.base_url).rstrip("/")


def hostile_alert(end: datetime) -> dict[str, object]:
    return {
        "alert_id": "hostile", "state": "firing", "changed_at": end, "rule": HOSTILE, "severity": "critical",
        "scope": "building", "subject": HOSTILE, "started_at": end, "value": 1.0, "threshold": 0.0, "message": HOSTILE,
        "created_at": end,
    }  # fmt: skip


def hostile_reading(end: datetime) -> dict[str, object]:
    return {
        "building_id": HOSTILE, "device_id": HOSTILE, "accepted": False, "kafka_topic": "readings", "kafka_partition": 7,
        "kafka_offset": 1, "kafka_timestamp": end + timedelta(minutes=1), "rejected_for": [HOSTILE],
        "raw_payload": HOSTILE.encode(), "payload_bytes": len(HOSTILE), "payload_sha256": "0" * 64,
    }  # fmt: skip


def watched(page: Page) -> tuple[list[str], set[str]]:
    """The errors on the console of a page, and the hosts that it sends requests to."""
    errors: list[str] = []
    hosts: set[str] = set()

    def on_console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            errors.append(message.text)

    def on_request(request: Request) -> None:
        hosts.add("/".join(request.url.split("/")[:3]))

    page.on("console", on_console)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", on_request)
    return errors, hosts


def arrive(dashboard: Dashboard, *, accepted: bool = True) -> None:
    """Append a reading that arrives a second after the previous one."""
    table = DeltaTable(str(dashboard.lake / "received_readings"))
    moment = dashboard.end + timedelta(minutes=1, seconds=table.version())
    reading = hostile_reading(dashboard.end) | {
        "building_id": "building-0", "device_id": "meter-0", "kafka_offset": table.version(), "kafka_timestamp": moment,
        "measured_at": dashboard.end - timedelta(hours=1), "accepted": accepted,
        "rejected_for": [] if accepted else ["not_json"],
    }  # fmt: skip
    append(dashboard.lake, "received_readings", [reading])
