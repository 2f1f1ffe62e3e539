"""`wattcast sql`: the rows of a read-only query."""

from typing import Literal

from pyspark.errors import PySparkException

from wattcast.contracts import tables
from wattcast.errors import refuse
from wattcast.lake.migration import inspect_tables
from wattcast.lake.sql_gateway import read_only_session
from wattcast.lake.views import VIEWS
from wattcast.runtime.context import opened
from wattcast.runtime.session import remove_secrets
from wattcast.settings import settings
from wattcast.terminal.console import show
from wattcast.terminal.tables import print_csv, print_json, sql_table

MAX_TABLE_ROWS = 100  # in a table, without another limit


def print_query(query: str, *, max_rows: int | None, output: Literal["table", "csv", "json"]) -> None:
    """Print the rows; a query that is wrong ends the program with one line."""
    remove_secrets(settings())
    with opened(name="sql", with_broker=False, prepare=inspect_tables) as run:
        try:
            result = read_only_session(run.lake).sql(query)
            if output == "table":
                show(sql_table(result, max_rows or MAX_TABLE_ROWS))
                return
            limited = result.limit(max_rows) if max_rows else result
            print_csv(limited) if output == "csv" else print_json(limited)
        except PySparkException as error:
            refuse(query_error(error))


def query_error(error: PySparkException) -> str:
    """What is wrong with a query, in one line."""
    if error.getCondition() == "TABLE_OR_VIEW_NOT_FOUND":
        name = (error.getMessageParameters() or {}).get("relationName", "of that name")
        names = [*(table.name for table in tables()), *VIEWS]
        return f"There is no table or view {name}: choose from {', '.join(names)}."
    return next(line for line in str(error).split(";")[0].splitlines() if line.strip())
