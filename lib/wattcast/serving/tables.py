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

from wattcast.serving.problems import Unavailable
from wattcast.tables import place, reason

ROWS_AT_ONCE = 32_768


@dataclass(frozen=True)
class Table:
    """A table at one version: what is read from it does not change."""

    name: str
    version: int
    dataset: ds.Dataset
    committed_at: datetime
    newest_by_statistics: dict[str, Any]

    @cached_property
    def files(self) -> frozenset[str]:
        return frozenset(self.dataset.files)

    def since(self, before: "Table") -> ds.Dataset:
        """The files that were added since another version."""
        added = [each for each in self.dataset.get_fragments() if each.path not in before.files]
        return ds.FileSystemDataset(added, self.dataset.schema, self.dataset.format, self.dataset.filesystem)

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
        schema = pa.schema([self.dataset.schema.field(name) for name in columns])
        return pa.concat_tables([schema.empty_table(), *self.batches(columns, wanted)])

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
    """The tables of a lake. One thread calls `look`; any may ask for a table, and gets the last good version."""

    def __init__(self, uri: str) -> None:
        self._uri, self._options = place(uri)
        self._tables: dict[str, Table] = {}
        self._handles: dict[str, DeltaTable] = {}
        self.problems: dict[str, str] = {}

    def look(self, name: str) -> Table | None:
        """The newest version of a table; None, with the reason in `problems`, where it cannot be had. Who has read it takes the
        reason away: a version that is there may have a file that is not whole."""
        try:
            with readable(name):
                self._tables[name] = self._newest(name)
        except Unavailable as error:
            self.problems[name] = error.detail
            return None
        return self._tables[name]

    def table(self, name: str) -> Table:
        """The last good version of a table.

        Raises:
            Unavailable: there has been none yet.
        """
        if name not in self._tables:
            raise Unavailable(
                self.problems.get(name) or f"The table {name} has not been read yet: ask again in a moment."
            )
        return self._tables[name]

    def _newest(self, name: str) -> Table:
        if name not in self._handles:
            self._handles[name] = DeltaTable(f"{self._uri}/{name}", storage_options=self._options)
        handle = self._handles[name]
        known = self._tables.get(name)
        try:
            handle.update_incremental()
        except DeltaError:
            del self._handles[name]  # made anew in its place
            raise
        if known and known.version == handle.version():
            return known
        stamp = handle.history(1)[0].get("timestamp", 0)
        newest = _statistics(pa.table(handle.get_add_actions(flatten=True)))
        return Table(
            name, handle.version(), handle.to_pyarrow_dataset(), datetime.fromtimestamp(stamp / 1000, UTC), newest
        )


@contextmanager
def readable(name: str) -> Iterator[None]:
    """What goes wrong with a table's files is Unavailable, with a reason in a sentence."""
    try:
        yield
    except (DeltaError, OSError, pa.ArrowException) as error:
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
