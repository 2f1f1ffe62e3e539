"""The tables of a lake for the API: one thread opens new versions and publishes them, requests read the published ones."""

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import DeltaTable
from deltalake.fs import DeltaStorageHandler
from pyarrow import fs

from wattcast.lake.reader import lake_location
from wattcast.serving.problems import Unavailable
from wattcast.serving.tables.pinned import Commit, PinnedTable, max_by_statistics, readable

# operations that neither add nor remove rows; an update removes payloads
REARRANGING = ("OPTIMIZE", "VACUUM START", "VACUUM END", "SET TBLPROPERTIES", "ADD COLUMNS", "CHANGE COLUMN", "UPDATE")
UPKEEP = (*REARRANGING, "DELETE", "MERGE")  # retention deletes, an erasure merges
MAX_UPKEEP_COMMITS = 20  # in a row


class TableStore:
    """The published version of every table, and why the others cannot be read. Only one thread may call `open_latest`, `publish`
    and `mark_unreadable`."""

    def __init__(self, uri: str) -> None:
        self._uri, self._options = lake_location(uri)
        self._published: dict[str, PinnedTable] = {}
        self._handles: dict[str, DeltaTable] = {}  # at the published versions
        self._file_systems: dict[str, fs.FileSystem] = {}
        self.problems: dict[str, str] = {}
        self.read_at: dict[str, datetime] = {}

    def open_latest(self, name: str) -> PinnedTable:
        """The newest version of a table.

        Raises:
            Unavailable: it cannot be read.
        """
        previous, handle = self._published.get(name), self._handles.pop(name, None)
        with readable(name):
            if handle is not None:
                handle.update_incremental()
            if previous and self._commit(name, previous.version) != previous.commit:
                # the commit was deleted, replaced or completed, none of which an open handle notices
                previous = handle = None
            if handle is None:
                handle = DeltaTable(f"{self._uri}/{name}", storage_options=self._options)
            is_unchanged = previous is not None and previous.version == handle.version()
            table = previous if previous and is_unchanged else self._pinned(name, handle, previous)
        self._handles[name] = handle
        return table

    def publish(self, table: PinnedTable) -> None:
        """Make this version the one that requests read."""
        self._published[table.name], self.read_at[table.name] = table, datetime.now(UTC)
        self.problems.pop(table.name, None)

    def mark_unreadable(self, name: str, reason: str) -> None:
        """Keep the published version of a table; `open_latest` will open the table from the beginning."""
        self.problems[name] = reason
        self._handles.pop(name, None)

    def unreadable(self) -> dict[str, datetime | None]:
        """The tables that cannot be read now, each with the time of its last successful reading."""
        return {name: self.read_at.get(name) for name in list(self.problems)}

    def published(self, name: str) -> PinnedTable | None:
        return self._published.get(name)

    def table(self, name: str) -> PinnedTable:
        """The published version of a table.

        Raises:
            Unavailable: no version was published yet.
        """
        if name not in self._published:
            reason = self.problems.get(name)
            raise Unavailable(reason or f"The table {name} has not been read yet: try again in a few seconds.")
        return self._published[name]

    def _pinned(self, name: str, handle: DeltaTable, previous: PinnedTable | None) -> PinnedTable:
        commit, dataset = self._commit(name, handle.version()), handle.to_pyarrow_dataset()
        if commit is None or not commit.size:
            raise Unavailable(f"The newest commit of the table {name} is incomplete.")
        has_only_added = previous is not None and _has_only_added(previous, dataset, handle)
        lineage = previous.lineage if previous and has_only_added else commit
        maxima = max_by_statistics(pa.table(handle.get_add_actions(flatten=True)))
        return PinnedTable(name, commit, lineage, dataset, _written_at(handle, commit), maxima)

    def _commit(self, name: str, version: int) -> Commit | None:
        """The file of a commit, on local disk or in an object store."""
        if name not in self._file_systems:
            self._file_systems[name] = fs.PyFileSystem(DeltaStorageHandler(f"{self._uri}/{name}", self._options))
        info = self._file_systems[name].get_file_info(f"_delta_log/{version:020}.json")
        return Commit(version, info.size, info.mtime_ns) if info.is_file else None


def _has_only_added(previous: PinnedTable, dataset: ds.Dataset, handle: DeltaTable) -> bool:
    """Whether no row was removed since the previous version."""
    if previous.files <= frozenset(dataset.files):
        return True
    count = handle.version() - previous.version
    commits = handle.history(count)
    return len(commits) == count and all(map(_keeps_rows, commits))


def _keeps_rows(commit: dict[str, Any]) -> bool:
    options = commit.get("operationParameters", {})
    return commit.get("operation") in REARRANGING or "Append" in (options.get("mode"), options.get("outputMode"))


def _written_at(handle: DeltaTable, commit: Commit) -> datetime:
    """When rows were last added, by the timestamp of their commit; else the file time of the newest commit."""
    for limit in (1, MAX_UPKEEP_COMMITS):
        for entry in handle.history(limit):
            if entry.get("operation") not in UPKEEP and "timestamp" in entry:
                return datetime.fromtimestamp(entry["timestamp"] / 1000, UTC)
    return datetime.fromtimestamp(commit.modified_ns / 1e9, UTC)
