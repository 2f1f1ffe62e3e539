"""Erases a building from the tables and topics, so that the audit stays clean and the other buildings go on."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from wattcast.contracts import Contract, contract
from wattcast.lake.erasure import (
    ErasedTable,
    HashedNames,
    erasable_tables,
    erase_rows,
    hashed_names,
    record_offsets,
    rows_with,
)
from wattcast.lake.maintenance import delete_unused_files
from wattcast.lake.unread import check_all_read, queries
from wattcast.runtime.context import Run


@dataclass(frozen=True)
class ErasedTopic:
    """How many messages without value were sent to a topic, how it keeps older messages: its `cleanup.policy` and, in
    milliseconds, `retention.ms`, None where the broker does not tell."""

    topic: str
    sent: int
    policy: str | None
    retention_ms: int | None


@dataclass(frozen=True)
class Erasure:
    """What was erased, by table and topic."""

    tables: list[ErasedTable]
    topics: list[ErasedTopic]


def erase_building(run: Run, building_id: str) -> Erasure:
    """Erase a building from all tables and topics. It can be repeated, also after it was interrupted.

    Raises:
        TableHasAWriter: a job runs.
        RowsUnread: a job has not read all rows of the tables yet.
        TableDamaged: the log of a table is damaged.
    """
    tables, lake = erasable_tables(), run.lake
    with _without_jobs(run, tables):
        check_all_read(lake, [table.name for table in tables])
        names = hashed_names(lake, building_id)
        topics = _erase_from_topics(run, building_id, names)
        for table in tables:
            record_offsets(lake, table, names)
        erased = [erase_rows(lake, table, names, building_id) for table in tables]
        for table in tables:
            delete_unused_files(lake, table.name)
    return Erasure(erased, topics)


@contextmanager
def _without_jobs(run: Run, tables: Sequence[Contract]) -> Iterator[None]:
    """Keep away the jobs and every other writer of these tables. The locks of the queries stay until the end of the run."""
    for query in queries(run.lake):
        run.lake.locks.query_lock(query)
    with ExitStack() as locks:
        for table in tables:
            locks.enter_context(run.lake.locks.write_lock(table.name))
        yield


def _erase_from_topics(run: Run, building_id: str, names: HashedNames) -> list[ErasedTopic]:
    """Send messages without value, which compaction takes as deletions and consumers can: for forecasts by the building, for
    alerts by their ids. Of readings they would become rejected records, so they are sent only where the topic is compacted."""
    kafka, key = run.settings.kafka, building_id.encode()
    alerts = rows_with(run.lake, contract("alerts"), names).select("alert_id").distinct()
    ids = [row.alert_id.encode() for row in alerts.collect()]
    is_compacted = "compact" in (run.broker.topic_policy(kafka.readings_topic)[0] or "")
    keys = {kafka.readings_topic: [key] if is_compacted else [], kafka.forecasts_topic: [key], kafka.alerts_topic: ids}
    return [
        ErasedTopic(topic, run.broker.send_tombstones(topic, keys_of_topic), *run.broker.topic_policy(topic))
        for topic, keys_of_topic in keys.items()
    ]
