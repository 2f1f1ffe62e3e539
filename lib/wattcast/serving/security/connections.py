"""Limits on connections: how many are open, and how long a client may take to send a request or read a response."""

import asyncio
from collections import Counter
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from wattcast.serving.problems import problem_response
from wattcast.setting_sections import ServingSettings

PROBES = ("/healthz", "/readyz")
REQUEST_HEAD_SECONDS = 20
EXTRA_PROBE_CONNECTIONS = 20  # above the limit, so that probes are still answered


class ConnectionLimiter:
    """The open connections, in total and by client address."""

    def __init__(self, options: ServingSettings) -> None:
        self._max_total, self._max_per_address = options.max_connections, options.max_connections_per_address
        self._open: Counter[str] = Counter()
        self._surplus: dict[TimeoutProtocol, str] = {}  # above a limit, oldest first, with their addresses

    def opened(self, address: str) -> int:
        """Count a new connection; returns how far the total, or the count of this address, is above its limit."""
        self._open[address] += 1
        return max(0, self._open.total() - self._max_total, self._open[address] - self._max_per_address)

    def closed(self, address: str) -> None:
        self._open[address] -= 1
        if not self._open[address]:
            del self._open[address]

    def add_surplus(self, connection: "TimeoutProtocol", address: str) -> None:
        self._surplus[connection] = address

    def remove_surplus(self, connection: "TimeoutProtocol") -> None:
        self._surplus.pop(connection, None)

    def close_idle_surplus(self, address: str) -> bool:
        """Close the oldest connection above the limit that has no request, of this address if it has one; False for none."""
        idle = [connection for connection in self._surplus if not connection.is_responding()]
        oldest = next((connection for connection in idle if self._surplus[connection] == address), None)
        if oldest is None and self._open.total() > self._max_total:
            oldest = next(iter(idle), None)
        if oldest is None:
            return False
        self.remove_surplus(oldest)
        oldest.transport.abort()
        return True

    def open_connections(self) -> int:
        return self._open.total()


class TimeoutProtocol(H11Protocol):
    """Closes a connection whose client does not send a whole request head in time, or does not read the response in time.
    Connections above the limit get answers to probes only; the oldest of them without a request makes room for the next one."""

    def __init__(
        self, *arguments: Any, limiter: ConnectionLimiter, write_timeout_seconds: float, **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self._limiter, self._write_timeout_seconds = limiter, write_timeout_seconds
        self._address = "unknown"
        self._head_timeout: asyncio.TimerHandle | None = None
        self._write_timeout: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        # any byte that the client does not read pauses writing; asyncio's TLS pauses at the limit instead of above it
        transport.set_write_buffer_limits(high=1 if transport.get_extra_info("sslcontext") else 0, low=0)
        self._address = self.client[0] if self.client else self._address
        surplus = self._limiter.opened(self._address)
        if surplus > EXTRA_PROBE_CONNECTIONS and not self._limiter.close_idle_surplus(self._address):
            transport.abort()
        elif surplus:
            self._limiter.add_surplus(self, self._address)
            self.app = probes_only(self.app)
        self._head_timeout = self.loop.call_later(REQUEST_HEAD_SECONDS, self._close_if_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        self._limiter.remove_surplus(self)
        self._limiter.closed(self._address)
        self._cancel_head_timeout()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.is_responding():
            self._cancel_head_timeout()
        elif self._head_timeout is None:
            self._head_timeout = self.loop.call_later(REQUEST_HEAD_SECONDS, self._close_if_idle)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_timeout = self.loop.call_later(self._write_timeout_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_timeout is not None:
            self._write_timeout.cancel()
            self._write_timeout = None

    def is_responding(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _close_if_idle(self) -> None:
        self._head_timeout = None
        if not self.is_responding() and self.transport and not self.transport.is_closing():
            self.transport.close()

    def _cancel_head_timeout(self) -> None:
        if self._head_timeout is not None:
            self._head_timeout.cancel()
            self._head_timeout = None


def probes_only(app: Any) -> ASGIApp:
    """The app for a connection above the limit: probes are answered, everything else gets 503."""

    async def limited(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in PROBES:
            await app(scope, receive, send)
            return
        headers = {"Retry-After": "5", "Connection": "close"}
        response = problem_response(503, "Too many connections are open: try again later.", headers=headers)
        await response(scope, receive, send)

    return limited
