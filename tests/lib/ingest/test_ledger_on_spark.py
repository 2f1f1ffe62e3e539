"""Spark and DuckDB read the same of a ledger."""

from pathlib import Path

from tests.lib.ingest.test_ledger import TABLE, TOPIC, write

from wattcast.ingest.ledger import PartitionCounts, duckdb_ledger
from wattcast.ingest.ledger_on_spark import spark_ledger
from wattcast.runtime.context import Run

ROWS = [(0, 3, True), (0, 3, True), (0, 7, False), (0, 8, True), (1, 0, True), (1, 4, True)]
ERASED = [(0, 4, 5), (0, 1, 4), (2, 0, 9)]


def test_both_read_the_same_counts_gaps_and_topic(once: Run) -> None:
    lake = Path(once.settings.lake_uri)
    write(lake, ROWS, ERASED)
    write(lake, [(0, 99, True)], [(0, 0, 99)], topic="another")
    once.lake.set_properties(TABLE, {f"wattcast.topic.{TOPIC}": '{"id": "abc", "starts": {"0": 1}}'})
    ledger = spark_ledger(once, TABLE, TOPIC)
    assert ledger == duckdb_ledger(once.settings.lake_uri, TABLE, TOPIC)
    assert ledger.counts[0] == PartitionCounts(rows=4, offsets=3, accepted=3, first=1, last=8)
    assert ledger.gaps == {0: [(6, 6)], 1: [(1, 3)]}
    assert ledger.source is not None
