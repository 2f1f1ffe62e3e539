"""The app behind uvicorn: on one port, with patience that ends."""

import asyncio
import ipaddress
import logging
import socket
from collections import Counter
from functools import partial
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from wattcast.serving.feed import Feed
from wattcast.serving.guards import PROBES
from wattcast.serving.problems import answer
from wattcast.settings import ServingSettings

log = logging.getLogger("wattcast.serving")

KEEP_ALIVE_SECONDS, HEADER_SECONDS, STOP_SECONDS = 30, 20, 10
SPARE = 20  # connections that may ask whether the server lives when there are too many
HEADER_BYTES = 512 * 1024  # a thousand ids in an address, and then some


class Exposed(ValueError):
    """An address that would be open to all."""


class Crowd:
    """The open connections, in all and by address."""

    def __init__(self, options: ServingSettings) -> None:
        self._most, self._most_of_one = options.max_connections, options.max_connections_per_address
        self._open: Counter[str] = Counter()

    def come(self, address: str) -> int:
        """A connection more: how many there are above what is allowed, in all or from this address."""
        self._open[address] += 1
        return max(0, self._open.total() - self._most, self._open[address] - self._most_of_one)

    def open(self) -> int:
        return self._open.total()

    def gone(self, address: str) -> None:
        self._open[address] -= 1
        if not self._open[address]:
            del self._open[address]


class Impatient(H11Protocol):
    """Closes connections on which no whole request head comes in time, or what was sent is not taken in time; and answers only
    probes on those that are too many."""

    def __init__(self, *given: Any, crowd: Crowd, patience_seconds: float, **more: Any) -> None:
        super().__init__(*given, **more)
        self._crowd, self._patience_seconds = crowd, patience_seconds
        self._address = "unknown"
        self._head_due: asyncio.TimerHandle | None = None
        self._taking_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # so that anything which is not taken is noticed
        self._address = self.client[0] if self.client else self._address
        surplus = self._crowd.come(self._address)
        if surplus > SPARE:
            transport.abort()
        elif surplus:
            self.app = only_probes(self.app)
        self._head_due = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        self._crowd.gone(self._address)
        self._clear()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_answering():
            self._clear()
        elif self._head_due is None:
            self._head_due = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._taking_due = self.loop.call_later(self._patience_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._taking_due is not None:
            self._taking_due.cancel()
            self._taking_due = None

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _give_up(self) -> None:
        self._head_due = None
        if not self._is_answering() and self.transport and not self.transport.is_closing():
            self.transport.close()

    def _clear(self) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None


def only_probes(app: Any) -> ASGIApp:
    """The app for a connection that is one too many."""

    async def answering(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in PROBES:
            await app(scope, receive, send)
        else:
            headers = {"Retry-After": "5", "Connection": "close"}
            await answer(503, "There are too many connections: come back.", headers=headers)(scope, receive, send)

    return answering


class Server(uvicorn.Server):
    """Ends the streams of events when it is to stop, since they would not end by themselves."""

    def __init__(self, config: uvicorn.Config, feed: Feed, crowd: Crowd) -> None:
        super().__init__(config)
        self._feed, self.crowd = feed, crowd

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._feed.close()
        await super().shutdown(sockets)


def needs_keys(options: ServingSettings) -> bool:
    """Whether requests need a key.

    Raises:
        Exposed: other machines could ask without one, and the settings do not allow that.
    """
    is_own = _is_loopback(options.host)
    if options.auth == "off" and not is_own and not options.allow_open:
        raise Exposed(
            f"Without keys everyone who reaches {options.host} could read: use WATTCAST_SERVING__AUTH=on with `wattcast keys "
            "create`, listen at 127.0.0.1, or allow it with WATTCAST_SERVING__ALLOW_OPEN=true."
        )
    return options.auth == "on" or (options.auth == "auto" and not is_own)


def server(app: FastAPI, options: ServingSettings) -> uvicorn.Server:
    crowd = Crowd(options)
    protocol: Any = partial(Impatient, crowd=crowd, patience_seconds=options.slow_client_seconds)
    config = uvicorn.Config(
        app, host=options.host, port=options.port, http=protocol, ws="none", access_log=False, log_level="warning",
        server_header=False, timeout_keep_alive=KEEP_ALIVE_SECONDS, timeout_graceful_shutdown=STOP_SECONDS,
        h11_max_incomplete_event_size=HEADER_BYTES, lifespan="on",
        proxy_headers=bool(options.trusted_proxies), forwarded_allow_ips=options.trusted_proxies,
    )  # fmt: skip
    return Server(config, app.state.serving.snapshot.feed, crowd)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
