"""`wattcast sql` by Spark: the rows of any read-only query."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from wattcast.errors import refuse
from wattcast.lake.migration import inspect_tables
from wattcast.lake.sql_gateway import read_only_session
from wattcast.runtime.context import opened
from wattcast.runtime.session import remove_secrets
from wattcast.settings import settings
from wattcast.terminal.query_output import Row, unknown_table

MAX_TAKEN = 10_000  # rows that are read at once, and from the first partitions alone


@dataclass(frozen=True)
class SparkRows:
    """The rows of a DataFrame, as `query_output` prints them."""

    frame: DataFrame

    @property
    def names(self) -> list[str]:
        return self.frame.columns

    def texts(self, limit: int | None) -> Iterator[Row]:
        rows = as_texts(self.frame.limit(limit) if limit is not None else self.frame)
        is_small = limit is not None and limit <= MAX_TAKEN
        yield from rows.take(limit or 0) if is_small else rows.toLocalIterator()

    def json_objects(self, limit: int | None) -> Iterator[str]:
        rows = self.frame.limit(limit) if limit is not None else self.frame
        objects = rows.select(F.to_json(F.struct("*"), {"ignoreNullFields": "false"}).alias("row"))
        for row in objects.toLocalIterator():
            yield row["row"]


@contextmanager
def spark_rows(query: str) -> Iterator[SparkRows]:
    """The rows of a query; a query that is wrong ends the program with one line."""
    remove_secrets(settings())
    with opened(name="sql", with_broker=False, prepare=inspect_tables) as run:
        try:
            yield SparkRows(read_only_session(run.lake).sql(query))
        except PySparkException as error:
            refuse(query_error(error))


def as_texts(rows: DataFrame) -> DataFrame:
    """Every value as Spark's text: times are in UTC, not in the time zone of this machine."""
    names = [f"column_{number}" for number in range(len(rows.columns))]
    return rows.toDF(*names).select(*(F.col(name).cast("string") for name in names))


def query_error(error: PySparkException) -> str:
    """What is wrong with a query, in one line."""
    if error.getCondition() == "TABLE_OR_VIEW_NOT_FOUND":
        return unknown_table((error.getMessageParameters() or {}).get("relationName", "of that name"))
    return next(line for line in str(error).split(";")[0].splitlines() if line.strip())
