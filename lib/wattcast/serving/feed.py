"""Server-sent events: what is new in the lake, from a ring that bounds what is remembered for whoever comes back."""

import asyncio
import json
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

HEARTBEAT_SECONDS = 15
REMEMBERED = 25_000
SENT_AT_ONCE = 500


@dataclass(frozen=True)
class Event:
    kind: str
    building_id: str | None
    data: dict[str, Any]


class Feed:
    """Events in order. `publish` may be called from any thread; every reader goes at its own pace."""

    def __init__(self) -> None:
        self._run = uuid.uuid4().hex[:8]  # ids of an earlier process are not ours
        self._ring: deque[Event] = deque(maxlen=REMEMBERED)
        self._published = 0
        self._waiting: set[asyncio.Future[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.readers = 0

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Readers live on this loop."""
        self._loop = loop

    def publish(self, events: Iterable[Event]) -> None:
        found = list(events)
        if found and self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._append, found)

    async def stream(self, last_event_id: str | None, wanted: Callable[[Event], bool]) -> AsyncIterator[bytes]:
        """The events after `last_event_id`, or from now on, for ever. Begins with `missed` where some are forgotten."""
        at, is_missed = self._position(last_event_id)
        self.readers += 1
        try:
            yield b": wattcast\nretry: 3000\n\n"
            if is_missed:
                yield self._written("missed", {"detail": "Events were missed: read anew what you show."}, at)
            while True:
                oldest = self._published - len(self._ring)
                if at < oldest:
                    at = self._published
                    yield self._written("missed", {"detail": "Too slow: events were missed."}, at)
                elif at < self._published:
                    upto = min(at + SENT_AT_ONCE, self._published)
                    found = list(enumerate(islice(self._ring, at - oldest, upto - oldest), at + 1))
                    at = upto
                    lines = [self._written(each.kind, each.data, number) for number, each in found if wanted(each)]
                    if lines:
                        yield b"".join(lines)
                elif not await self._is_news():
                    yield b": still here\n\n"
        finally:
            self.readers -= 1

    def _position(self, last_event_id: str | None) -> tuple[int, bool]:
        run, _, number = (last_event_id or "").partition("-")
        if not last_event_id:
            return self._published, False
        is_known = run == self._run and number.isascii() and number.isdecimal() and len(number) < 16
        at = int(number) if is_known else -1
        if self._published - len(self._ring) <= at <= self._published:
            return at, False
        return self._published, True

    def _append(self, events: list[Event]) -> None:
        self._ring.extend(events)
        self._published += len(events)
        for each in self._waiting:
            if not each.done():
                each.set_result(None)
        self._waiting.clear()

    async def _is_news(self) -> bool:
        news = asyncio.get_running_loop().create_future()
        self._waiting.add(news)
        try:
            await asyncio.wait_for(news, HEARTBEAT_SECONDS)
        except TimeoutError:
            return False
        finally:
            self._waiting.discard(news)
        return True

    def _written(self, kind: str, data: dict[str, Any], number: int) -> bytes:
        return f"id: {self._run}-{number}\nevent: {kind}\ndata: {json.dumps(data)}\n\n".encode()
