"""The webhook hears of each change of an alert once, in order, however many share a time and whatever became of its memory."""

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

from wattcast import webhook
from wattcast.job import Run
from wattcast.webhook import Webhook

NOW = datetime(2026, 3, 1, 12)


class Hook(BaseHTTPRequestHandler):
    """Takes everything."""

    got: list[str] = []  # noqa: RUF012 (emptied by the fixture)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        Hook.got += [f"{each['alert_id']}/{each['state']}" for each in body["alerts"]]
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    """Three changes a request, so that a few make many."""
    monkeypatch.setattr(webhook, "MOST_AT_ONCE", 3)
    Hook.got = []
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


def test_more_changes_of_one_time_than_a_request_holds_are_told_one_after_the_other(once: Run, hook: Webhook) -> None:
    put(once, ("z", "firing"), ("y", "firing"), created_at=NOW)
    put(once, *((f"a{number}", "firing") for number in range(8)), created_at=NOW + timedelta(minutes=5))
    for _ in range(4):
        assert hook.tell(once.lake.table("alerts"))
    assert Hook.got == ["y/firing", "z/firing", *(f"a{number}/firing" for number in range(8))]
    put(once, ("a0", "resolved"), created_at=NOW + timedelta(minutes=10))
    hook.tell(once.lake.table("alerts"))
    hook.tell(once.lake.table("alerts"))
    assert Hook.got[10:] == ["a0/resolved"]


@pytest.mark.parametrize("left", ['{"created_at": "2026-03-', "[]", '{"created_at": 5, "alert_id": "a", "state": "b"}'])
def test_a_memory_that_is_damaged_is_begun_anew_with_a_warning(
    once: Run, hook: Webhook, left: str, caplog: pytest.LogCaptureFixture
) -> None:
    put(once, ("a", "firing"), created_at=NOW)
    hook.memory.parent.mkdir()
    hook.memory.write_text(left)
    with caplog.at_level(logging.WARNING):
        assert hook.tell(once.lake.table("alerts"))
    assert "webhook.json cannot be read" in caplog.text
    assert [each.name for each in hook.memory.parent.iterdir()] == ["webhook.json"]
    hook.tell(once.lake.table("alerts"))
    assert Hook.got == ["a/firing"]
