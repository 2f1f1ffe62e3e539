"""The options of the Spark applications in jobs/, from their command lines."""

import argparse
from collections.abc import Sequence

from wattcast.contracts import tables
from wattcast.times import naive_instant

LOOPBACK, GATEWAY_PORT, MAX_PORT = "127.0.0.1", 10000, 65535


def streaming_options(name: str, jobs: Sequence[str], argv: Sequence[str] | None) -> argparse.Namespace:
    """`once` and `close_at` of streaming jobs; exits 2 for wrong arguments."""
    parser = argparse.ArgumentParser(prog=f"wattcast run {name}", description=f"Wattcast job: {', '.join(jobs)}")
    parser.add_argument("--once", action="store_true", help="process the data that is there, then end")
    parser.add_argument(
        "--close-at",
        type=naive_instant,
        help="with --once: the end of a finite replay (ISO 8601); hours that would close by that time close now",
    )
    options = parser.parse_args(argv)
    if options.close_at and not options.once:
        parser.error("--close-at needs --once")
    return options


def maintenance_options(argv: Sequence[str] | None) -> argparse.Namespace:
    """`tables` (names without repetition, by default all) and `json` of maintenance; exits 2 for wrong arguments."""
    parser = argparse.ArgumentParser(
        prog="wattcast maintain", description="Compact and vacuum the tables while jobs write them"
    )
    names = [table.name for table in tables()]
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"of {', '.join(names)}; default: all")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(argv)
    if unknown := [name for name in options.tables if name not in names]:
        parser.error(f"there is no table {unknown[0]}: there are {', '.join(names)}")
    options.tables = list(dict.fromkeys(options.tables)) or names
    return options


def gateway_options(argv: Sequence[str] | None) -> argparse.Namespace:
    """`host` and `port` of the SQL gateway; exits 2 for wrong arguments."""
    parser = argparse.ArgumentParser(
        prog="wattcast sql-gateway", description="Serve the tables and views to JDBC clients, read-only"
    )
    parser.add_argument(
        "--host",
        default=LOOPBACK,
        help="address to listen at; the gateway asks for no password, so protect any address but loopback",
    )
    parser.add_argument("--port", type=_port, default=GATEWAY_PORT, help=f"port to listen at; default: {GATEWAY_PORT}")
    return parser.parse_args(argv)


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= MAX_PORT:
        raise argparse.ArgumentTypeError(f"a port is a whole number from 1 to {MAX_PORT}, not {text}")
    return int(text)
