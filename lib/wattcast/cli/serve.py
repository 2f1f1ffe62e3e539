"""Serve the REST API and the dashboard over the tables of the lake."""

import logging
import signal
import sys
from typing import Annotated

import typer

from wattcast.cli.model_follower import ModelFollower
from wattcast.logs import configure_logging
from wattcast.ports import listening
from wattcast.serving.app import create_app
from wattcast.serving.security.keys import ApiKeyError, ApiKeys
from wattcast.serving.security.tls import has_tls
from wattcast.serving.server import create_server, needs_keys, sends_in_the_clear
from wattcast.settings import Settings, settings

log = logging.getLogger("wattcast")

SWITCH_SECONDS = 0.0005  # the longest time that a request waits for the thread that reads the tables


def main(
    host: Annotated[
        str | None, typer.Option(help="Address to listen at; default: the setting serving.host, 127.0.0.1.")
    ] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Default: the setting serving.port, 8080.")] = None,
    tls_certificate: Annotated[
        str | None, typer.Option(help="PEM file of a certificate with its chain: serve HTTPS. Needs --tls-key.")
    ] = None,
    tls_key: Annotated[str | None, typer.Option(help="PEM file of the certificate's private key.")] = None,
) -> None:
    """Serve the REST API and the dashboard until Ctrl-C or SIGTERM."""
    configure_logging()
    given = {"host": host, "port": port, "tls_certificate": tls_certificate, "tls_key": tls_key}
    changes: dict[str, object] = {name: value for name, value in given.items() if value is not None}
    current = settings().with_changes(serving=changes)
    options, auth = current.serving, needs_keys(current.serving)
    scheme = "https" if has_tls(options) else "http"
    sys.setswitchinterval(SWITCH_SECONDS)
    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises the signal again after it has stopped
        signal.signal(number, lambda *_: sys.exit(0))
    with listening("The API", options.host, options.port) as socket, ModelFollower(current) as follower:
        server = create_server(create_app(current, follower.forecaster(), auth=auth), options)
        access = " (API keys required)" if auth else ""
        log.info("Serving %s at %s://%s:%s%s", current.lake_uri, scheme, options.host, socket.getsockname()[1], access)
        if sends_in_the_clear(options):
            log.warning(
                "Keys and data travel unencrypted to %s: set --tls-certificate and --tls-key, or end TLS at a proxy or an "
                "ingress in front and name its address in WATTCAST_SERVING__TRUSTED_PROXIES.", options.host,
            )  # fmt: skip
        if auth and not has_valid_key(current):
            log.warning(
                "There is no valid API key, so all requests are refused: create one with `wattcast keys create NAME`."
            )
        server.run([socket])


def has_valid_key(current: Settings) -> bool:
    """Whether any key is valid; true where the file of keys cannot be read, which the server logs itself."""
    try:
        return any(key.revoked_at is None for key in ApiKeys.from_settings(current).all())
    except ApiKeyError:
        return True
