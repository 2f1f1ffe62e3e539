"""The uvicorn server that runs the app, with limits on connections and slow clients."""

import ipaddress
import socket
from functools import partial
from typing import Any

import uvicorn
from fastapi import FastAPI

from wattcast.errors import REFUSED
from wattcast.serving.events import EventFeed
from wattcast.serving.security.connections import ConnectionLimiter, TimeoutProtocol
from wattcast.serving.security.tls import CIPHERS, has_tls
from wattcast.serving.state import state_of
from wattcast.setting_sections import ServingSettings

KEEP_ALIVE_SECONDS, STOP_SECONDS = 30, 10
MAX_HEAD_BYTES = 512 * 1024  # enough for a URL with a thousand building ids


class UnprotectedAddress(ValueError):
    """An address that other machines reach, without API keys."""

    exit_status = REFUSED


class ApiServer(uvicorn.Server):
    """Closes the event streams when it stops, since they never end by themselves."""

    def __init__(self, config: uvicorn.Config, events: EventFeed, connections: ConnectionLimiter) -> None:
        super().__init__(config)
        self._events, self.connections = events, connections

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._events.close()
        await super().shutdown(sockets)


def needs_keys(options: ServingSettings) -> bool:
    """Whether requests need an API key.

    Raises:
        UnprotectedAddress: other machines could connect without a key, and the settings do not allow that.
    """
    is_local = _is_loopback(options.host)
    if options.auth == "off" and not is_local and not options.allow_open:
        raise UnprotectedAddress(
            f"Without API keys, everyone who can reach {options.host} could read all data. Set WATTCAST_SERVING__AUTH=on and "
            "create a key with `wattcast keys create`, or listen at 127.0.0.1, or allow open access with "
            "WATTCAST_SERVING__ALLOW_OPEN=true."
        )
    return options.auth == "on" or (options.auth == "auto" and not is_local)


def sends_in_the_clear(options: ServingSettings) -> bool:
    """Whether other machines can connect without TLS, neither of this server nor of a proxy that the settings name."""
    return not (has_tls(options) or options.trusted_proxies or _is_loopback(options.host))


def create_server(app: FastAPI, options: ServingSettings) -> ApiServer:
    connections = ConnectionLimiter(options)
    protocol: Any = partial(TimeoutProtocol, limiter=connections, write_timeout_seconds=options.slow_client_seconds)
    tls: dict[str, Any] = {}
    if has_tls(options):
        tls = {"ssl_certfile": options.tls_certificate, "ssl_keyfile": options.tls_key, "ssl_ciphers": CIPHERS}
    config = uvicorn.Config(
        app, host=options.host, port=options.port, http=protocol, ws="none", access_log=False, log_level="warning",
        server_header=False, timeout_keep_alive=KEEP_ALIVE_SECONDS, timeout_graceful_shutdown=STOP_SECONDS,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES, lifespan="on",
        proxy_headers=bool(options.trusted_proxies), forwarded_allow_ips=options.trusted_proxies,
        **tls,
    )  # fmt: skip
    return ApiServer(config, state_of(app).snapshot.events, connections)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
