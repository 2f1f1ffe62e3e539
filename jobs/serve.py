"""Serve the REST API and the dashboard over the tables of the lake."""

import logging
import sys
from typing import Annotated

import typer

from wattcast.errors import told
from wattcast.serving.app import app
from wattcast.serving.server import needs_keys, server
from wattcast.settings import settings

log = logging.getLogger("wattcast")


def main(
    host: Annotated[
        str | None, typer.Option(help="Address to listen at; default: that of the settings, 127.0.0.1.")
    ] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Default: that of the settings, 8080.")] = None,
) -> None:
    """Serve the REST API and the dashboard until Ctrl-C or SIGTERM."""
    logging.basicConfig(
        format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING, stream=sys.stderr
    )
    log.setLevel(logging.INFO)
    changes = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    current = settings().with_changes(serving=changes)
    auth = needs_keys(current.serving)
    log.info(
        "http://%s:%s serves %s%s",
        current.serving.host,
        current.serving.port,
        current.lake_uri,
        " to keys" if auth else "",
    )
    server(app(current, None, auth=auth), current.serving).run()


if __name__ == "__main__":
    with told():
        typer.run(main)
