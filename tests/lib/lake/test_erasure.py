"""Rows that Delta only marked as deleted leave the files, and queries that still need files stop an erasure."""

import re
from pathlib import Path

import pytest
from deltalake import DeltaTable
from pyspark.sql import functions as F
from tests.lib.lake.test_tables import hours

from wattcast.contracts import contract, tables
from wattcast.lake.erasure import erasable_tables, erase_rows, hashed_names, mention
from wattcast.lake.maintenance import delete_unused_files
from wattcast.lake.unread import RowsUnread, check_all_read
from wattcast.runtime.context import Run

USAGE = "hourly_usage"


def test_every_table_with_a_column_for_buildings_is_erasable_and_ledgers_come_last() -> None:
    names = [table.name for table in erasable_tables()]
    assert names[-2:] == ["received_readings", "received_weather_forecasts"]
    assert {table.name for table in tables() if {"building_id", "subject"} & set(table.column_names)} <= set(names)


def test_rows_in_deletion_vectors_leave_the_files_which_the_api_can_read_again(once: Run) -> None:
    path = once.lake.path(USAGE)
    once.lake.set_properties(USAGE, {"delta.enableDeletionVectors": "true", "delta.appendOnly": "false"})
    once.lake.append(USAGE, lambda _: hours(once, ("b1", 1), ("b2", 1), ("b3", 1)).coalesce(1))
    once.spark.sql(f"DELETE FROM delta.`{path}` WHERE building_id = 'b1'")
    once.lake.set_properties(USAGE, {"delta.appendOnly": "true"})
    (file,) = Path(path).glob("*.parquet")
    assert b"b1" in file.read_bytes()
    erased = erase_rows(once.lake, contract(USAGE), hashed_names(once.lake, "b2"), "b2")
    delete_unused_files(once.lake, USAGE)
    (file,) = Path(path).glob("*.parquet")
    assert not re.search(rb"b1|b2", file.read_bytes())
    assert (erased.rows, once.lake.properties(USAGE)["delta.appendOnly"]) == (1, "true")
    assert DeltaTable(path).to_pyarrow_dataset().to_table()["building_id"].to_pylist() == ["b3"]


def test_a_query_that_has_not_read_all_rows_stops_an_erasure(once: Run) -> None:
    def follow() -> None:
        stream = once.streams.read_stream(USAGE).writeStream.foreachBatch(lambda batch, _: batch.count())
        once.streams.start(stream, query="follower").awaitTermination()

    once.lake.append(USAGE, lambda _: hours(once, ("b1", 1)))
    follow()
    once.lake.set_properties(USAGE, {"a.property": "1"})  # a commit without rows
    check_all_read(once.lake, [USAGE])
    once.lake.append(USAGE, lambda _: hours(once, ("b1", 2)))
    with pytest.raises(RowsUnread, match=r"have not read all rows yet and need files .*: follower\. Run"):
        check_all_read(once.lake, [USAGE])
    follow()
    check_all_read(once.lake, [USAGE])


def test_an_id_is_found_as_a_whole_word_and_as_json_escapes_it(once: Run) -> None:
    payloads = [
        '{"building_id": "büro 1", "mea',
        '{"building_id": "b\\u00fcro 1"',
        "büro 1;7.5",
        '"büro 12"',
        "xbüro 1",
        "büro",
    ]
    rows = once.spark.createDataFrame([(text,) for text in payloads], "payload string")
    assert [row.payload for row in rows.where(F.col("payload").rlike(mention("büro 1"))).collect()] == payloads[:3]
