"""The SQL gateway: the tables and views for JDBC clients, read only, until it is told to stop."""

import argparse
import logging
from collections.abc import Sequence

from wattcast.errors import told
from wattcast.gateway import NAME, serving
from wattcast.job import Stop, configure_logging, opened
from wattcast.ports import check_port

log = logging.getLogger("wattcast")

LOOPBACK, PORT, MOST = "127.0.0.1", 10000, 65535


def options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="wattcast sql-gateway", description="Serve the tables and views to JDBC clients, read only"
    )
    parser.add_argument(
        "--host",
        default=LOOPBACK,
        help="address to listen at; there is no password, so other than loopback needs a guard",
    )
    parser.add_argument("--port", type=port, default=PORT, help=f"port to listen at; default: {PORT}")
    return parser.parse_args(argv)


def port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= MOST:
        raise argparse.ArgumentTypeError(f"a port is a whole number from 1 to {MOST}, not {text}")
    return int(text)


@told()
def main(argv: Sequence[str] | None = None) -> None:
    asked = options(argv)
    configure_logging()
    check_port(NAME, asked.host, asked.port)  # before Spark starts, which takes a while
    with (
        Stop().on_signals() as stop,
        opened(name="sql-gateway", with_broker=False) as run,
        serving(run.lake, host=asked.host, port=asked.port),
    ):
        log.info("SQL gateway: jdbc:hive2://%s:%s/ (Ctrl-C ends it)", asked.host, asked.port)
        stop.wait()


if __name__ == "__main__":
    main()
