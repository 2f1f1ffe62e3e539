"""`wattcast doctor --lake`: whether the tables and the checkpoints of a lake are whole, and how to restore what is not."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from posixpath import dirname
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from wattcast import contracts
from wattcast.lake.checkpoints import CheckpointUnusable, batches, checkpoint
from wattcast.lake.delta_log import CHECKPOINT, COMMIT, FOLDER, damaged_commit, log_faults, versions
from wattcast.lake.reader import TableUnreadable, UriStorage, lake_location, reason

# by the query that appends to them
LEDGERS = {"ingest": "received_readings", "ingest-weather": "received_weather_forecasts"}
RESTORE = (
    "Stop the jobs and restore the files of the table from a backup, or build the lake again in an empty location."
)


@dataclass(frozen=True)
class TableCheckup:
    """A table: its newest version, its files and rows (None where it cannot be read), and its faults."""

    name: str
    version: int | None = None
    files: int | None = None
    rows: int | None = None
    faults: Sequence[str] = ()


@dataclass(frozen=True)
class QueryCheckup:
    """The checkpoint of a query: its newest started and finished batch, -1 for none, and its faults."""

    query: str
    started: int = -1
    finished: int = -1
    written: int | None = None
    faults: Sequence[str] = ()


@dataclass(frozen=True)
class LakeCheckup:
    """What the doctor found; `tables` has those of the lake that exist."""

    lake: str
    checkpoints: str
    tables: list[TableCheckup] = field(default_factory=list)
    queries: list[QueryCheckup] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        checkups: list[TableCheckup | QueryCheckup] = [*self.tables, *self.queries]
        return not any(checkup.faults for checkup in checkups)


def check_lake(lake_uri: str, checkpoints_uri: str) -> LakeCheckup:
    """Check every table of a lake and every checkpoint, without Spark and without writing.

    Raises:
        TableUnreadable: the lake has no tables.
    """
    folders = UriStorage(lake_uri).folders("")
    names = [table.name for table in contracts.tables() if table.name in folders]
    if not names:
        raise TableUnreadable(f"The lake {lake_uri} has no tables: set WATTCAST_LAKE or --state, or start a job.")
    tables = [_table(f"{lake_uri}/{name}", name, checkpoints_uri) for name in names]
    queries = [
        _query(f"{checkpoints_uri}/{query}", query, lake_uri) for query in UriStorage(checkpoints_uri).folders("")
    ]
    return LakeCheckup(lake_uri, checkpoints_uri, tables, queries)


def _table(uri: str, name: str, checkpoints_uri: str) -> TableCheckup:
    storage = UriStorage(uri)
    faults = [f"{fault} {RESTORE}" for fault in log_faults(storage)]
    if damage := _newest_damage(storage):
        faults = [_newest_commit_fault(damage, checkpoints_uri), *(fault for fault in faults if damage not in fault)]
    location, options = lake_location(uri)
    try:
        table = DeltaTable(location, storage_options=options)
        return _contents(table, storage, name, faults)
    except (DeltaError, OSError, pa.ArrowInvalid) as error:
        return TableCheckup(name, faults=faults or [f"The table cannot be read: {reason(error)}. {RESTORE}"])


def _contents(table: DeltaTable, storage: UriStorage, name: str, faults: list[str]) -> TableCheckup:
    """The checkup of a table that can be opened: its data files, and the rows in them against those of the log."""
    added: dict[str, list[Any]] = pa.table(table.get_add_actions(flatten=True)).to_pydict()
    sizes = {unquote(path): size for path, size in zip(added["path"], added["size_bytes"], strict=True)}
    missing = _missing_files(storage, sizes)
    if missing:
        text = f"{len(missing)} of {len(sizes)} data files are missing or cut off, the first is {missing[0]}."
        return TableCheckup(name, table.version(), len(sizes), None, [*faults, f"{text} {RESTORE}"])
    rows = table.to_pyarrow_dataset().count_rows()
    logged = [count for count in added.get("num_records", []) if count is not None]
    if len(logged) == len(sizes) and sum(logged) != rows and not any(table.deletion_vectors()):
        faults = [*faults, f"The log counts {sum(logged):,} rows, and the data files have {rows:,}. {RESTORE}"]
    return TableCheckup(name, table.version(), len(sizes), rows, faults)


def _missing_files(storage: UriStorage, sizes: Mapping[str, int]) -> list[str]:
    """The files that are not there with this number of bytes."""
    present = {
        f"{folder}/{name}".lstrip("/"): size
        for folder in sorted({dirname(file) for file in sizes})
        for name, size in storage.sizes(folder).items()
    }
    return sorted(file for file, size in sizes.items() if present.get(file) != size)


def _newest_damage(storage: UriStorage) -> str | None:
    """The newest commit and what is wrong with it; None if it is readable or a checkpoint replaces it."""
    sizes = storage.sizes(FOLDER)
    commits = versions(sizes, COMMIT)
    newest = max(commits, default=-1)
    if newest in versions(sizes, CHECKPOINT):  # the commit is not read
        return None
    return damaged_commit(storage, {newest: commits[newest]}) if commits else None


def _newest_commit_fault(damage: str, checkpoints_uri: str) -> str:
    return (
        f"The newest commit {damage}, so its rows are missing, and jobs refuse to write the table. Stop the jobs and restore "
        f"that file from a backup; without a backup remove it, its .crc files (also hidden ones), and the folders of "
        f"{checkpoints_uri}: ingest then reads again what the topic still has, and the other jobs, run with --once, compute what "
        "is missing."
    )


def _query(uri: str, query: str, lake_uri: str) -> QueryCheckup:
    storage = UriStorage(uri)
    remedy = f"Stop the job and remove the folder {uri}: the job continues from its tables."
    faults = [f"{fault} {remedy}" for fault in _checkpoint_faults(storage)]
    try:
        state = checkpoint(storage)
    except CheckpointUnusable as error:
        return QueryCheckup(query, faults=[str(error), *faults])
    written = _written(lake_uri, query, state.query_id)
    if written is not None and state.finished > written:
        faults.append(f"The batches {written + 1} to {state.finished} are missing in {LEDGERS[query]}. {remedy}")
    return QueryCheckup(query, state.started, state.finished, written, faults)


def _written(lake_uri: str, query: str, query_id: str) -> int | None:
    """The newest batch of a query in the ledger that it appends to, -1 for none; None for other queries and unreadable tables."""
    if query not in LEDGERS:
        return None
    location, options = lake_location(f"{lake_uri}/{LEDGERS[query]}")
    try:
        version = DeltaTable(location, storage_options=options).transaction_version(query_id)
    except (DeltaError, OSError):
        return None
    return -1 if version is None else version


def _checkpoint_faults(storage: UriStorage) -> Iterator[str]:
    for folder in ("offsets", "commits"):
        sizes = batches(storage, folder)
        if empty := sorted(number for number, size in sizes.items() if size == 0):
            yield f"The file {folder}/{empty[0]} is empty."
        for number, following in pairwise(sorted(sizes)):
            if following > number + 1:
                yield f"The batches {number + 1} to {following - 1} are missing in {folder}."
