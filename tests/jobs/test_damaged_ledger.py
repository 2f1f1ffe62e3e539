"""A ledger whose newest commit is damaged stops ingest, and the remedy of the doctor restores each record."""

import shutil
from pathlib import Path

import pytest
from jobs.ingest import INGEST
from tests.jobs.steps import at, forget_tables, reading, send, work

from wattcast.ingest.audit import audit
from wattcast.lake.delta_log import TableDamaged
from wattcast.runtime.context import Run, build_run

RECORDS = [reading("b1", "2026-03-01T09:00", 1.0)] * 3


def new_process(run: Run) -> Run:
    """The same run with nothing remembered of the tables."""
    run.close()
    forget_tables(run)
    return build_run(run.spark, run.settings, once=True)


def test_an_empty_newest_commit_stops_ingest_and_the_remedy_restores_each_record(once: Run) -> None:
    for _ in range(2):
        send(once.broker, once.settings.kafka.readings_topic, RECORDS, arrival=at("2026-03-01T10:01"))
        work(once, INGEST)
    newest = max(Path(once.lake.path("received_readings"), "_delta_log").glob("*.json"))
    newest.write_bytes(b"")
    damaged = new_process(once)
    with pytest.raises(TableDamaged, match=rf"commit {newest} is empty.*`wattcast doctor --lake` says how"):
        work(damaged, INGEST)
    for file in newest.parent.glob(f"*{newest.stem}*"):  # with its .crc files
        file.unlink()
    shutil.rmtree(once.settings.checkpoints_uri)
    restored = new_process(damaged)
    work(restored, INGEST)
    assert sorted(row.kafka_offset for row in restored.lake.table("received_readings").collect()) == list(range(6))
    assert all(partition.is_clean for partition in audit(restored))
    restored.close()
