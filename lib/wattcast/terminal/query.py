"""`wattcast sql`: the rows of a read-only query, by DuckDB where the query is plain, else by Spark."""

import logging
from enum import StrEnum
from typing import Literal

from wattcast.errors import refuse
from wattcast.lake.duckdb_lake import QueryStopped, UnknownTable
from wattcast.lake.plain_sql import NotPlain
from wattcast.settings import settings
from wattcast.terminal.console import show
from wattcast.terminal.duckdb_query import duckdb_rows
from wattcast.terminal.query_output import QueryRows, print_csv, print_json, sql_table, unknown_table

log = logging.getLogger("wattcast.sql")

Output = Literal["table", "csv", "json"]
MAX_TABLE_ROWS = 100  # in a table, without another limit


class Engine(StrEnum):
    """What answers a query."""

    AUTO = "auto"
    DUCKDB = "duckdb"
    SPARK = "spark"


def print_query(query: str, *, max_rows: int | None, output: Output, engine: Engine = Engine.AUTO) -> None:
    """Print the rows; a query that is wrong ends the program with one line."""
    if engine != Engine.SPARK:
        try:
            with duckdb_rows(query, settings().lake_uri) as rows:
                _print(rows, max_rows, output)
            return
        except UnknownTable as error:
            refuse(unknown_table(f"`{error}`"))
        except QueryStopped as error:
            refuse(f"DuckDB stopped before the last row: {error}. Use --engine spark.")
        except NotPlain as reason:
            if engine == Engine.DUCKDB:
                refuse(f"DuckDB does not answer this query: {reason}. Use --engine spark.")
            log.info("Spark answers this query, which takes longer: %s.", reason)
    from wattcast.terminal.spark_query import spark_rows  # takes seconds to import

    with spark_rows(query) as frame:
        _print(frame, max_rows, output)


def _print(rows: QueryRows, max_rows: int | None, output: Output) -> None:
    if output == "table":
        show(sql_table(rows, max_rows or MAX_TABLE_ROWS))
    elif output == "csv":
        print_csv(rows, max_rows)
    else:
        print_json(rows, max_rows)
