"""Maintenance beside running streams: fewer files, the same rows, and a clean audit."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Event

import pandas as pd
import pytest
from jobs.aggregate import AGGREGATE
from jobs.ingest import INGEST
from pyspark.errors import UnsupportedOperationException
from pyspark.sql import DataFrame, Row
from pyspark.sql.streaming.query import StreamingQuery
from tests.commands import Wattcast
from tests.jobs.steps import at, put_buildings, reading, send, variables, work
from tests.lib.lake.test_tables import hours

from wattcast.ingest.audit import audit
from wattcast.lake.file_locks import FileLocks
from wattcast.lake.locks import LakeLocks
from wattcast.lake.maintenance import MaintenanceReport, files, maintain_table, payloads_kept_since
from wattcast.lake.tables import LakeTables, Snapshot
from wattcast.runtime.context import Run, build_run

ARRIVAL = at("2026-03-01T10:01")
Place = tuple[int, int]


def upkeep(run: Run, name: str) -> MaintenanceReport:
    """By a process of its own, as far as locks go."""
    other = build_run(run.spark, run.settings)
    try:
        return maintain_table(other.lake, name)
    finally:
        other.close()


def impatient(run: Run) -> LakeTables:
    """The tables of another process, which waits a tenth of a second for a writer."""
    choose = partial(FileLocks, Path(run.settings.lake_uri) / ".locks", run.settings.lake_uri)
    return LakeTables(run.spark, run.settings, LakeLocks(choose, write_wait_seconds=0.1))


@contextmanager
def streaming(run: Run) -> Iterator[tuple[Run, list[StreamingQuery], Counter[Place]]]:
    """Ingest and a stream over its table for as long as the block lasts, with the places that the latter has seen."""
    live = build_run(run.spark, run.settings)
    seen: Counter[Place] = Counter()

    def note(batch: DataFrame, _number: int) -> None:
        seen.update((row.kafka_partition, row.kafka_offset) for row in batch.collect())

    follower = live.streams.read_stream("received_readings").writeStream.foreachBatch(note)
    queries = [*INGEST.start(live), live.streams.start(follower, query="follower")]
    try:
        yield live, queries, seen
    finally:
        for query in queries:
            query.stop()
        live.close()


def settle(queries: list[StreamingQuery], total: int, seen: Counter[Place]) -> None:
    """Wait until the streams have worked through so many records; a query that fails raises here."""
    for _ in range(200):
        for query in queries:
            query.processAllAvailable()
        if seen.total() >= total:
            return
    raise AssertionError(seen)


def test_maintenance_beside_running_streams_removes_old_payloads_alone_and_repeats_nothing(once: Run) -> None:
    topic, rounds = once.settings.kafka.readings_topic, 3
    with streaming(once) as (live, queries, seen):
        send(live.broker, topic, [b"old rubbish"], arrival=ARRIVAL - timedelta(days=91))
        settle(queries, 1, seen)
        for number in range(rounds):
            send(live.broker, topic, [reading("b1", "2026-03-01T09:00", number), b"rubbish"], arrival=ARRIVAL)
            settle(queries, 2 * (number + 1) + 1, seen)
        before, rows = audit(once, recheck=True), _rows(once)
        done = upkeep(once, "received_readings")
        assert (done.before.count, done.after.count, done.left_for) == (2 * rounds + 1, 2, "")
        assert 0 < done.after.size_bytes < done.before.size_bytes
        assert (done.rows_deleted, done.payloads_removed, rows[0].raw_payload) == (0, 1, b"old rubbish")
        assert _rows(once) == [Row(**rows[0].asDict() | {"raw_payload": None}), *rows[1:]]
        assert audit(once, recheck=True) == before
        send(live.broker, topic, [reading("b1", "2026-03-01T09:00", 7)], arrival=ARRIVAL)
        settle(queries, 2 * rounds + 2, seen)
        assert files(once.lake, "received_readings").count == 3
    assert set(seen.values()) == {1}
    assert all(each.is_clean and each.lag == 0 for each in audit(once, recheck=True))
    assert sum(each.rows for each in audit(once)) == 2 * rounds + 2


def _rows(run: Run) -> list[Row]:
    return run.lake.table("received_readings").orderBy("kafka_partition", "kafka_offset").collect()


def test_hours_from_a_compacted_ledger_are_those_from_small_files(once: Run) -> None:
    topic = once.settings.kafka.readings_topic
    put_buildings(once, {"building_id": "b1", "reading_interval_minutes": 60})
    for hour in range(4):
        send(
            once.broker,
            topic,
            [reading("b1", f"2026-03-01T0{hour}:00", hour)],
            arrival=at(f"2026-03-01T0{hour + 1}:06"),
        )
        work(once, INGEST)
    work(once, AGGREGATE)
    expected = once.lake.table("hourly_usage").orderBy("hour").collect()
    upkeep(once, "received_readings")
    work(once, AGGREGATE)
    assert once.lake.table("hourly_usage").orderBy("hour").collect() == expected
    assert [row.energy_usage_kwh for row in expected] == [0.0, 1.0, 2.0, 3.0]


def test_a_compaction_between_look_and_append_does_not_let_two_writers_add_the_same_rows(once: Run) -> None:
    """Where no lock reaches from one to the other, what both missed is added once."""
    once.lake.append("hourly_usage", lambda _: hours(once, ("b1", 8)))
    once.lake.append("hourly_usage", lambda _: hours(once, ("b1", 9)))
    machines = [once.settings.state / f"machine-{number}" for number in range(2)]
    others = [LakeTables(once.spark, once.settings, LakeLocks(partial(FileLocks, folder, ""))) for folder in machines]

    def missing(existing: Snapshot) -> DataFrame | None:
        return hours(once, ("b1", 10)) if existing.frame.where("hour = '2017-06-01 10:00:00'").isEmpty() else None

    def slowly(existing: Snapshot) -> DataFrame | None:
        found = missing(existing)
        assert maintain_table(others[0], "hourly_usage").after.count == 1
        others[1].append("hourly_usage", missing)
        return found

    once.lake.append("hourly_usage", slowly)
    assert once.lake.table("hourly_usage").count() == 3


def test_files_that_no_version_has_go_after_thirty_days_and_what_streams_may_need_stays(once: Run) -> None:
    for hour in (8, 9, 10):
        once.lake.append("hourly_usage", lambda _, hour=hour: hours(once, ("b1", hour)))
    before = once.lake.snapshot("hourly_usage")
    folder = Path(once.lake.path("hourly_usage"))
    for name, days in (("part-left-by-a-crash.parquet", 31), ("part-being-written.parquet", 29)):
        (folder / name).write_bytes(b"x")
        then = (datetime.now() - timedelta(days=days)).timestamp()
        os.utime(folder / name, (then, then))
    once.spark.sparkContext.setJobGroup("upkeep", "of one table")
    done = upkeep(once, "hourly_usage")
    assert (done.before.count, done.after.count, done.vacuumed) == (3, 1, 1)
    assert 0 < started_tasks(once, "upkeep") < 5000  # to list the folders, Spark alone starts 10,000
    assert not (folder / "part-left-by-a-crash.parquet").exists()
    assert (folder / "part-being-written.parquet").exists()
    assert before.frame.count() == 3
    assert once.spark.conf.get("spark.databricks.delta.optimize.maxFileSize", None) != "16777216"


def started_tasks(run: Run, group: str) -> int:
    """How many tasks the Spark jobs of a group had."""
    tracker = run.spark.sparkContext.statusTracker()
    jobs = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(group)]
    stages = [tracker.getStageInfo(stage) for job in jobs if job for stage in job.stageIds]
    return sum(stage.numTasks for stage in stages if stage)


def measurement(as_of: datetime, value: float) -> dict[str, object]:
    return {
        "as_of": as_of, "measure": "completeness", "scope": "fleet", "subject": "fleet", "value": value, "measured_at": as_of
    }  # fmt: skip


def test_retention_takes_away_what_is_older_than_the_newest_row_and_streams_go_on(once: Run) -> None:
    newest = datetime(2019, 6, 1)
    days = [500, 401, 400, 0]
    seen: list[float] = []
    for number, back in enumerate(days):
        rows = pd.DataFrame([measurement(newest - timedelta(days=back), float(number))], dtype=object)
        once.lake.append("health", lambda _, rows=rows: once.lake.frame("health", rows))

    def follow() -> None:
        stream = once.streams.read_stream("health").writeStream
        query = once.streams.start(
            stream.foreachBatch(lambda batch, _: seen.extend(row.value for row in batch.collect())), query="follow"
        )
        query.awaitTermination()

    follow()
    assert sorted(seen) == [0, 1, 2, 3]
    assert upkeep(once, "health").rows_deleted == 2
    assert upkeep(once, "health").rows_deleted == 0
    assert sorted(row.value for row in once.lake.table("health").collect()) == [2, 3]
    rows = pd.DataFrame([measurement(newest + timedelta(hours=1), 4.0)], dtype=object)
    once.lake.append("health", lambda _: once.lake.frame("health", rows))
    follow()
    assert sorted(seen) == [0, 1, 2, 3, 4]
    with pytest.raises(UnsupportedOperationException, match="only allow appends"):
        once.spark.sql(f"DELETE FROM delta.`{once.lake.path('health')}`")


def test_measurements_of_a_replay_stay_as_long_as_those_of_the_machine(once: Run) -> None:
    """What is as of years ago was measured today."""
    today = datetime(2026, 6, 1)
    old = measurement(today - timedelta(days=3000), 1.0) | {"measured_at": today - timedelta(hours=1)}
    rows = pd.DataFrame([old, measurement(today, 2.0)], dtype=object)
    once.lake.append("health", lambda _: once.lake.frame("health", rows))
    assert upkeep(once, "health").rows_deleted == 0
    assert once.lake.table("health").count() == 2


def test_payloads_are_kept_by_the_newest_arrival_unless_it_is_in_the_future() -> None:
    now = datetime(2026, 6, 1)
    assert payloads_kept_since(now - timedelta(days=5), now, days=90) == now - timedelta(days=95)
    assert payloads_kept_since(now + timedelta(days=9_000), now, days=90) == now - timedelta(days=90)


def test_upkeep_that_died_leaves_no_table_that_can_be_changed(once: Run) -> None:
    path = once.lake.path("health")
    lost = "'delta.appendOnly' = 'false', 'delta.deletedFileRetentionDuration' = 'interval 1 hours'"
    once.spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ({lost})")
    upkeep(once, "health")
    told = once.spark.sql(f"DESCRIBE DETAIL delta.`{path}`").first()
    assert told is not None
    assert told.properties["delta.appendOnly"] == "true"
    assert told.properties["delta.deletedFileRetentionDuration"] == "interval 30 days"


def test_a_table_whose_turn_never_comes_is_left_and_said(once: Run) -> None:
    once.lake.append("hourly_usage", lambda _: hours(once, ("b1", 10)))
    is_held, go_on = Event(), Event()
    with once.lake.locks.write_lock("hourly_usage"):
        is_held.set()
        done = maintain_table(impatient(once), "hourly_usage")
        go_on.set()
    assert done == replace(done, before=done.after, vacuumed=0, rows_deleted=0)
    assert "hourly_usage is locked by" in done.left_for


@pytest.mark.usefixtures("shared_spark")
def test_the_command_prints_files_before_and_after_of_every_table(once: Run, wattcast: Wattcast) -> None:
    for hour in (8, 9):
        once.lake.append("hourly_usage", lambda _, hour=hour: hours(once, ("b1", hour)))
    done = wattcast("maintain", "--json", "hourly_usage", "health", **variables(once))
    assert done.status == 0, done.err
    usage, health = json.loads(done.out)["tables"]
    assert (usage["table"], usage["before"]["count"], usage["after"]["count"]) == ("hourly_usage", 2, 1)
    assert (health["table"], health["before"], health["after"]) == (
        "health",
        {"count": 0, "size_bytes": 0},
        health["before"],
    )
    refused = wattcast("maintain", "prices", **variables(once))
    assert refused.status == 2
    assert "there is no table prices" in refused.err
