"""A table gets its pending rows once, and its writers take turns."""

from concurrent.futures import ThreadPoolExecutor, wait
from datetime import datetime
from threading import Event

import pandas as pd
import pytest
from pyspark.errors import UnsupportedOperationException
from pyspark.sql import DataFrame

from wattcast.contracts import contract
from wattcast.lake.tables import Snapshot
from wattcast.runtime.context import Run, build_run


def hours(run: Run, *rows: tuple[str, int]) -> DataFrame:
    """Hours of buildings from (building, hour of the day); each is available at its end."""
    records = [
        {
            "building_id": building, "hour": datetime(2017, 6, 1, hour), "available_at": datetime(2017, 6, 1, hour + 1),
            "revision": 1, "energy_usage_kwh": 1.0, "readings_seen": 1, "quality_flags": [],
            "as_of": datetime(2017, 6, 1, hour + 1),
        }
        for building, hour in rows
    ]  # fmt: skip
    schema = contract("hourly_usage").schema
    return run.spark.createDataFrame([tuple(map(row.get, schema.fieldNames())) for row in records], schema)


def test_nothing_to_append_makes_no_commit(once: Run) -> None:
    before = once.lake.snapshot("hourly_usage")
    assert once.lake.append("hourly_usage", lambda _: None) == 0
    assert once.lake.append("hourly_usage", lambda _: hours(once)) == 0
    assert once.lake.snapshot("hourly_usage").version == before.version
    assert once.lake.append("hourly_usage", lambda _: hours(once, ("b1", 10))) == 1
    assert once.lake.snapshot("hourly_usage").version == before.version + 1
    assert before.frame.count() == 0  # a snapshot does not move


def test_who_waits_for_its_turn_sees_what_the_other_has_appended(once: Run) -> None:
    second = build_run(once.spark, once.settings).lake
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
        return once.lake.newest_times(once.lake.snapshot("hourly_usage"), "hour", "as_of")

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
