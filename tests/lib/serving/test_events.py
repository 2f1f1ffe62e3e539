"""Server-sent events: what is new, told once, to whoever may hear it, for as long as they may."""

import asyncio
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.lib.serving.conftest import served, settings_of
from tests.lib.serving.lake import END, append, forecasts_of, write_lake

from wattcast.serving import feed as feeds
from wattcast.serving.feed import Event, Feed, Wanted
from wattcast.serving.keys import Keys
from wattcast.serving.snapshot import Snapshot

EVERYTHING = Wanted(frozenset({"forecast", "alert", "as_of"}))


def events(
    client: httpx.Client, wanted: int, act: threading.Thread | None, query: str = "", **headers: str
) -> list[dict[str, str]]:
    """The first events of a stream; `act` begins when it is open."""
    found: list[dict[str, str]] = [{}]
    with client.stream("GET", f"/v1/events{query}", headers=headers) as stream:
        for line in stream.iter_lines():
            if act and line.startswith("retry"):
                act.start()
            name, _, value = line.partition(": ")
            if name in ("id", "event", "data"):
                found[-1][name] = value
            elif not line and found[-1]:
                found.append({})
            if len(found) > wanted:
                return found[:wanted]
    raise AssertionError("the stream has ended")


def test_new_forecasts_are_told_and_missed_ones_too(tmp_path: Path) -> None:
    names = write_lake(tmp_path / "lake", buildings=2, days=2)
    with served(settings_of(tmp_path)) as client:
        lake, next_hour = tmp_path / "lake", forecasts_of(names, END.replace(hour=1))
        found = events(client, 2, threading.Thread(target=append, args=(lake, "forecasts", next_hour)))
        assert {json.loads(each["data"])["building_id"] for each in found} == set(names)
        assert {each["event"] for each in found} == {"forecast"}
        again = events(client, 1, None, **{"Last-Event-ID": found[0]["id"]})
        assert again == found[1:]
        forgotten = events(client, 1, None, **{"Last-Event-ID": "other-7"})
        assert forgotten[0]["event"] == "missed"


def test_all_new_forecasts_of_a_commit_are_one_event_for_whoever_asks_for_that(tmp_path: Path) -> None:
    names = write_lake(tmp_path / "lake", buildings=2, days=2)
    with served(settings_of(tmp_path)) as client:
        lake, next_hour = tmp_path / "lake", forecasts_of(names, END.replace(hour=1))
        writes = threading.Thread(target=append, args=(lake, "forecasts", next_hour))
        found = events(client, 1, writes, "?kind=forecasts&kind=alert&building_id=building-0")
    assert [each["event"] for each in found] == ["forecasts"]
    assert json.loads(found[0]["data"]) == {"forecasts": 2, "origin": "2026-03-15T01:00:00Z"}


def test_alert_without_a_finite_value_is_still_json(tmp_path: Path) -> None:
    write_lake(tmp_path / "lake", buildings=2, days=2)
    alert = {
        "alert_id": "new", "rule": "r", "severity": "warning", "scope": "fleet", "subject": "fleet", "state": "firing",
        "started_at": END, "changed_at": END, "created_at": END, "message": "Look.", "value": float("nan"),
        "threshold": float("inf"),
    }  # fmt: skip
    with served(settings_of(tmp_path)) as client:
        (found,) = events(client, 1, threading.Thread(target=append, args=(tmp_path / "lake", "alerts", [alert])))

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    data = json.loads(found["data"], parse_constant=refuse)
    assert (data["value"], data["threshold"], data["started_at"]) == (None, None, "2026-03-15T00:00:00Z")


def test_revoked_key_ends_its_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "HEARTBEAT_SECONDS", 0.2)
    write_lake(tmp_path / "lake", buildings=1, days=2)
    keys = Keys(tmp_path / "keys.json")
    key, text = keys.create("reader", ("read",))
    with (
        served(settings_of(tmp_path, keys_file=str(keys.file)), auth=True) as client,
        client.stream("GET", "/v1/events", headers={"X-API-Key": text}) as stream,
    ):
        lines = stream.iter_lines()
        assert next(lines) == ": wattcast"
        keys.revoke(key.key_id)
        assert "event: missed" not in list(lines)  # which has an end


def test_server_stops_while_streams_are_open(tmp_path: Path) -> None:
    write_lake(tmp_path / "lake", buildings=1, days=2)
    with served(settings_of(tmp_path)) as client, client.stream("GET", "/v1/events") as stream:
        lines = stream.iter_lines()
        next(lines)
        began = time.monotonic()
        client.server.should_exit = True  # type: ignore[attr-defined]
        list(lines)
        assert time.monotonic() - began < 5


def test_streams_are_counted_before_they_begin(tmp_path: Path) -> None:
    write_lake(tmp_path / "lake", buildings=1, days=2)
    with served(settings_of(tmp_path, max_event_streams=2)) as client:
        statuses, together = [], threading.Barrier(8)

        def one() -> None:
            together.wait(30)
            with client.stream("GET", "/v1/events") as stream:
                statuses.append(stream.status_code)
                together.wait(30)

        threads = [threading.Thread(target=one) for _ in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(30)
        assert sorted(statuses) == [200] * 2 + [503] * 6


def run(act: Callable[[Feed], Any]) -> Any:
    """What comes of a feed on a loop of its own."""

    async def bound() -> Any:
        feed = Feed()
        feed.bind(asyncio.get_running_loop())
        return await act(feed)

    return asyncio.run(bound())


def test_reader_who_wants_nothing_of_what_comes_hears_up_to_where_that_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "HEARTBEAT_SECONDS", 0.2)

    async def heard(feed: Feed) -> bytes:
        stream = feed.stream(None, Wanted(frozenset({"forecast"})))
        await anext(stream)

        async def keep_publishing() -> None:
            while True:
                feed.publish([Event("as_of", None, {})])
                await asyncio.sleep(0.02)

        noise = asyncio.create_task(keep_publishing())
        found = await asyncio.wait_for(anext(stream), 30)
        noise.cancel()
        return found

    comment, last_id, *_ = run(heard).decode().split("\n")
    assert comment == ": still here"
    assert int(last_id.rpartition("-")[2]) > 0


def test_large_commit_leaves_the_loop_to_others_between_the_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    as_json = feeds.as_json
    monkeypatch.setattr(feeds, "as_json", lambda value: written.append(value) or as_json(value))

    async def turns(feed: Feed) -> tuple[int, int]:
        heard = 0

        async def read() -> None:
            nonlocal heard
            async for piece in feed.stream(None, EVERYTHING):
                heard += piece.count(b"event: ")

        readers = [asyncio.create_task(read()) for _ in range(20)]
        await asyncio.sleep(0)
        feed.publish([Event("forecast", f"building-{number}", {"n": number}) for number in range(10_000)])
        turns = 0
        while heard < 20 * 10_000:
            await asyncio.sleep(0)
            turns += 1
        for each in readers:
            each.cancel()
        return turns, len(written)

    others_turns, times_written = run(turns)
    assert others_turns >= 10_000 / feeds.LOOKED_AT_ONCE
    assert times_written == 10_000


def test_snapshot_tells_what_is_new_in_the_order_of_the_tables(tmp_path: Path) -> None:
    names = write_lake(tmp_path / "lake", buildings=2, days=2)
    snapshot = Snapshot(settings_of(tmp_path))
    snapshot.refresh()

    async def told() -> bytes:
        snapshot.feed.bind(asyncio.get_running_loop())
        stream = snapshot.feed.stream(None, EVERYTHING)
        await anext(stream)
        append(tmp_path / "lake", "forecasts", forecasts_of(names, END.replace(hour=1)))
        snapshot.refresh()
        return await asyncio.wait_for(anext(stream), 30)

    assert asyncio.run(told()).count(b"event: forecast\n") == 2
