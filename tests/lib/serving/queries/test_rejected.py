"""Rejected readings, one by one and counted by rule."""

from pathlib import Path

from tests.lib.serving.conftest import ServedClient
from tests.lib.serving.http import get, pages, rows


def test_rejected_come_newest_first_in_pages_with_their_reasons(client: ServedClient, state: Path) -> None:
    ledger = rows(state, "received_readings").query("not accepted").sort_values("kafka_timestamp", ascending=False)
    rejected = pages(client, "/v1/rejected", limit=3)
    assert [row["kafka_offset"] for row in rejected] == list(ledger.kafka_offset)
    assert [row["payload"].encode() for row in rejected] == list(ledger.raw_payload)
    one = pages(client, "/v1/rejected", limit=1, rule="not_json")
    assert [row["rejected_for"] for row in one] == [["not_json"]] * len(one)
    summary = {row["rule"]: row["records"] for row in get(client, "/v1/rejected/summary")["items"]}
    assert summary == ledger.rejected_for.explode().value_counts().to_dict()
    assert summary["not_json"] == len(one)
