"""The lake appends what a table lacks, once, and processes append to it in turns."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from threading import Event

import pandas as pd
import psutil
import pytest
from pyspark.errors import UnsupportedOperationException
from pyspark.sql import DataFrame

from wattcast.contracts import contract
from wattcast.job import Run
from wattcast.lakehouse import Lakehouse, Snapshot
from wattcast.locks import TableHasAWriter


def hours(run: Run, *rows: tuple[str, int]) -> DataFrame:
    """Hours of buildings by (building, hour of the day), each known at its end."""
    made = [
        {
            "building_id": building, "hour": datetime(2017, 6, 1, hour), "available_at": datetime(2017, 6, 1, hour + 1),
            "revision": 1, "energy_usage_kwh": 1.0, "readings_seen": 1, "quality_flags": [],
            "as_of": datetime(2017, 6, 1, hour + 1),
        }
        for building, hour in rows
    ]  # fmt: skip
    schema = contract("hourly_usage").schema
    return run.spark.createDataFrame([tuple(map(row.get, schema.fieldNames())) for row in made], schema)


def test_a_second_runner_of_a_query_is_refused_by_one_sentence_until_the_first_has_closed(once: Run) -> None:
    once.lake.own("query-ingest")
    once.lake.own("query-ingest")
    second = Lakehouse(once.spark, once.settings)
    with pytest.raises(TableHasAWriter, match=r"query-ingest has a writer already.*Stop it first"):
        second.own("query-ingest")
    once.lake.close()
    second.own("query-ingest")
    second.close()


def test_nothing_to_append_makes_no_commit(once: Run) -> None:
    before = once.lake.snapshot("hourly_usage")
    assert once.lake.append("hourly_usage", lambda _: None) == 0
    assert once.lake.append("hourly_usage", lambda _: hours(once)) == 0
    assert once.lake.snapshot("hourly_usage").version == before.version
    assert once.lake.append("hourly_usage", lambda _: hours(once, ("b1", 10))) == 1
    assert once.lake.snapshot("hourly_usage").version == before.version + 1
    assert before.frame.count() == 0  # a snapshot does not move


def test_who_waits_for_its_turn_sees_what_the_other_has_appended(once: Run) -> None:
    second = Lakehouse(once.spark, once.settings)
    looked, go_on = Event(), Event()

    def slowly(existing: Snapshot) -> DataFrame:
        looked.set()
        assert go_on.wait(60)
        return hours(once, ("b1", 10))

    def unless_there(existing: Snapshot) -> DataFrame | None:
        return None if existing.frame.count() else hours(once, ("b1", 10))

    with ThreadPoolExecutor() as threads:
        first = threads.submit(once.lake.append, "hourly_usage", slowly)
        assert looked.wait(60)
        other = threads.submit(second.append, "hourly_usage", unless_there)
        assert not wait([other], timeout=1).done
        go_on.set()
        assert (first.result(), other.result()) == (1, 0)
    assert once.lake.table("hourly_usage").count() == 1


def test_newest_sees_rows_that_came_since_it_looked_first(once: Run) -> None:
    def newest() -> list[datetime | None]:
        return once.lake.newest(once.lake.snapshot("hourly_usage"), "hour", "as_of")

    assert newest() == [None, None]
    for hour in (10, 13, 12):
        once.lake.append("hourly_usage", lambda _, hour=hour: hours(once, ("b1", hour)))
        latest = 10 if hour == 10 else 13
        assert newest() == [datetime(2017, 6, 1, latest), datetime(2017, 6, 1, latest + 1)]


def test_facts_cannot_be_changed(once: Run) -> None:
    once.lake.append("hourly_usage", lambda _: hours(once, ("b1", 10)))
    with pytest.raises(UnsupportedOperationException, match="only allow appends"):
        once.spark.sql(f"DELETE FROM delta.`{once.lake.path('hourly_usage')}`")
    assert once.lake.table("hourly_usage").count() == 1


def test_metadata_is_replaced_as_a_whole(once: Run) -> None:
    for names in (["b1", "b2"], ["b3"]):
        once.lake.replace("buildings", once.lake.frame("buildings", pd.DataFrame({"building_id": names})))
    assert [row.building_id for row in once.lake.table("buildings").collect()] == ["b3"]


def test_the_views_show_the_newest_revision_and_one_row_per_forecast_hour(once: Run) -> None:
    once.lake.append("hourly_usage", lambda _: hours(once, ("b1", 10), ("b1", 11)))
    corrected = hours(once, ("b1", 10)).selectExpr(
        "* EXCEPT (available_at, revision, energy_usage_kwh)",
        "available_at + INTERVAL 1 HOUR AS available_at", "2 AS revision", "9.0 AS energy_usage_kwh",
    )  # fmt: skip
    once.lake.append("hourly_usage", lambda _: corrected)
    once.lake.register_views()
    rows = once.spark.sql("SELECT hour, revision, energy_usage_kwh FROM hourly_usage_latest ORDER BY hour").collect()
    assert [tuple(row) for row in rows] == [(datetime(2017, 6, 1, 10), 2, 9.0), (datetime(2017, 6, 1, 11), 1, 1.0)]


LOSES_ITS_LEASE = """
from wattcast.lakehouse import Lakehouse
from wattcast.locks import end_process
from wattcast.session import spark_session
from wattcast.settings import settings

spark = spark_session(settings(), name="loses")
print(spark._jvm.java.lang.ProcessHandle.current().pid(), flush=True)
end_process("It is lost.", halt=Lakehouse(spark, settings())._halt)
"""


def test_who_loses_its_locks_ends_at_once_and_its_jvm_with_it(tmp_path: Path) -> None:
    environment = os.environ | {"WATTCAST_STATE": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-c", LOSES_ITS_LEASE], env=environment, capture_output=True, text=True, timeout=300
    )
    assert (ended.returncode, ended.stderr.splitlines()[-1]) == (1, "It is lost.")
    with suppress(psutil.NoSuchProcess):
        assert psutil.Process(int(ended.stdout)).status() == psutil.STATUS_ZOMBIE
