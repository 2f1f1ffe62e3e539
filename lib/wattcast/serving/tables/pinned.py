"""A Delta table pinned to one version, read with predicate push-down."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake.exceptions import DeltaError

from wattcast.lake.reader import reason
from wattcast.serving.problems import Unavailable

BATCH_ROWS = 32_768
MAX_REASON_LENGTH = 160


@dataclass(frozen=True)
class Commit:
    """The file of a commit. A file that replaces it has another size or modification time."""

    version: int
    size: int
    modified_ns: int


@dataclass(frozen=True)
class PinnedTable:
    """A table at one version: what is read from it does not change. Between two versions of the same `lineage` rows were only
    added."""

    name: str
    commit: Commit
    lineage: Commit
    dataset: ds.Dataset
    written_at: datetime  # when rows were last added
    max_by_statistics: dict[str, Any]

    @property
    def version(self) -> int:
        return self.commit.version

    @cached_property
    def files(self) -> frozenset[str]:
        return frozenset(self.dataset.files)

    def files_since(self, previous: "PinnedTable") -> ds.Dataset:
        """The files that were added since another version."""
        added = [fragment for fragment in self.dataset.get_fragments() if fragment.path not in previous.files]
        return ds.FileSystemDataset(added, self.dataset.schema, self.dataset.format, self.dataset.filesystem)

    def check_files_since(self, previous: "PinnedTable") -> None:
        """Check that the files that were added since another version are complete.

        Raises:
            Unavailable: a file is incomplete.
        """
        with readable(self.name):
            for fragment in self.files_since(previous).get_fragments():
                fragment.ensure_complete_metadata()

    def schema(self, columns: Sequence[str]) -> pa.Schema:
        """The schema of some columns; raises Unavailable where the table lacks one."""
        with readable(self.name):
            return pa.schema([self.dataset.schema.field(name) for name in columns])

    def matching(self, condition: ds.Expression) -> "PinnedTable":
        """The table with the matching rows only. `latest_time` may still be that of all rows, and Acero ignores the filter of
        `dataset`: read by the methods."""
        return replace(self, dataset=self.dataset.filter(condition))

    def batches(
        self, columns: Sequence[str], condition: ds.Expression | None = None, *, files: ds.Dataset | None = None
    ) -> Iterator[pa.Table]:
        """Columns of the matching rows, at most BATCH_ROWS at a time; of some `files` only, where they are given.

        Raises:
            Unavailable: a file of the table cannot be read.
        """
        dataset = files if files is not None else self.dataset
        with readable(self.name):
            for batch in dataset.to_batches(
                columns=list(columns), filter=condition, batch_size=BATCH_ROWS, batch_readahead=2, fragment_readahead=2
            ):
                if batch.num_rows:
                    yield pa.Table.from_batches([batch])

    def rows(self, columns: Sequence[str], condition: ds.Expression | None = None) -> pa.Table:
        """All matching rows, as from `batches`."""
        return pa.concat_tables([self.schema(columns).empty_table(), *self.batches(columns, condition)])

    def count(self, condition: ds.Expression) -> int:
        with readable(self.name):
            return int(self.dataset.count_rows(filter=condition))

    def latest_time(self, column: str) -> datetime | None:
        """The latest time in a column: from the statistics of the files where all have them, else by reading the column."""
        if column in self.max_by_statistics:
            return _in_utc(self.max_by_statistics[column])
        maxima = [pc.max(batch[column]).as_py() for batch in self.batches([column])]
        return max((time for time in maxima if time), default=None)


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Turn an error of reading a table into Unavailable with the reason: files that cannot be read, or that lack columns or
    values."""
    try:
        yield
    except (DeltaError, OSError, pa.ArrowException, LookupError, ValueError, OverflowError) as error:
        detail = f"The table {name} of the lake cannot be read now: {_without_paths(reason(error))}"
        raise Unavailable(detail) from error


def max_by_statistics(files: pa.Table) -> dict[str, Any]:
    """The maximum of each column whose statistics every file has; `files` are the flattened add actions of a table."""
    names = [name for name in files.schema.names if name.startswith("max.")]
    return {name.removeprefix("max."): pc.max(files[name]).as_py() for name in names if not files[name].null_count}


def _without_paths(text: str) -> str:
    """A reason as a sentence without the paths of this machine, which clients must not see."""
    line = re.sub(r"(?:[a-z0-9]+://)?(?:/[\w.=%+@~-]+){2,}", "...", text)
    return f"{line.rstrip('.')[:MAX_REASON_LENGTH]}."


def _in_utc(value: Any) -> datetime | None:
    return value.replace(tzinfo=value.tzinfo or UTC) if isinstance(value, datetime) else None
