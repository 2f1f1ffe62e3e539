"""A new optional field of the readings: the ledger gets its column, and the jobs continue from their checkpoints."""

import pandas as pd
import pytest
from deltalake import DeltaTable
from jobs.ingest import INGEST
from pyspark.sql import DataFrame
from pyspark.sql.streaming.query import StreamingQuery
from tests.changed_contracts import column, declaring
from tests.jobs.steps import at, reading, send, work

from wattcast.lake.migration import prepare_tables
from wattcast.runtime.changed_tables import ChangedTables
from wattcast.runtime.context import Run, build_run
from wattcast.runtime.outage import Outage, run_through_outages
from wattcast.runtime.supervision import QueryFailed, Stop, raise_failure


def test_ingest_continues_and_stores_a_new_optional_field(once: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    topic, arrival = once.settings.kafka.readings_topic, at("2026-03-01T12:00")
    send(once.broker, topic, [reading("b", "2026-03-01T08:00", 1.0, co2_ppm=400.0)], arrival=arrival)
    work(once, INGEST)
    once.close()
    declare = declaring(monkeypatch)
    for name in ("readings", "received_readings"):
        declare(name, co2_ppm=column("co2_ppm"))
    upgraded = build_run(once.spark, once.settings, once=True)
    prepare_tables(upgraded.lake)
    send(once.broker, topic, [reading("b", "2026-03-01T09:00", 2.0, co2_ppm=415.5)], arrival=arrival)
    work(upgraded, INGEST)
    received = DeltaTable(upgraded.lake.path("received_readings")).to_pandas().sort_values("kafka_offset")
    assert received.energy_usage_kwh.tolist() == [1.0, 2.0]
    assert received.co2_ppm.fillna(0.0).tolist() == [0.0, 415.5]
    upgraded.close()


def test_a_running_query_starts_again_when_another_process_adds_a_column(once: Run) -> None:
    running, stop = build_run(once.spark, once.settings), Stop()
    queries: list[StreamingQuery] = []
    read: list[tuple[str, bool]] = []

    def put(subject: str) -> None:
        row = {"measure": "m", "scope": "fleet", "subject": subject, "value": 1.0}
        times = dict.fromkeys(("as_of", "measured_at"), pd.Timestamp("2026-03-01"))
        rows = once.lake.frame("health", pd.DataFrame([row | times]))
        once.lake.append("health", lambda _: rows)

    def batch(rows: DataFrame, _number: int) -> None:
        read.extend((row.subject, "unit" in rows.columns) for row in rows.collect())
        if len(queries) > 1:
            stop.set()
        elif len(read) == 1:
            put("second")
            once.lake.alter("health", "ADD COLUMNS (unit STRING)")
            put("third")

    def start() -> list[StreamingQuery]:
        writer = running.streams.read_stream("health").writeStream.foreachBatch(batch)
        queries.append(running.streams.start(writer, query="example"))
        return queries[-1:]

    put("first")
    run_through_outages([start], Outage(running.broker), stop, lambda _: None)
    running.close()
    assert [subject for subject, _ in read] == ["first", "second", "third"]
    assert read[-1] == ("third", True)
    changed = ChangedTables()
    assert [changed.can_continue(queries[0]) for _ in range(2)] == [True, False]
    with pytest.raises(QueryFailed, match="the columns of a table that it reads have changed: start it again"):
        raise_failure(queries)
