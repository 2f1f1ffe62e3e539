"""Server-sent events: what is new in the lake. A ring buffer bounds what is kept for clients that reconnect."""

import asyncio
import threading
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from wattcast.serving.responses.encodings import to_json

HEARTBEAT_SECONDS = 15
MAX_EVENTS = 25_000
BATCH_EVENTS = 500
MAX_ID_DIGITS = 15


@dataclass(frozen=True)
class Event:
    kind: str
    building_id: str | None
    data: dict[str, Any]


@dataclass(frozen=True)
class EventFilter:
    """The events of a stream: of some kinds and, where building ids are given, of these buildings. An event without a building
    passes for every building."""

    kinds: frozenset[str]
    building_ids: frozenset[str] = frozenset()

    def __call__(self, event: Event) -> bool:
        is_of_building = not self.building_ids or event.building_id is None or event.building_id in self.building_ids
        return event.kind in self.kinds and is_of_building


class EventFeed:
    """Events in order, each encoded once for all streams. `publish` may be called from any thread; every stream reads at its own
    pace and yields to the event loop after each batch."""

    def __init__(self) -> None:
        self._run_id = uuid.uuid4().hex[:8]  # tells event ids of an earlier process apart
        self._ring: deque[tuple[Event, bytes]] = deque(maxlen=MAX_EVENTS)
        self._last_number, self._published = 0, 0
        self._publish_lock = threading.Lock()
        self._waiting: set[asyncio.Future[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False
        self.open_streams = 0

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Set the event loop of the streams."""
        self._loop = loop

    def close(self) -> None:
        """End every stream."""
        self._is_closed = True
        self._wake()

    def publish(self, events: Iterable[Event]) -> None:
        with self._publish_lock:
            new = list(events)
            if new and self._loop and not self._loop.is_closed():
                numbered = enumerate(new, self._last_number + 1)
                encoded = [(event, self._encoded(event, number)) for number, event in numbered]
                self._last_number += len(new)
                self._loop.call_soon_threadsafe(self._append, encoded)

    def clear(self) -> None:
        """Forget every event. A client that has not read them gets `missed`."""
        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._ring.clear)

    async def stream(self, last_event_id: str | None, accepts: Callable[[Event], bool]) -> AsyncIterator[bytes]:
        """The accepted events after `last_event_id`, or from now on, until the feed is closed. Starts with `missed` where some of
        them are no longer kept. Where no event is accepted, a comment as heartbeat carries the id up to which there was none."""
        position, is_missed = self._position(last_event_id)
        yield b": wattcast\nretry: 3000\n\n"
        if is_missed:
            yield self._missed("Events were missed: load the data again.", position)
        clock = asyncio.get_running_loop().time
        sent_at = clock()
        while not self._is_closed:
            if position < self._published - len(self._ring):
                position = self._published
                chunk = self._missed("Events were missed because the client reads too slowly.", position)
            else:
                position, chunk = self._next_batch(position, accepts)
            if clock() - sent_at >= HEARTBEAT_SECONDS:
                chunk = chunk or f": still here\nid: {self._run_id}-{position}\n\n".encode()
            if chunk:
                yield chunk
                sent_at = clock()
            if position < self._published:
                await asyncio.sleep(0)
            else:
                await self._wait_for_events(sent_at + HEARTBEAT_SECONDS - clock())

    def _next_batch(self, position: int, accepts: Callable[[Event], bool]) -> tuple[int, bytes]:
        """The accepted events among the next BATCH_EVENTS, and the position behind these."""
        oldest = self._published - len(self._ring)
        end = min(position + BATCH_EVENTS, self._published)
        batch = islice(self._ring, position - oldest, end - oldest)
        return end, b"".join(encoded for event, encoded in batch if accepts(event))

    def _position(self, last_event_id: str | None) -> tuple[int, bool]:
        """Where a stream starts, and whether events before it are lost."""
        run_id, _, number = (last_event_id or "").partition("-")
        if not last_event_id:
            return self._published, False
        is_valid = run_id == self._run_id and number.isascii() and number.isdecimal() and len(number) <= MAX_ID_DIGITS
        position = int(number) if is_valid else -1
        if self._published - len(self._ring) <= position <= self._published:
            return position, False
        return self._published, True

    def _append(self, events: list[tuple[Event, bytes]]) -> None:
        self._ring.extend(events)
        self._published += len(events)
        self._wake()

    def _wake(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    async def _wait_for_events(self, timeout_seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        await asyncio.wait([future], timeout=max(0.0, timeout_seconds))
        self._waiting.discard(future)

    def _missed(self, detail: str, number: int) -> bytes:
        return self._encoded(Event("missed", None, {"detail": detail}), number)

    def _encoded(self, event: Event, number: int) -> bytes:
        head = f"id: {self._run_id}-{number}\nevent: {event.kind}\ndata: "
        return head.encode() + to_json(event.data) + b"\n\n"
