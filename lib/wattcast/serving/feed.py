"""Server-sent events: what is new in the lake, from a ring that bounds what is remembered for whoever comes back."""

import asyncio
import threading
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from wattcast.serving.formats import as_json

HEARTBEAT_SECONDS = 15
REMEMBERED = 25_000
LOOKED_AT_ONCE = 500


@dataclass(frozen=True)
class Event:
    kind: str
    building_id: str | None
    data: dict[str, Any]


@dataclass(frozen=True)
class Wanted:
    """The events that a reader asks for; those that belong to no building are of every building."""

    kinds: frozenset[str]
    building_ids: frozenset[str] = frozenset()

    def __call__(self, event: Event) -> bool:
        is_of_building = not self.building_ids or event.building_id is None or event.building_id in self.building_ids
        return event.kind in self.kinds and is_of_building


class Feed:
    """Events in order, each written once for all readers. `publish` may be called from any thread; every reader goes at its own
    pace, and lets others have the loop after each piece."""

    def __init__(self) -> None:
        self._run = uuid.uuid4().hex[:8]  # ids of an earlier process are not ours
        self._ring: deque[tuple[Event, bytes]] = deque(maxlen=REMEMBERED)
        self._numbered, self._published = 0, 0
        self._publishing = threading.Lock()
        self._waiting: set[asyncio.Future[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False
        self.readers = 0

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Readers live on this loop."""
        self._loop = loop

    def close(self) -> None:
        """Every stream ends."""
        self._is_closed = True
        self._wake()

    def publish(self, events: Iterable[Event]) -> None:
        with self._publishing:
            found = list(events)
            if found and self._loop and not self._loop.is_closed():
                written = [(each, self._written(each, at)) for at, each in enumerate(found, self._numbered + 1)]
                self._numbered += len(found)
                self._loop.call_soon_threadsafe(self._append, written)

    async def stream(self, last_event_id: str | None, wanted: Callable[[Event], bool]) -> AsyncIterator[bytes]:
        """The events after `last_event_id`, or from now on, until the feed is closed. Begins with `missed` where some are
        forgotten. A reader of whose events none come hears a comment, with the id up to which there were none."""
        at, is_missed = self._position(last_event_id)
        yield b": wattcast\nretry: 3000\n\n"
        if is_missed:
            yield self._missed("Events were missed: read anew what you show.", at)
        clock = asyncio.get_running_loop().time
        sent_at = clock()
        while not self._is_closed:
            if at < self._published - len(self._ring):
                at = self._published
                piece = self._missed("Too slow: events were missed.", at)
            else:
                at, piece = self._piece(at, wanted)
            if clock() - sent_at >= HEARTBEAT_SECONDS:
                piece = piece or f": still here\nid: {self._run}-{at}\n\n".encode()
            if piece:
                yield piece
                sent_at = clock()
            if at < self._published:
                await asyncio.sleep(0)
            else:
                await self._news(sent_at + HEARTBEAT_SECONDS - clock())

    def _piece(self, at: int, wanted: Callable[[Event], bool]) -> tuple[int, bytes]:
        """How far was looked from a number on, and what is wanted of that."""
        oldest = self._published - len(self._ring)
        upto = min(at + LOOKED_AT_ONCE, self._published)
        return upto, b"".join(line for event, line in islice(self._ring, at - oldest, upto - oldest) if wanted(event))

    def _position(self, last_event_id: str | None) -> tuple[int, bool]:
        run, _, number = (last_event_id or "").partition("-")
        if not last_event_id:
            return self._published, False
        is_known = run == self._run and number.isascii() and number.isdecimal() and len(number) < 16
        at = int(number) if is_known else -1
        if self._published - len(self._ring) <= at <= self._published:
            return at, False
        return self._published, True

    def _append(self, events: list[tuple[Event, bytes]]) -> None:
        self._ring.extend(events)
        self._published += len(events)
        self._wake()

    def _wake(self) -> None:
        for each in self._waiting:
            if not each.done():
                each.set_result(None)
        self._waiting.clear()

    async def _news(self, seconds: float) -> None:
        """Wait for the next events, but no longer than this."""
        news = asyncio.get_running_loop().create_future()
        self._waiting.add(news)
        await asyncio.wait([news], timeout=max(0.0, seconds))
        self._waiting.discard(news)

    def _missed(self, detail: str, number: int) -> bytes:
        return self._written(Event("missed", None, {"detail": detail}), number)

    def _written(self, event: Event, number: int) -> bytes:
        head = f"id: {self._run}-{number}\nevent: {event.kind}\ndata: "
        return head.encode() + as_json(event.data) + b"\n\n"
