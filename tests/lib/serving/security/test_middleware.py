"""API keys, rate limits, body sizes and methods, before any route runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lib.serving.conftest import ServedClient, forecaster, served, settings_of
from tests.lib.serving.http import problem

from wattcast.serving.security.keys import ApiKeys


def test_other_methods_and_large_or_broken_bodies_are_refused(state: Path) -> None:
    with served(settings_of(state, max_body_megabytes=1), forecaster()) as client:
        assert "does not support the method DELETE" in problem(client.delete("/v1/alerts"), 405)
        assert "larger" in problem(client.post("/v1/forecasts", content=b"x" * 1_100_000), 413)
        parts = (b"x" * 100_000 for _ in range(12))  # of a length that is not said before
        assert "larger" in problem(client.post("/v1/forecasts", content=parts), 413)
        problem(client.post("/v1/forecasts", content=b"{", headers={"Content-Type": "application/json"}), 422)
        time_without_zone = {"readings": [{"measured_at": "2026-03-14T22:00:00", "energy_usage_kwh": 1}]}
        assert "zone" in problem(client.post("/v1/forecasts", json=time_without_zone), 422)
        negative = {"readings": [{"measured_at": "2026-03-14T22:00:00Z", "energy_usage_kwh": -1}]}
        assert "negative" in problem(client.post("/v1/forecasts", json=negative), 422)
        infinite = b'{"readings": [{"measured_at": "2026-03-14T22:00:00Z", "energy_usage_kwh": 1e999}]}'
        problem(client.post("/v1/forecasts", content=infinite, headers={"Content-Type": "application/json"}), 422)


@pytest.fixture
def guarded(state: Path, tmp_path: Path) -> Iterator[ServedClient]:
    keys = str(tmp_path / "keys.json")
    with served(settings_of(state, keys_file=keys, burst=5, requests_per_second=1), auth=True) as client:
        yield client


def test_keys_are_scoped_hashed_and_revocable(guarded: ServedClient, tmp_path: Path) -> None:
    keys = ApiKeys(tmp_path / "keys.json")
    key, text = keys.create("reader", ("read",))
    assert text not in keys.file.read_text()
    assert keys.file.stat().st_mode & 0o777 == 0o600
    served_keys = guarded.state.keys
    served_keys._checked_at = float("-inf")
    assert guarded.get("/v1/alerts", headers={"Authorization": f"Bearer {text}"}).status_code == 200
    assert guarded.get("/v1/alerts", headers={"Authorization": f"bearer {text}"}).status_code == 200
    assert guarded.get("/v1/alerts", headers={"X-API-Key": text}).status_code == 200
    assert "scope forecast" in problem(guarded.post("/v1/forecasts", headers={"X-API-Key": text}), 403)
    assert "scope metrics" in problem(guarded.get("/metrics", headers={"X-API-Key": text}), 403)
    keys.revoke(key.key_id)
    served_keys._checked_at = float("-inf")
    refused = guarded.get("/v1/alerts", headers={"X-API-Key": text})
    assert "wrong or was revoked" in problem(refused, 401)
    assert refused.headers["www-authenticate"] == "Bearer"


def test_rate_is_limited_by_key_and_by_address(guarded: ServedClient, tmp_path: Path) -> None:
    answers = [
        guarded.get("/v1/alerts", headers={"X-API-Key": f"wc_{number}_x", "X-Forwarded-For": f"10.0.0.{number}"})
        for number in range(8)
    ]
    assert [answer.status_code for answer in answers[:5]] == [401] * 5
    assert "Too many" in problem(answers[-1], 429)
    assert int(answers[-1].headers["retry-after"]) >= 1
    _, text = ApiKeys(tmp_path / "keys.json").create("other", ("read",))
    guarded.state.keys._checked_at = float("-inf")
    assert guarded.get("/v1/alerts", headers={"X-API-Key": text}).status_code == 200
    assert guarded.get("/healthz").status_code == 200


def test_head_is_answered_like_get_without_a_body(client: ServedClient) -> None:
    got, head = client.get("/v1/alerts"), client.head("/v1/alerts")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == got.headers["etag"]
    assert client.head("/v1/events").status_code == 405


def test_forwarded_address_is_used_only_from_a_trusted_proxy(state: Path, tmp_path: Path) -> None:
    def statuses(**serving: str) -> list[int]:
        keys = str(tmp_path / "keys.json")
        current = settings_of(state, keys_file=keys, burst=3, requests_per_second=1, **serving)
        with served(current, auth=True) as client:
            return [
                client.get("/v1/alerts", headers={"X-Forwarded-For": f"10.0.0.{number}"}).status_code
                for number in range(6)
            ]

    assert statuses()[-1] == 429
    assert statuses(trusted_proxies="127.0.0.1") == [401] * 6
