"""What the audit reads of a ledger of Kafka records: counts and gaps, by queries that Spark and DuckDB run alike.

The queries read two views: `audited_rows`, the rows of a topic, and `audited_ranges`, the ranges of offsets that were received:
of each row, and of each range of rows that were erased.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import duckdb
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from wattcast.ingest.topic_source import TopicSource
from wattcast.lake.delta_log import damage_since_checkpoint
from wattcast.lake.duckdb_lake import CLOSED, close
from wattcast.lake.reader import UriStorage, lake_location, reason

COUNTS = """
    SELECT spans.kafka_partition, coalesce(row_count, 0) AS row_count, coalesce(offset_count, 0) AS offset_count,
           coalesce(accepted_count, 0) AS accepted_count, first_offset, last_offset
    FROM (
        SELECT kafka_partition, min(first_offset) AS first_offset, max(last_offset) AS last_offset
        FROM audited_ranges GROUP BY kafka_partition
    ) AS spans
    LEFT JOIN (
        SELECT kafka_partition, count(*) AS row_count, count(DISTINCT kafka_offset) AS offset_count,
               count_if(accepted) AS accepted_count
        FROM audited_rows GROUP BY kafka_partition
    ) AS counted ON counted.kafka_partition = spans.kafka_partition"""
GAPS = """
    SELECT kafka_partition, low, high
    FROM (
        SELECT kafka_partition, first_offset - 1 AS high,
               max(last_offset) OVER (PARTITION BY kafka_partition ORDER BY first_offset
                                      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) + 1 AS low
        FROM audited_ranges
    ) AS ranges
    WHERE low <= high ORDER BY kafka_partition, low"""
ROWS_OF_TOPIC = "SELECT * FROM {table} WHERE kafka_topic = '{topic}'"
RANGES = """
    SELECT kafka_partition, kafka_offset AS first_offset, kafka_offset AS last_offset FROM audited_rows
    UNION ALL SELECT kafka_partition, first_offset, last_offset FROM erasures WHERE kafka_topic = '{topic}'"""

Query = Callable[[str], Iterable[tuple[Any, ...]]]


class NeedsSpark(ValueError):
    """A ledger that only Spark can read, with the reason."""


@dataclass(frozen=True)
class PartitionCounts:
    """The rows of a partition, the different offsets and the accepted ones among them, and the first and last received offset."""

    rows: int
    offsets: int
    accepted: int
    first: int
    last: int


@dataclass(frozen=True)
class Ledger:
    """What a table has of a topic, by partition; `gaps` are the ranges of offsets, between received ones, that it lacks."""

    counts: Mapping[int, PartitionCounts]
    gaps: Mapping[int, list[tuple[int, int]]]
    source: TopicSource | None

    @classmethod
    def of(cls, query: Query, source: TopicSource | None) -> Self:
        """`query` runs a query over the two views."""
        counts = {int(row[0]): PartitionCounts(*map(int, row[1:])) for row in query(COUNTS)}
        gaps: dict[int, list[tuple[int, int]]] = {}
        for partition, low, high in query(GAPS):
            gaps.setdefault(int(partition), []).append((int(low), int(high)))
        return cls(counts, gaps, source)


def duckdb_ledger(lake_uri: str, table: str, topic: str) -> Ledger:
    """What a table has of a topic, by DuckDB over delta-rs.

    Raises:
        NeedsSpark: a table does not exist or is damaged, or DuckDB cannot answer.
    """
    # The rows first: an erasure records their offsets before it deletes them.
    rows, erasures = _delta_table(lake_uri, table), _delta_table(lake_uri, "erasures")
    quoted = topic.replace("'", "''")
    try:
        with duckdb.connect(":memory:", config=CLOSED) as connection:
            connection.register(table, rows.to_pyarrow_dataset())
            connection.register("erasures", erasures.to_pyarrow_dataset())
            views = {
                "audited_rows": ROWS_OF_TOPIC.format(table=table, topic=quoted),
                "audited_ranges": RANGES.format(topic=quoted),
            }
            for name, sql in views.items():
                connection.execute(f"CREATE VIEW {name} AS {sql}").fetchall()
            close(connection)
            source = TopicSource.of(rows.metadata().configuration, topic)
            return Ledger.of(lambda sql: connection.execute(sql).fetchall(), source)
    except (duckdb.Error, DeltaError) as error:
        raise NeedsSpark(str(error).splitlines()[0]) from error


def _delta_table(lake_uri: str, name: str) -> DeltaTable:
    """The newest version of a table whose log is whole."""
    uri, options = lake_location(lake_uri)
    try:
        if damage := damage_since_checkpoint(UriStorage(f"{lake_uri}/{name}")):
            raise NeedsSpark(f"the table {name} is damaged: {damage}")
        return DeltaTable(f"{uri}/{name}", storage_options=options)
    except (DeltaError, OSError) as error:
        raise NeedsSpark(f"the table {name} cannot be read: {reason(error)}") from error
