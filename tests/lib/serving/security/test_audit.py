"""Reads of raw payloads are written to the audit log."""

import json
import logging
from pathlib import Path

import pytest
from tests.lib.serving.conftest import ServedClient, served, settings_of

from wattcast.serving.security.keys import ApiKeys


def audit_lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    return [json.loads(record.getMessage()) for record in caplog.records if record.name == "wattcast.audit"]


def test_read_of_payloads_is_one_line_with_the_id_of_the_key(
    state: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "wattcast.audit")
    key, text = ApiKeys(tmp_path / "keys.json").create("reader", ("read",))
    with served(settings_of(state, keys_file=str(tmp_path / "keys.json")), auth=True) as client:
        headers = {"X-API-Key": text}
        query = {
            "building_id": "building-0",
            "limit": "3",
            "from": "2026-03-01T00:00:00Z",
            "to": "2026-03-14T00:00:00Z",
        }
        rows = client.get("/v1/rejected", params=query | {"format": "csv"}, headers=headers).text.splitlines()[1:]
        for path in ("/v1/rejected/summary", "/v1/alerts", "/v1/rejected?from=yesterday"):
            client.get(path, headers=headers)
        assert client.get("/v1/rejected").status_code == 401
    (line,) = audit_lines(caplog)
    assert str(line.pop("at")).endswith("Z")
    assert line == {
        "event": "payloads_read", "key_id": key.key_id, "address": "127.0.0.1", "route": "/v1/rejected", "rows": 3,
        "filter": {"building_id": "building-0", "from": query["from"], "to": query["to"]},
    }  # fmt: skip
    assert len(rows) == 3
    assert text not in caplog.text


def test_read_without_keys_is_logged_with_the_address(client: ServedClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "wattcast.audit")
    client.get("/v1/rejected", params={"rule": "no-such"})
    (line,) = audit_lines(caplog)
    assert (line["key_id"], line["address"], line["rows"]) == (None, "127.0.0.1", 0)
