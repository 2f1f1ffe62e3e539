"""Upkeep of the lake: small files become few, what contracts keep for a time only and files that nobody needs go."""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict

from rich.table import Table

from wattcast.contracts import tables
from wattcast.errors import FAILED, told
from wattcast.job import configure_logging, opened
from wattcast.maintenance import Files, Maintained, maintained
from wattcast.terminal import plain, show

STDOUT, STDERR = 1, 2


def report(done: Sequence[Maintained]) -> Table:
    table = Table("table", title="Upkeep")
    for name in ("files", "size", "rows deleted", "files vacuumed", "seconds"):
        table.add_column(name, justify="right")
    table.add_column("left", overflow="fold")
    for each in done:
        counts = f"{each.before.count:,} → {each.after.count:,}"
        sizes = f"{_megabytes(each.before)} → {_megabytes(each.after)} MB"
        numbers = (f"{each.rows_deleted:,}", f"{each.vacuumed:,}", f"{each.seconds:.1f}")
        table.add_row(each.table, counts, sizes, *numbers, plain(each.left_for))
    return table


def _megabytes(files: Files) -> str:
    return f"{files.size_bytes / 1e6:,.1f}"


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="wattcast maintain", description="Compact and vacuum the tables, beside the jobs that write them"
    )
    names = [table.name for table in tables()]
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"of {', '.join(names)}; default: all")
    parser.add_argument("--json", action="store_true", help="as JSON")
    options = parser.parse_args(argv)
    if unknown := [name for name in options.tables if name not in names]:
        parser.error(f"there is no table {unknown[0]}: there are {', '.join(names)}")
    options.tables = list(dict.fromkeys(options.tables)) or names
    return options


@contextmanager
def _output_kept() -> Iterator[None]:
    """Meanwhile the standard output goes to the standard error: a VACUUM of Delta writes there from the JVM."""
    sys.stdout.flush()
    output = os.dup(STDOUT)
    os.dup2(STDERR, STDOUT)
    try:
        yield
    finally:
        os.dup2(output, STDOUT)
        os.close(output)


@told()
def main(argv: Sequence[str] | None = None) -> None:
    options = _options(argv)
    configure_logging()
    with _output_kept(), opened(name="maintain", with_broker=False) as run:
        done = [maintained(run.lake, name) for name in options.tables]
    if options.json:
        print(json.dumps({"tables": [asdict(each) for each in done]}, indent=2))
    else:
        show(report(done))
    sys.exit(FAILED if any(each.left_for for each in done) else 0)


if __name__ == "__main__":
    main()
