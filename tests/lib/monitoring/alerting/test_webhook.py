"""The webhook gets each change of an alert once and in order, however many share a time, and survives a damaged cursor file."""

import json
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pandas as pd
import pytest

from wattcast.monitoring.alerting import webhook
from wattcast.monitoring.alerting.webhook import Webhook
from wattcast.runtime.context import Run

NOW = datetime(2026, 3, 1, 12)


class Hook(BaseHTTPRequestHandler):
    """Accepts every request."""

    received: list[str] = []  # noqa: RUF012 (emptied by the fixture)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        Hook.received += [f"{alert['alert_id']}/{alert['state']}" for alert in body["alerts"]]
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    """Three changes per request, so that a few changes need several requests."""
    monkeypatch.setattr(webhook, "MAX_CHANGES", 3)
    Hook.received = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    Thread(target=server.serve_forever, daemon=True).start()
    yield Webhook(f"http://127.0.0.1:{server.server_address[1]}/", 5, tmp_path / "state" / "webhook.json")
    server.shutdown()


def put(run: Run, *changes: tuple[str, str], created_at: datetime) -> None:
    """Alerts by id and state, all written at one time."""
    rows = [
        {
            "alert_id": name, "state": state, "changed_at": NOW, "rule": "meter_silent", "severity": "warning",
            "scope": "device", "subject": name, "started_at": NOW, "threshold": 180.0, "message": "silent",
            "created_at": created_at,
        }
        for name, state in changes
    ]  # fmt: skip
    run.lake.append("alerts", lambda _: run.lake.frame("alerts", pd.DataFrame(rows)))


def test_more_changes_of_one_time_than_fit_into_a_request_are_sent_in_several(once: Run, hook: Webhook) -> None:
    put(once, ("z", "firing"), ("y", "firing"), created_at=NOW)
    put(once, *((f"a{number}", "firing") for number in range(8)), created_at=NOW + timedelta(minutes=5))
    for _ in range(4):
        assert hook.deliver(once.lake.table("alerts"))
    assert Hook.received == ["y/firing", "z/firing", *(f"a{number}/firing" for number in range(8))]
    put(once, ("a0", "resolved"), created_at=NOW + timedelta(minutes=10))
    hook.deliver(once.lake.table("alerts"))
    hook.deliver(once.lake.table("alerts"))
    assert Hook.received[10:] == ["a0/resolved"]


@pytest.mark.parametrize("left", ['{"created_at": "2026-03-', "[]", '{"created_at": 5, "alert_id": "a", "state": "b"}'])
def test_a_damaged_cursor_file_is_replaced_with_a_warning(
    once: Run, hook: Webhook, left: str, caplog: pytest.LogCaptureFixture
) -> None:
    put(once, ("a", "firing"), created_at=NOW)
    hook.cursor_file.parent.mkdir()
    hook.cursor_file.write_text(left)
    with caplog.at_level(logging.WARNING):
        assert hook.deliver(once.lake.table("alerts"))
    assert "webhook.json cannot be read" in caplog.text
    assert [file.name for file in hook.cursor_file.parent.iterdir()] == ["webhook.json"]
    hook.deliver(once.lake.table("alerts"))
    assert Hook.received == ["a/firing"]
