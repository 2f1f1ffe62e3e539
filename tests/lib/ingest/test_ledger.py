"""Counts and gaps of a ledger by DuckDB, against a computation with sets."""

import json
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from wattcast.cli.benchmarks.serving_lake import append
from wattcast.ingest.ledger import Ledger, NeedsSpark, PartitionCounts, duckdb_ledger
from wattcast.ingest.topic_source import TopicSource, property_name

TIME = datetime(2026, 1, 1, tzinfo=UTC)
TOPIC, TABLE = "site's readings", "received_readings"
Rows = list[tuple[int, int, bool]]  # partition, offset, whether it was accepted
Erased = list[tuple[int, int, int]]  # partition, first and last offset


def write(lake: Path, rows: Rows, erased: Erased, *, topic: str = TOPIC) -> None:
    """A ledger with these rows, and the ranges of its erased ones."""
    partitions, offsets, accepted = map(list, zip(*rows, strict=True)) if rows else ([], [], [])
    append(
        lake,
        TABLE,
        len(rows),
        kafka_topic=topic,
        kafka_partition=partitions,
        kafka_offset=offsets,
        kafka_timestamp=TIME,
        accepted=accepted,
        rejected_for=[[] for _ in rows],
    )
    partitions, first, last = map(list, zip(*erased, strict=True)) if erased else ([], [], [])
    append(
        lake,
        "erasures",
        len(erased),
        kafka_topic=topic,
        kafka_partition=partitions,
        first_offset=first,
        last_offset=last,
        erased_at=TIME,
        building_hash="0",
        salt="0",
    )


def ledger(lake: Path) -> Ledger:
    return duckdb_ledger(str(lake), TABLE, TOPIC)


def expected(rows: Rows, erased: Erased) -> tuple[dict[int, PartitionCounts], dict[int, list[tuple[int, int]]]]:
    counts, gaps = {}, {}
    for partition in {row[0] for row in rows} | {one[0] for one in erased}:
        own = [(offset, is_accepted) for number, offset, is_accepted in rows if number == partition]
        received = {offset for offset, _ in own}
        ranges = [range(first, last + 1) for number, first, last in erased if number == partition]
        covered = received.union(*ranges)
        counts[partition] = PartitionCounts(
            len(own), len(received), sum(is_accepted for _, is_accepted in own), min(covered), max(covered)
        )
        missing = [offset for offset in range(min(covered), max(covered)) if offset not in covered]
        starts = [offset for offset in missing if offset - 1 not in missing]
        ends = [offset for offset in missing if offset + 1 not in missing]
        if missing:
            gaps[partition] = list(zip(starts, ends, strict=True))
    return counts, gaps


OFFSETS = st.integers(0, 25)
ROWS = st.lists(st.tuples(st.integers(0, 2), OFFSETS, st.booleans()), max_size=30)
RANGES = st.tuples(st.integers(0, 2), OFFSETS, st.integers(0, 5)).map(lambda one: (one[0], one[1], one[1] + one[2]))


@settings(max_examples=25, deadline=None)
@given(rows=ROWS, erased=st.lists(RANGES, max_size=4))
def test_counts_and_gaps_are_those_of_the_sets_of_offsets(rows: Rows, erased: Erased) -> None:
    with TemporaryDirectory() as folder:
        write(Path(folder), rows, erased)
        write(Path(folder), [(0, 99, True)], [(5, 0, 50)], topic="another")
        read = ledger(Path(folder))
    assert (read.counts, read.gaps) == expected(rows, erased)


def test_duplicates_and_erased_rows_are_counted_apart(tmp_path: Path) -> None:
    write(tmp_path, [(0, 3, True), (0, 3, True), (0, 7, False)], [(0, 4, 5), (1, 0, 9)])
    read = ledger(tmp_path)
    assert read.counts == {0: PartitionCounts(3, 2, 2, 3, 7), 1: PartitionCounts(0, 0, 0, 0, 9)}
    assert read.gaps == {0: [(6, 6)]}


def test_topic_is_that_of_the_property_of_the_table(tmp_path: Path) -> None:
    write(tmp_path, [(0, 1, True)], [])
    assert ledger(tmp_path).source is None
    source = TopicSource("abc", {0: 5})
    DeltaTable(tmp_path / TABLE).alter.set_table_properties(
        {property_name(TOPIC): source.as_property}, raise_if_not_exists=False
    )
    assert ledger(tmp_path).source == source
    assert json.loads(source.as_property) == {"id": "abc", "starts": {"0": 5}}


def test_missing_and_damaged_tables_are_for_spark(tmp_path: Path) -> None:
    with pytest.raises(NeedsSpark, match="the table received_readings cannot be read"):
        ledger(tmp_path)
    write(tmp_path, [(0, 1, True)], [])
    (tmp_path / TABLE / "_delta_log" / f"{1:020}.json").write_text("{")
    with pytest.raises(NeedsSpark, match=r"received_readings is damaged: .*is no readable JSON"):
        ledger(tmp_path)
