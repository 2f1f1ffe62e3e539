"""Measurements over time and the latest ones, and alerts."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.lib.serving.conftest import ServedClient, served, settings_of
from tests.lib.serving.http import get, pages, rows
from tests.lib.serving.lake import append, write_lake


def test_health_pages_and_newest_measurements(client: ServedClient, state: Path) -> None:
    table = rows(state, "health")
    measurements = pages(client, "/v1/health", measure="completeness", limit=100)
    assert len(measurements) == (table.measure == "completeness").sum()
    newest = pages(client, "/v1/health", latest=True, limit=7)
    assert len(newest) == len(table.drop_duplicates(["measure", "scope", "subject"]))
    assert {row["as_of"] for row in newest} == {"2026-03-15T00:00:00Z"}


@pytest.mark.parametrize("limit", [3, 100])
def test_health_is_thinned_to_the_newest_of_each_span_whatever_the_pages(
    client: ServedClient, state: Path, limit: int
) -> None:
    table = rows(state, "health").query("scope == 'fleet' and as_of > '2026-03-10T00:00:00Z'")
    newest_of_day = table.assign(day=table.as_of.dt.floor("D")).groupby(["measure", "day"]).as_of.max()
    measurements = pages(
        client, "/v1/health", scope="fleet", every=24 * 60, limit=limit, **{"from": "2026-03-10T00:00:01Z"}
    )
    assert sorted((row["measure"], row["as_of"]) for row in measurements) == sorted(
        (measure, f"{as_of:%Y-%m-%dT%H:%M:%SZ}") for (measure, _), as_of in newest_of_day.items()
    )


def test_replay_of_old_readings_keeps_its_measurements_beside_the_progress_of_its_jobs(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    lake, end = tmp_path / "lake", now - timedelta(days=60)
    write_lake(lake, buildings=2, days=9, end=end)
    measured = rows(tmp_path, "health").query("as_of == as_of.max()").assign(measured_at=now - timedelta(minutes=5))
    append(lake, "health", measured)
    lag = {"measure": "stream_lag_records", "scope": "query", "subject": "ingest", "value": 5.0, "samples": 1}
    append(lake, "health", [lag | {"as_of": now, "measured_at": now}])
    with served(settings_of(tmp_path)) as client:
        overview = get(client, "/v1/overview")
        assert overview["completeness_24h"] is not None
        assert overview["measured"]["completeness_24h"]["as_of"] < overview["now"] < overview["server_time"]
        newest = get(client, "/v1/health", measure="stream_lag_records", subject="ingest", latest=True)["items"]
        assert [row["value"] for row in newest] == [5.0]
        since = (now - timedelta(days=1)).isoformat().replace("+00:00", "Z")
        measurements = get(
            client, "/v1/health", scope="query", subject="ingest", clock="measured_at", **{"from": since}
        )
        assert 5.0 in {row["value"] for row in measurements["items"]}


def test_alerts_by_state(client: ServedClient) -> None:
    assert [row["rule"] for row in get(client, "/v1/alerts", severity="critical")["items"]] == ["meter_silent"]
    assert [row["rule"] for row in pages(client, "/v1/alerts", limit=1)] == ["meter_silent", "meter_stuck"]
    assert [row["rule"] for row in get(client, "/v1/alerts", state="resolved")["items"]] == ["meter_late"]
    assert len(get(client, "/v1/alerts", state="all")["items"]) == 3
