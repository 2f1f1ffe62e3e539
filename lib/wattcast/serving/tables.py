"""The Delta tables as the API sees them: pinned versions that one thread brings up to date, read by predicate push-down."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from deltalake.fs import DeltaStorageHandler
from pyarrow import fs

from wattcast.serving.problems import Unavailable
from wattcast.tables import place, reason

ROWS_AT_ONCE = 32_768
REARRANGES = (
    "OPTIMIZE",
    "VACUUM START",
    "VACUUM END",
    "SET TBLPROPERTIES",
)  # operations that neither bring nor take rows
UPKEEP = (*REARRANGES, "DELETE")
UPKEEP_COMMITS = 20  # in a row, at most


@dataclass(frozen=True)
class Commit:
    """The file of a commit: another one in its place has another size or time."""

    version: int
    size: int
    modified_ns: int


@dataclass(frozen=True)
class Table:
    """A table at one version: what is read from it does not change. From one version to a later one of the same `line` rows have
    only been added."""

    name: str
    commit: Commit
    line: Commit
    dataset: ds.Dataset
    written_at: datetime  # when rows last came
    newest_by_statistics: dict[str, Any]

    @property
    def version(self) -> int:
        return self.commit.version

    @cached_property
    def files(self) -> frozenset[str]:
        return frozenset(self.dataset.files)

    def since(self, before: "Table") -> ds.Dataset:
        """The files that were added since another version."""
        added = [each for each in self.dataset.get_fragments() if each.path not in before.files]
        return ds.FileSystemDataset(added, self.dataset.schema, self.dataset.format, self.dataset.filesystem)

    def check_since(self, before: "Table") -> None:
        """That the files which were added are whole.

        Raises:
            Unavailable: one is not.
        """
        with readable(self.name):
            for each in self.since(before).get_fragments():
                each.ensure_complete_metadata()

    def schema(self, columns: Sequence[str]) -> pa.Schema:
        """Raises Unavailable: the table lacks a column."""
        with readable(self.name):
            return pa.schema([self.dataset.schema.field(name) for name in columns])

    def batches(
        self, columns: Sequence[str], wanted: ds.Expression | None = None, *, of: ds.Dataset | None = None
    ) -> Iterator[pa.Table]:
        """Columns of the rows wanted, a bounded number of rows at a time.

        Raises:
            Unavailable: a file of the table cannot be read.
        """
        scanned = of if of is not None else self.dataset
        with readable(self.name):
            for batch in scanned.to_batches(
                columns=list(columns), filter=wanted, batch_size=ROWS_AT_ONCE, batch_readahead=2, fragment_readahead=2
            ):
                if batch.num_rows:
                    yield pa.Table.from_batches([batch])

    def rows(self, columns: Sequence[str], wanted: ds.Expression | None = None) -> pa.Table:
        """As `batches`, in one."""
        return pa.concat_tables([self.schema(columns).empty_table(), *self.batches(columns, wanted)])

    def count(self, wanted: ds.Expression) -> int:
        with readable(self.name):
            return int(self.dataset.count_rows(filter=wanted))

    def newest(self, column: str) -> datetime | None:
        """The greatest time in a column, by the statistics of the files where they tell it."""
        if column in self.newest_by_statistics:
            return _time(self.newest_by_statistics[column])
        found = [pc.max(batch[column]).as_py() for batch in self.batches([column])]
        return max((time for time in found if time), default=None)


class Lake:
    """The tables of a lake. One thread looks at them and publishes what it could read; any may ask for a table, and gets the last
    one published."""

    def __init__(self, uri: str) -> None:
        self._uri, self._options = place(uri)
        self._tables: dict[str, Table] = {}
        self._handles: dict[str, DeltaTable] = {}  # each at the version that is published
        self._logs: dict[str, fs.FileSystem] = {}
        self.problems: dict[str, str] = {}
        self.read_at: dict[str, datetime] = {}

    def look(self, name: str) -> Table:
        """The newest version of a table.

        Raises:
            Unavailable: it cannot be had.
        """
        known, handle = self._tables.get(name), self._handles.pop(name, None)
        with readable(name):
            if handle is not None:
                handle.update_incremental()
            if known and self._commit(name, known.version) != known.commit:
                known = handle = None  # gone, made anew or completed: a handle notices none of these
            if handle is None:
                handle = DeltaTable(f"{self._uri}/{name}", storage_options=self._options)
            is_known = known is not None and known.version == handle.version()
            found = known if known and is_known else self._read(name, handle, known)
        self._handles[name] = handle
        return found

    def publish(self, table: Table) -> None:
        """All that was to be read of this version could be."""
        self._tables[table.name], self.read_at[table.name] = table, datetime.now(UTC)
        self.problems.pop(table.name, None)

    def failed(self, name: str, why: str) -> None:
        """A table or what it holds could not be read: the next look opens it afresh."""
        self.problems[name] = why
        self._handles.pop(name, None)

    def unreadable(self) -> dict[str, datetime | None]:
        """When each table that cannot be read now was last read."""
        return {name: self.read_at.get(name) for name in list(self.problems)}

    def known(self, name: str) -> Table | None:
        return self._tables.get(name)

    def table(self, name: str) -> Table:
        """The last version published of a table.

        Raises:
            Unavailable: there has been none yet.
        """
        if name not in self._tables:
            raise Unavailable(
                self.problems.get(name) or f"The table {name} has not been read yet: ask again in a moment."
            )
        return self._tables[name]

    def _read(self, name: str, handle: DeltaTable, known: Table | None) -> Table:
        commit, dataset = self._commit(name, handle.version()), handle.to_pyarrow_dataset()
        if commit is None or not commit.size:
            raise Unavailable(f"The newest commit of the table {name} is not whole.")
        goes_on = known is not None and _only_gained(known, dataset, handle)
        newest = _statistics(pa.table(handle.get_add_actions(flatten=True)))
        line = known.line if known and goes_on else commit
        return Table(name, commit, line, dataset, _written_at(handle, commit), newest)

    def _commit(self, name: str, version: int) -> Commit | None:
        """The file of a commit, here or in an object store."""
        if name not in self._logs:
            self._logs[name] = fs.PyFileSystem(DeltaStorageHandler(f"{self._uri}/{name}", self._options))
        found = self._logs[name].get_file_info(f"_delta_log/{version:020}.json")
        return Commit(version, found.size, found.mtime_ns) if found.is_file else None


def _only_gained(known: Table, dataset: ds.Dataset, handle: DeltaTable) -> bool:
    """Whether no row was taken away since a version."""
    if known.files <= frozenset(dataset.files):
        return True
    since = handle.history(handle.version() - known.version)
    return len(since) == handle.version() - known.version and all(map(_keeps_rows, since))


def _keeps_rows(commit: dict[str, Any]) -> bool:
    options = commit.get("operationParameters", {})
    return commit.get("operation") in REARRANGES or "Append" in (options.get("mode"), options.get("outputMode"))


def _written_at(handle: DeltaTable, commit: Commit) -> datetime:
    """When rows last came, as their commit tells it, else the time of the last commit."""
    for commits in (1, UPKEEP_COMMITS):
        for each in handle.history(commits):
            if each.get("operation") not in UPKEEP and "timestamp" in each:
                return datetime.fromtimestamp(each["timestamp"] / 1000, UTC)
    return datetime.fromtimestamp(commit.modified_ns / 1e9, UTC)


@contextmanager
def readable(name: str) -> Iterator[None]:
    """What goes wrong with a table's files is Unavailable, with a reason in a sentence: they cannot be read, or do not hold the
    columns and values that they should."""
    try:
        yield
    except (DeltaError, OSError, pa.ArrowException, LookupError, ValueError, OverflowError) as error:
        raise Unavailable(f"The table {name} of the lake cannot be read now: {_said(reason(error))}") from error


def _said(why: str) -> str:
    """A reason without the places of this machine in it."""
    line = re.sub(r"(?:[a-z0-9]+://)?(?:/[\w.=%+@~-]+){2,}", "...", why)
    return f"{line.rstrip('.')[:160]}."


def _statistics(files: pa.Table) -> dict[str, Any]:
    """By column the greatest value in all files, for the columns of which every file tells it."""
    names = [name for name in files.schema.names if name.startswith("max.")]
    return {name.removeprefix("max."): pc.max(files[name]).as_py() for name in names if not files[name].null_count}


def _time(value: Any) -> datetime | None:
    return value.replace(tzinfo=value.tzinfo or UTC) if isinstance(value, datetime) else None
