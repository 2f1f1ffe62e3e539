"""How `wattcast sql` prints rows, of whichever engine: a table for people, CSV and JSON for other programs."""

import csv
import sys
from collections.abc import Iterator, Sequence
from typing import Protocol

from rich.table import Table

from wattcast.contracts import tables
from wattcast.lake.views import VIEWS
from wattcast.terminal.console import plain

Row = Sequence[str | None]


class QueryRows(Protocol):
    """The rows of a query; at most `limit` of them, or all for None."""

    @property
    def names(self) -> list[str]: ...

    def texts(self, limit: int | None) -> Iterator[Row]:
        """Every value as Spark's text; times are in UTC."""

    def json_objects(self, limit: int | None) -> Iterator[str]:
        """Each row as one line of JSON."""


def sql_table(rows: QueryRows, max_rows: int) -> Table:
    """The first `max_rows` rows of a query; the caption says if there are more."""
    taken = list(rows.texts(max_rows + 1))
    table = Table(caption=f"the first {max_rows} rows" if len(taken) > max_rows else f"{len(taken)} rows")
    for name in rows.names:
        table.add_column(plain(name), overflow="fold")
    for row in taken[:max_rows]:
        table.add_row(*map(plain, row))
    return table


def print_csv(rows: QueryRows, max_rows: int | None) -> None:
    """Print a header and the rows, streamed; a null is empty."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(rows.names)
    writer.writerows(rows.texts(max_rows))


def print_json(rows: QueryRows, max_rows: int | None) -> None:
    """Print the rows, streamed, as a JSON array with an object per line."""
    separator = "["
    for line in rows.json_objects(max_rows):
        print(separator, line, sep="\n", end="")
        separator = ","
    print("\n]" if separator == "," else "[]")


def unknown_table(name: str) -> str:
    """The sentence for a table or view that does not exist."""
    names = [*(table.name for table in tables()), *VIEWS]
    return f"There is no table or view {name}: choose from {', '.join(names)}."
