"""The app behind uvicorn: on one port, with patience that ends."""

import asyncio
import ipaddress
import logging
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from wattcast.settings import ServingSettings

log = logging.getLogger("wattcast.serving")

KEEP_ALIVE_SECONDS, HEADER_SECONDS, STOP_SECONDS = 30, 20, 10
HEADER_BYTES = 512 * 1024  # a thousand ids in an address, and then some


class Exposed(ValueError):
    """An address that would be open to all."""


class Impatient(H11Protocol):
    """Closes connections on which no whole request head comes in time."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._deadline = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        self._clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_answering():
            self._clear()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _give_up(self) -> None:
        self._deadline = None
        if not self._is_answering() and self.transport and not self.transport.is_closing():
            self.transport.close()

    def _clear(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


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
    config = uvicorn.Config(
        app, host=options.host, port=options.port, http=Impatient, ws="none", access_log=False, log_level="warning",
        server_header=False, timeout_keep_alive=KEEP_ALIVE_SECONDS, timeout_graceful_shutdown=STOP_SECONDS,
        limit_concurrency=options.max_connections, h11_max_incomplete_event_size=HEADER_BYTES, lifespan="on",
    )  # fmt: skip
    return uvicorn.Server(config)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
