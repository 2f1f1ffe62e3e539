"""A lake and checkpoints that an earlier release wrote go on without loss, also under contracts with a new column.

Each folder of `releases` was written by `write_fixture.py` at that release: the state after a first part of a topic, all records
of the topic, and the tables as that release had them after all of it. Commit 1e33363 writes `0.1.0`; the digits behind the sixth
depend on the processor.
"""

import gzip
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from deltalake import DeltaTable
from jobs.aggregate import AGGREGATE
from jobs.forecast import FORECAST
from jobs.ingest import INGEST
from jobs.publish import PUBLISH
from jobs.score import SCORE
from tests.changed_contracts import column, declaring
from tests.jobs.steps import recreate, work

from wattcast.contracts import contract
from wattcast.embedded.kafka_server import EmbeddedBroker
from wattcast.ingest.audit import audit
from wattcast.lake.migration import prepare_tables
from wattcast.runtime.context import Run, build_run
from wattcast.settings import settings

ROUNDING_KWH = 1e-3  # the network computes in 32 bits, and each processor rounds in another way
MAY_DIFFER = {  # by the time at which a row was computed, not by what it says
    "received_readings": [],
    "hourly_usage": ["as_of"],
    "forecasts": ["created_at"],
    "forecast_scores": ["scored_at"],
}


def records(release: Path) -> list[dict[str, Any]]:
    with gzip.open(release / "records.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def send(run: Run, recorded: list[dict[str, Any]]) -> None:
    """Send records to the partitions, at the offsets and with the timestamps that they had."""
    producer = run.broker.producer()
    for record in recorded:
        key, value = (None if record[part] is None else record[part].encode("latin-1") for part in ("key", "value"))
        sent = producer.send(
            run.settings.kafka.readings_topic,
            key=key, value=value, partition=record["partition"], timestamp_ms=record["timestamp"],
        )  # fmt: skip
        assert sent.get(timeout=30).offset == record["offset"]
    producer.close()


@pytest.fixture
def left(spark: Any, embedded_broker: EmbeddedBroker, release: Path, tmp_path: Path) -> Iterator[Run]:
    """A run over what the release left behind: its lake, its checkpoints and the records that it had read."""
    with tarfile.open(release / "state.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    own = settings().with_changes(
        kafka={"bootstrap_servers": embedded_broker.bootstrap_servers}, forecasting={"catch_up_hours": 48}
    )
    run = build_run(spark, own.model_copy(update={"state": tmp_path}), once=True)
    run.broker.ensure_topics([own.kafka.readings_topic])
    recreate(run, own.kafka.readings_topic)
    forget_topics(run)
    send(run, [record for record in records(release) if record["was_read"]])
    yield run
    run.close()


def forget_topics(run: Run) -> None:
    """Remove the ids of the topics that the release read: the test sends their records to others."""
    topics = [name for name in run.lake.properties("received_readings") if name.startswith("wattcast.topic.")]
    if topics:
        run.lake.alter("received_readings", f"UNSET TBLPROPERTIES ({', '.join(map(repr, topics))})")


def rows(frame: pd.DataFrame, table: str) -> pd.DataFrame:
    """In the order of the key, without the columns that may differ."""
    kept = frame.drop(columns=MAY_DIFFER[table])
    key = list(contract(table).key)
    assert not kept.duplicated(key).any(), f"{table} has a row twice"
    return kept.sort_values(key, ignore_index=True)


def test_records_that_arrive_after_an_upgrade_give_the_rows_of_the_release(
    left: Run, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The contract of the readings has a new column, and each other table has one that only a later release knows."""
    for name in ("readings", "received_readings"):
        declaring(monkeypatch)(name, co2_ppm=column("co2_ppm"))
    for table in ("buildings", "hourly_usage", "forecasts", "forecast_scores"):
        left.lake.alter(table, "ADD COLUMNS (later DOUBLE)")
    prepare_tables(left.lake)
    before = {table: left.lake.table(table).count() for table in MAY_DIFFER}
    send(left, [record for record in records(release) if not record["was_read"]])
    work(left, INGEST, AGGREGATE, FORECAST, PUBLISH, SCORE)
    for table in MAY_DIFFER:
        found = rows(DeltaTable(left.lake.path(table)).to_pandas(), table)
        expected = rows(pd.read_parquet(release / "expected" / f"{table}.parquet"), table)
        assert len(found) > before[table], table
        columns = list(expected.columns)
        assert len(found.columns) > len(columns), table
        pd.testing.assert_frame_equal(found[columns], expected, obj=table, atol=ROUNDING_KWH)
    assert all(partition.is_clean for partition in audit(left, recheck=True))
