"""Bad input, a bad lake and wrong keys: the right status, a sentence, and nobody else is harmed."""

from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import httpx
import pytest
from tests.lib.serving.conftest import forecaster, served, settings_of
from tests.lib.serving.lake import END, append, forecasts_of, write_lake

from wattcast.serving.cursors import written
from wattcast.serving.keys import Keys
from wattcast.serving.server import Exposed, needs_keys

HOSTILE = [
    "x' OR '1'='1",
    "../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "a;DROP TABLE forecasts",
    "\U0001f3e0",
    "%00",
    "{id}",
]
OF_NO_TEXT = written("rejected", [END, "\ud800", 0, 0])  # half of a surrogate pair
DAY = {"from": "2026-03-13T00:00:00Z", "to": "2026-03-14T00:00:00Z"}


def problem(answer: httpx.Response, status: int) -> str:
    """The detail of a problem that is told as it must be."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert "Traceback" not in answer.text
    assert ".py" not in answer.text
    return str(body["detail"])


def refresh(client: httpx.Client) -> None:
    client.app.state.serving.snapshot.refresh()  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("path", ["", "/forecast", "/history"])
def test_hostile_id_is_just_unknown(client: httpx.Client, name: str, path: str) -> None:
    quoted = httpx.URL(f"/v1/buildings/{name.replace('/', '%2F')}{path}")
    assert "building" in problem(client.get(quoted), 404) or "nothing" in problem(client.get(quoted), 404)


@pytest.mark.parametrize(
    ("path", "query", "status", "says"),
    [
        ("/v1/nowhere", {}, 404, "There is nothing at /v1/nowhere."),
        ("/v1/buildings/nowhere/forecast", {}, 404, "There is no building nowhere."),
        ("/v1/buildings/building-0/forecast", {"as_of": "2026-03-14T12:00:00"}, 422, "and a zone"),
        ("/v1/buildings/building-0/forecast", {"as_of": "9999-12-31T23:59:59-14:00"}, 422, "there is no time"),
        ("/v1/buildings/building-0/forecast", {"as_of": "2020-01-01T00:00:00Z"}, 404, "had been issued"),
        ("/v1/buildings/building-0/history", {"from": DAY["to"], "to": DAY["from"]}, 422, "from must lie before to."),
        ("/v1/buildings/building-0/history", {"from": "2000-01-01T00:00:00Z"}, 422, "At most 366 days"),
        ("/v1/buildings", {"cursor": "!!"}, 400, "The cursor is none that this list of buildings has given"),
        ("/v1/rejected", {"cursor": "WyJidWlsZGluZ3MiLCAiYSJd"}, 400, "begin without one"),
        ("/v1/buildings", {"cursor": "WyJidWlsZGluZ3MiLCAiXHVkODAwIl0"}, 400, "begin without one"),
        ("/v1/rejected", {"cursor": OF_NO_TEXT}, 400, "begin without one"),
        ("/v1/forecasts", {"limit": 501}, 422, "at most 500 rows"),
        ("/v1/accuracy", {"by": "moon"}, 422, "by"),
    ],
)  # fmt: skip
def test_bad_request_is_a_sentence(
    client: httpx.Client, path: str, query: dict[str, object], status: int, says: str
) -> None:
    assert says in problem(client.get(path, params=query), status)  # type: ignore[arg-type]


def test_ten_thousand_ids_are_refused_with_the_limit(client: httpx.Client) -> None:
    ids = "&".join(f"building_id=building-{number}" for number in range(10_000))
    with pytest.raises(HTTPError) as refused:
        urlopen(f"{client.base_url.copy_with(path='/v1/forecasts')}?{ids}")
    assert refused.value.code == 422
    assert "At most 1000 building_id can be asked for at once, not 10000" in refused.value.read().decode()


def test_too_many_scored_hours_are_refused_with_the_limit(state: Path) -> None:
    with served(settings_of(state, max_scored_hours=1000)) as client:
        assert "at most 1,000 are summed up" in problem(client.get("/v1/accuracy"), 422)
        assert client.get("/v1/overview").json()["mae_kwh_7d"] is None


def test_other_methods_and_large_or_broken_bodies_are_refused(state: Path) -> None:
    with served(settings_of(state, max_body_megabytes=1), forecaster()) as client:
        assert "does not take DELETE" in problem(client.delete("/v1/alerts"), 405)
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


def test_missing_lake_is_said_and_taken_up_when_it_comes(tmp_path: Path) -> None:
    with served(settings_of(tmp_path)) as client:
        assert "The table forecasts of the lake cannot be read" in problem(client.get("/v1/buildings/a/forecast"), 503)
        assert problem(client.get("/v1/rejected"), 503)
        assert str(tmp_path) not in client.get("/v1/overview").text
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (503, "starting")
        write_lake(tmp_path / "lake", buildings=2, days=2)
        refresh(client)
        assert client.get("/readyz").json()["status"] == "ready"
        assert client.get("/v1/buildings/building-0/forecast").status_code == 200


def test_half_written_table_leaves_the_last_good_state_with_its_age(tmp_path: Path) -> None:
    names = write_lake(tmp_path / "lake", buildings=2, days=2)
    with served(settings_of(tmp_path)) as client:
        before = client.get(f"/v1/buildings/{names[0]}/forecast").json()
        append(tmp_path / "lake", "forecasts", forecasts_of(names, END))
        newest = max((tmp_path / "lake" / "forecasts").glob("*.parquet"), key=lambda file: file.stat().st_mtime_ns)
        newest.write_bytes(newest.read_bytes()[:100])
        refresh(client)
        found = client.get(f"/v1/buildings/{names[0]}/forecast").json()
        assert found["forecast_id"] == before["forecast_id"]
        assert found["age_seconds"] >= before["age_seconds"]
        ready = client.get("/readyz").json()
        assert ready["status"] == "degraded"
        assert "forecasts" in ready["problems"]


def test_lake_in_s3_that_does_not_answer_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("ENDPOINT_URL", "http://127.0.0.1:9"),
        ("ACCESS_KEY_ID", "a"),
        ("SECRET_ACCESS_KEY", "b"),
        ("REGION", "x"),
    ):
        monkeypatch.setenv(f"AWS_{name}", value)
    current = settings_of(tmp_path).model_copy(update={"lake": "s3a://bucket/lake"})
    with served(current) as client:
        assert "cannot be read now" in problem(client.get("/v1/overview"), 503)
        assert client.get("/healthz").status_code == 200


@pytest.fixture
def guarded(state: Path, tmp_path: Path) -> Iterator[httpx.Client]:
    keys = str(tmp_path / "keys.json")
    with served(settings_of(state, keys_file=keys, burst=5, requests_per_second=1), auth=True) as client:
        yield client


def test_keys_are_scoped_hashed_and_revocable(guarded: httpx.Client, tmp_path: Path) -> None:
    keys = Keys(tmp_path / "keys.json")
    key, text = keys.create("reader", ("read",))
    assert text not in keys.file.read_text()
    assert keys.file.stat().st_mode & 0o777 == 0o600
    served_keys = guarded.app.state.serving.keys  # type: ignore[attr-defined]
    served_keys._looked = float("-inf")
    assert guarded.get("/v1/alerts", headers={"Authorization": f"Bearer {text}"}).status_code == 200
    assert guarded.get("/v1/alerts", headers={"Authorization": f"bearer {text}"}).status_code == 200
    assert guarded.get("/v1/alerts", headers={"X-API-Key": text}).status_code == 200
    assert "scope forecast" in problem(guarded.post("/v1/forecasts", headers={"X-API-Key": text}), 403)
    assert "scope metrics" in problem(guarded.get("/metrics", headers={"X-API-Key": text}), 403)
    keys.revoke(key.key_id)
    served_keys._looked = float("-inf")
    refused = guarded.get("/v1/alerts", headers={"X-API-Key": text})
    assert "wrong or was revoked" in problem(refused, 401)
    assert refused.headers["www-authenticate"] == "Bearer"


def test_rate_is_limited_by_key_and_by_address(guarded: httpx.Client, tmp_path: Path) -> None:
    answers = [
        guarded.get("/v1/alerts", headers={"X-API-Key": f"wc_{number}_x", "X-Forwarded-For": f"10.0.0.{number}"})
        for number in range(8)
    ]
    assert [each.status_code for each in answers[:5]] == [401] * 5
    assert "Too many" in problem(answers[-1], 429)
    assert int(answers[-1].headers["retry-after"]) >= 1
    _, text = Keys(tmp_path / "keys.json").create("other", ("read",))
    guarded.app.state.serving.keys._looked = float("-inf")  # type: ignore[attr-defined]
    assert guarded.get("/v1/alerts", headers={"X-API-Key": text}).status_code == 200
    assert guarded.get("/healthz").status_code == 200


def test_open_address_without_keys_must_be_allowed(state: Path) -> None:
    def needed(**serving: object) -> bool:
        return needs_keys(settings_of(state, **serving).serving)

    assert [needed(), needed(host="::1"), needed(host="0.0.0.0"), needed(auth="on")] == [False, False, True, True]
    with pytest.raises(Exposed, match=r"everyone who reaches 0\.0\.0\.0"):
        needed(host="0.0.0.0", auth="off")
    assert not needed(host="0.0.0.0", auth="off", allow_open=True)
