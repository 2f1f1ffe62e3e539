"""Which streaming queries have not read all rows of the tables, so that they still need the files of older versions."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pyspark.sql import Row

from wattcast.errors import FAILED
from wattcast.lake.checkpoints import newest_batch, newest_offsets
from wattcast.lake.maintenance import delta_table
from wattcast.lake.storage import SparkStorage, Storage
from wattcast.lake.tables import LakeTables

Offset = Mapping[str, Any]


class RowsUnread(Exception):
    """Streaming queries have not read all rows of the tables."""

    exit_status = FAILED


def queries(lake: LakeTables) -> list[str]:
    """The streaming queries that have a checkpoint."""
    return _checkpoints(lake).folders("")


def check_all_read(lake: LakeTables, names: list[str]) -> None:
    """Check that every query has read all rows of these tables. No job may run.

    Raises:
        RowsUnread: one has not.
    """
    tables = {lake.shape(name).id: name for name in names}
    unread = [query for query in queries(lake) if _has_unread_rows(lake, query, tables)]
    if unread:
        raise RowsUnread(
            f"These queries have not read all rows yet and need files that would be deleted: {', '.join(unread)}. Run "
            "`wattcast run pipeline --once` and, for publish-alerts, `wattcast run monitor --once`; if a job is not used any "
            f"more, remove the folder of its query in {lake.settings.checkpoints_uri}. Then try again."
        )


def _has_unread_rows(lake: LakeTables, query: str, tables: Mapping[str, str]) -> bool:
    storage = _checkpoints(lake)
    offsets = [offset for offset in _table_offsets(storage, query) if offset["reservoirId"] in tables]
    started, finished = (newest_batch(storage, f"{query}/{folder}") for folder in ("offsets", "commits"))
    if offsets and started > finished:
        return True
    return any(_is_behind(lake, tables[offset["reservoirId"]], offset) for offset in offsets)


def _table_offsets(storage: Storage, query: str) -> Iterator[Offset]:
    """The offsets in Delta tables at which the newest batch of a query ends, as Delta writes them. None for a query that has not
    begun, which will read the newest version."""
    for line in newest_offsets(storage, query).splitlines():
        if "reservoirId" in line:
            yield json.loads(line)


def _is_behind(lake: LakeTables, name: str, offset: Offset) -> bool:
    """Whether the table has rows after the offset: the rest of the version where the query began, or a later append."""
    if offset["isStartingVersion"]:
        return True
    versions = lake.snapshot(name).version - offset["reservoirVersion"] + 1
    if versions <= 0:
        return False
    commits = delta_table(lake, name).history(versions).collect()
    return len(commits) < versions or any(map(_adds_rows, commits))


def _adds_rows(commit: Row) -> bool:
    parameters = commit["operationParameters"] or {}
    return "Append" in (parameters.get("mode"), parameters.get("outputMode"))


def _checkpoints(lake: LakeTables) -> SparkStorage:
    return SparkStorage(lake.spark, lake.settings.checkpoints_uri)
