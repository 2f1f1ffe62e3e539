"""Plain queries of the tables and views by DuckDB, in this process: an answer in a second, without Spark.

DuckDB reads through delta-rs alone. Its connection has no access to files, other databases and extensions, does not see Python
variables, and cannot be configured once a query runs. Before that, `plain_sql` lets only queries of tables and views by name
pass.
"""

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any

import duckdb
import pyarrow as pa
from deltalake.exceptions import DeltaError

from wattcast.contracts import tables
from wattcast.lake import reader
from wattcast.lake.delta_log import damage_since_checkpoint
from wattcast.lake.plain_sql import NAMES_OF_SPARK, Node, NotPlain, check_text, check_tree, select_node, table_names
from wattcast.lake.views import VIEWS

CLOSED: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "autoload_known_extensions": "false",
    "autoinstall_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
    "temp_directory": "",  # a query that needs more memory than there is goes to Spark
}
AS_SPARK = {"TimeZone": "UTC", "default_null_order": "nulls_first_on_asc_last_on_desc"}
# What the views write in Spark's dialect, in that of DuckDB.
DIALECT = {
    "* EXCEPT (": "* EXCLUDE (",
    "CAST(raw_payload AS STRING)": "decode(raw_payload)",
    "posexplode(target_hour) AS (lead_hours, target_hour)": (
        "unnest(target_hour) AS target_hour, CAST(unnest(range(len(target_hour))) AS INTEGER) AS lead_hours"
    ),
    "[lead_hours]": "[lead_hours + 1]",
}
VALUE_TYPES = {pa.string(), pa.bool_(), pa.int32(), pa.int64(), pa.float64(), pa.date32(), pa.null()}
BATCH_ROWS = 10_000
ERRORS = (duckdb.Error, pa.ArrowException, OSError)  # of a query that runs


class UnknownTable(ValueError):
    """A query names a table or view that does not exist."""


class QueryStopped(Exception):
    """DuckDB failed after it had returned rows."""


@dataclass(frozen=True)
class Answer:
    """The columns of a result, by the names that Spark gives them, and its rows in batches, the first of which is there."""

    names: list[str]
    batches: Iterator[pa.RecordBatch]


@contextmanager
def plain_answer(query: str, lake_uri: str) -> Iterator[Answer]:
    """The rows of a plain query, at the newest versions of the tables.

    Raises:
        NotPlain: only Spark can answer it, or DuckDB does not.
        UnknownTable: it names a table or view that does not exist.
        QueryStopped: DuckDB failed after the first batch.
    """
    check_text(query)
    try:
        with duckdb.connect(":memory:", config=CLOSED) as connection:
            _prepare(connection, query, lake_uri)
            yield _answer(connection, query)
    except duckdb.Error as error:
        raise NotPlain(f"DuckDB: {_line(error)}") from error


def close(connection: duckdb.DuckDBPyConnection) -> None:
    """From now on nothing changes the settings of a connection."""
    _run(connection, "SET lock_configuration = true")


def view_of_duckdb(name: str) -> str:
    """The query of a view in DuckDB's dialect."""
    sql = VIEWS[name]
    for of_spark, of_duckdb in DIALECT.items():
        sql = sql.replace(of_spark, of_duckdb)
    return sql


def _prepare(connection: duckdb.DuckDBPyConnection, query: str, lake_uri: str) -> None:
    """Give a connection the tables and views that a query reads, check the query, and close the connection."""
    for key, value in AS_SPARK.items():
        _run(connection, f"SET {key} = '{value}'")
    [(serialised,)] = _run(connection, "SELECT json_serialize_sql(?)", query)
    tree: Node = select_node(json.loads(serialised))
    lake_tables = [table.name for table in tables()]
    names = table_names(tree)
    if unknown := sorted(names - {*lake_tables, *VIEWS}):
        raise UnknownTable(unknown[0])
    read = set()
    for name in _with_sources(names):
        if name in VIEWS:
            _run(connection, f"CREATE VIEW {name} AS {view_of_duckdb(name)}")
        else:
            connection.register(name, _dataset(lake_uri, name))
    for name in names:
        read |= {str(column[0]) for column in _run(connection, f"DESCRIBE {name}")}
    check_tree(tree, tables={*lake_tables, *VIEWS}, columns=read)
    close(connection)


def _run(connection: duckdb.DuckDBPyConnection, statement: str, *parameters: str) -> list[tuple[Any, ...]]:
    """All rows of a statement of our own."""
    return connection.execute(statement, list(parameters)).fetchall()


def _with_sources(names: Iterable[str]) -> list[str]:
    """Tables and views with what they are defined by, each after its sources."""
    ordered: list[str] = []
    for name in sorted(names):
        words = set(re.findall(r"\w+", VIEWS.get(name, ""))) - {name}
        sources = words & {*VIEWS, *(table.name for table in tables())}
        ordered += [source for source in (*_with_sources(sources), name) if source not in ordered]
    return ordered


def _dataset(lake_uri: str, name: str) -> object:
    """The newest version of a table whose log is whole; Spark creates or reports any other."""
    try:
        if damage := damage_since_checkpoint(reader.UriStorage(f"{lake_uri}/{name}")):
            raise NotPlain(f"the table {name} is damaged: {damage}")
        return reader.table(lake_uri, name)
    except (reader.TableUnreadable, DeltaError, OSError) as error:
        raise NotPlain(_line(error)) from error


def _answer(connection: duckdb.DuckDBPyConnection, query: str) -> Answer:
    rows = connection.sql(query).to_arrow_reader(BATCH_ROWS)
    for field in rows.schema:
        if not _is_plain(field.type):
            raise NotPlain(f"the column {field.name} is of the type {field.type}")
    names = [NAMES_OF_SPARK.get(name, name.replace('"', "")) for name in rows.schema.names]  # as in max("hour")
    if len(set(names)) < len(names):
        raise NotPlain("two columns have the same name")
    return Answer(names, _batches(rows))


def _is_plain(kind: pa.DataType) -> bool:
    """Whether values of a type have the same text in Spark. A sum of whole numbers comes as a decimal number without fraction."""
    if pa.types.is_list(kind):
        return _is_plain(kind.value_type)
    is_whole = pa.types.is_decimal(kind) and kind.scale == 0
    return kind in VALUE_TYPES or pa.types.is_timestamp(kind) or is_whole


def _batches(rows: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """All batches; the first is read at once, so that an error before it leaves the query to Spark."""
    try:
        first = next(rows, None)
    except ERRORS as error:
        raise NotPlain(f"DuckDB: {_line(error)}") from error
    return iter(()) if first is None else chain((first,), _following(rows))


def _following(rows: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    try:
        yield from rows
    except ERRORS as error:
        raise QueryStopped(_line(error)) from error


def _line(error: Exception) -> str:
    return str(error).splitlines()[0]
