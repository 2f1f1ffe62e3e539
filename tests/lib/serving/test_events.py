"""Server-sent events: every stream gets each new event once, as long as its key is valid."""

import asyncio
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from tests.lib.serving.conftest import ServedClient, served, settings_of
from tests.lib.serving.lake import END, append, forecasts_of, write_lake

from wattcast.serving import events as event_feed
from wattcast.serving.events import Event, EventFeed, EventFilter
from wattcast.serving.security.keys import ApiKeys
from wattcast.serving.tables.snapshot import Snapshot

EVERYTHING = EventFilter(frozenset({"forecast", "alert", "as_of"}))


def events(
    client: ServedClient, count: int, act: threading.Thread | None, query: str = "", **headers: str
) -> list[dict[str, str]]:
    """The first `count` events of a stream; `act` starts when the stream is open."""
    received: list[dict[str, str]] = [{}]
    with client.stream("GET", f"/v1/events{query}", headers=headers) as stream:
        for line in stream.iter_lines():
            if act and line.startswith("retry"):
                act.start()
            name, _, value = line.partition(": ")
            if name in ("id", "event", "data"):
                received[-1][name] = value
            elif not line and received[-1]:
                received.append({})
            if len(received) > count:
                return received[:count]
    raise AssertionError("the stream has ended")


def test_new_forecasts_are_sent_and_missed_ones_after_a_reconnect(tmp_path: Path) -> None:
    names = write_lake(tmp_path / "lake", buildings=2, days=2)
    with served(settings_of(tmp_path)) as client:
        lake, next_hour = tmp_path / "lake", forecasts_of(names, END.replace(hour=1))
        received = events(client, 2, threading.Thread(target=append, args=(lake, "forecasts", next_hour)))
        assert {json.loads(item["data"])["building_id"] for item in received} == set(names)
        assert {item["event"] for item in received} == {"forecast"}
        again = events(client, 1, None, **{"Last-Event-ID": received[0]["id"]})
        assert again == received[1:]
        forgotten = events(client, 1, None, **{"Last-Event-ID": "other-7"})
        assert forgotten[0]["event"] == "missed"


def test_events_are_forgotten_when_rows_are_removed(tmp_path: Path) -> None:
    names = write_lake(tmp_path / "lake", buildings=2, days=2)
    with served(settings_of(tmp_path)) as client:
        lake, next_hour = tmp_path / "lake", forecasts_of(names, END.replace(hour=1))
        received = events(client, 2, threading.Thread(target=append, args=(lake, "forecasts", next_hour)))
        DeltaTable(str(lake / "forecasts")).restore(0)
        client.refresh()
        again = events(client, 1, None, **{"Last-Event-ID": received[0]["id"]})
    assert [item["event"] for item in again] == ["missed"]


def test_new_forecasts_of_a_commit_are_one_event_of_the_kind_forecasts(tmp_path: Path) -> None:
    names = write_lake(tmp_path / "lake", buildings=2, days=2)
    with served(settings_of(tmp_path)) as client:
        lake, next_hour = tmp_path / "lake", forecasts_of(names, END.replace(hour=1))
        writes = threading.Thread(target=append, args=(lake, "forecasts", next_hour))
        received = events(client, 1, writes, "?kind=forecasts&kind=alert&building_id=building-0")
    assert [item["event"] for item in received] == ["forecasts"]
    assert json.loads(received[0]["data"]) == {"forecasts": 2, "origin": "2026-03-15T01:00:00Z"}


def test_alert_without_a_finite_value_is_still_json(tmp_path: Path) -> None:
    write_lake(tmp_path / "lake", buildings=2, days=2)
    alert = {
        "alert_id": "new", "rule": "r", "severity": "warning", "scope": "fleet", "subject": "fleet", "state": "firing",
        "started_at": END, "changed_at": END, "created_at": END, "message": "Look.", "value": float("nan"),
        "threshold": float("inf"),
    }  # fmt: skip
    with served(settings_of(tmp_path)) as client:
        (received,) = events(client, 1, threading.Thread(target=append, args=(tmp_path / "lake", "alerts", [alert])))

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    data = json.loads(received["data"], parse_constant=refuse)
    assert (data["value"], data["threshold"], data["started_at"]) == (None, None, "2026-03-15T00:00:00Z")


def test_revoked_key_ends_its_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_feed, "HEARTBEAT_SECONDS", 0.2)
    write_lake(tmp_path / "lake", buildings=1, days=2)
    keys = ApiKeys(tmp_path / "keys.json")
    key, text = keys.create("reader", ("read",))
    with (
        served(settings_of(tmp_path, keys_file=str(keys.file)), auth=True) as client,
        client.stream("GET", "/v1/events", headers={"X-API-Key": text}) as stream,
    ):
        lines = stream.iter_lines()
        assert next(lines) == ": wattcast"
        keys.revoke(key.key_id)
        assert "event: missed" not in list(lines)  # the stream ends


def test_server_stops_while_streams_are_open(tmp_path: Path) -> None:
    write_lake(tmp_path / "lake", buildings=1, days=2)
    with served(settings_of(tmp_path)) as client, client.stream("GET", "/v1/events") as stream:
        lines = stream.iter_lines()
        next(lines)
        began = time.monotonic()
        client.server.should_exit = True
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
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert sorted(statuses) == [200] * 2 + [503] * 6


def run(act: Callable[[EventFeed], Any]) -> Any:
    """The result of `act` with a new feed on a new event loop."""

    async def bound() -> Any:
        feed = EventFeed()
        feed.bind(asyncio.get_running_loop())
        return await act(feed)

    return asyncio.run(bound())


def test_heartbeat_has_the_id_up_to_which_no_event_was_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_feed, "HEARTBEAT_SECONDS", 0.2)

    async def received_count(feed: EventFeed) -> bytes:
        stream = feed.stream(None, EventFilter(frozenset({"forecast"})))
        await anext(stream)

        async def keep_publishing() -> None:
            while True:
                feed.publish([Event("as_of", None, {})])
                await asyncio.sleep(0.02)

        noise = asyncio.create_task(keep_publishing())
        received = await asyncio.wait_for(anext(stream), 30)
        noise.cancel()
        return received

    comment, last_id, *_ = run(received_count).decode().split("\n")
    assert comment == ": still here"
    assert int(last_id.rpartition("-")[2]) > 0


def test_large_commit_yields_to_the_event_loop_between_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    to_json = event_feed.to_json
    monkeypatch.setattr(event_feed, "to_json", lambda value: written.append(value) or to_json(value))

    async def turns(feed: EventFeed) -> tuple[int, int]:
        received_count = 0

        async def read() -> None:
            nonlocal received_count
            async for piece in feed.stream(None, EVERYTHING):
                received_count += piece.count(b"event: ")

        readers = [asyncio.create_task(read()) for _ in range(20)]
        await asyncio.sleep(0)
        feed.publish([Event("forecast", f"building-{number}", {"n": number}) for number in range(10_000)])
        turns = 0
        while received_count < 20 * 10_000:
            await asyncio.sleep(0)
            turns += 1
        for reader in readers:
            reader.cancel()
        return turns, len(written)

    others_turns, times_written = run(turns)
    assert others_turns >= 10_000 / event_feed.BATCH_EVENTS
    assert times_written == 10_000


def test_snapshot_publishes_an_event_for_each_new_forecast(tmp_path: Path) -> None:
    names = write_lake(tmp_path / "lake", buildings=2, days=2)
    snapshot = Snapshot(settings_of(tmp_path))
    snapshot.refresh()

    async def first_batch() -> bytes:
        snapshot.events.bind(asyncio.get_running_loop())
        stream = snapshot.events.stream(None, EVERYTHING)
        await anext(stream)
        append(tmp_path / "lake", "forecasts", forecasts_of(names, END.replace(hour=1)))
        snapshot.refresh()
        return await asyncio.wait_for(anext(stream), 30)

    assert asyncio.run(first_batch()).count(b"event: forecast\n") == 2
