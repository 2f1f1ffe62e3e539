"""Whether the checkpoint of a streaming query fits the table that the query appends to.

Spark numbers the batches of a query by its checkpoint, and Delta skips an append whose number the table has already. So a query
that goes on from an older copy of its checkpoint would repeat numbers for other rows, and these would be lost.
"""

import json
from dataclasses import dataclass

from wattcast.errors import FAILED
from wattcast.lake.storage import Storage

REMOVE = "Remove that folder: the job continues after the last offset in its table."


class CheckpointUnusable(Exception):
    """A checkpoint that cannot be read, or that is ahead of the table of its query."""

    exit_status = FAILED


@dataclass(frozen=True)
class Checkpoint:
    """The id of the query, and the numbers of its newest started and newest finished batch: "" and -1 where there is none."""

    query_id: str
    started: int
    finished: int


@dataclass(frozen=True)
class Continuation:
    """How a query goes on: what is added to the numbers of its batches, so that none repeats a number of the table, and whether
    the table may hold rows of its next batches already."""

    added: int
    may_repeat: bool


def checkpoint(storage: Storage) -> Checkpoint:
    """The state of the checkpoint under the root of `storage`.

    Raises:
        CheckpointUnusable: the id of the query or offsets of finished batches are missing or cannot be read.
    """
    state = Checkpoint(_query_id(storage), newest_batch(storage, "offsets"), newest_batch(storage, "commits"))
    if state.finished > state.started:
        raise CheckpointUnusable(
            f"The checkpoint {storage.root} is incomplete: it has finished batch {state.finished}, but no offsets after batch "
            f"{state.started}. {REMOVE}"
        )
    if state.started >= 0 and not state.query_id:
        raise CheckpointUnusable(f"The checkpoint {storage.root} is incomplete: its file metadata is missing. {REMOVE}")
    return state


def _query_id(storage: Storage) -> str:
    if "metadata" not in storage.sizes(""):
        return ""
    try:
        return str(json.loads(storage.read("metadata"))["id"])
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointUnusable(f"The file metadata of the checkpoint {storage.root} is damaged. {REMOVE}") from error


def queries_that_read(storage: Storage, table_id: str) -> list[str]:
    """The queries whose checkpoints, the folders under the root of `storage`, have offsets in the Delta table of this id."""
    return [query for query in storage.folders("") if table_id in newest_offsets(storage, query)]


def newest_offsets(storage: Storage, query: str) -> str:
    """The offsets of the newest started batch of a query, a line for each source; empty if it has started none."""
    newest = newest_batch(storage, f"{query}/offsets")
    return "" if newest < 0 else storage.read(f"{query}/offsets/{newest}").decode(errors="replace")


def newest_batch(storage: Storage, folder: str) -> int:
    """The greatest number of a batch in the folder `offsets` or `commits` of a checkpoint; -1 for none."""
    return max(batches(storage, folder), default=-1)


def batches(storage: Storage, folder: str) -> dict[int, int]:
    """The files of batches in the folder `offsets` or `commits` of a checkpoint: bytes by number."""
    return {int(name): size for name, size in storage.sizes(folder).items() if name.isdigit()}


def continuation(state: Checkpoint, written: int) -> Continuation:
    """How a query goes on whose newest batch in its table has the number `written`, -1 for none.

    A table that is ahead of the finished batches holds rows of the next ones: of one batch after a crash between the two commits,
    of more if the checkpoint is an older copy. Their offsets decide then, and not the number of the batch.
    """
    is_ahead = written > state.finished
    return Continuation(max(0, written + 1 - state.started) if is_ahead else 0, is_ahead or written < 0)


def check_not_ahead(state: Checkpoint, written: int, *, place: str, table: str) -> None:
    """Check that the table has the batches that the query has finished.

    Raises:
        CheckpointUnusable: it has not.
    """
    if state.finished > written:
        raise CheckpointUnusable(
            f"The checkpoint {place} is ahead of the table {table}, which lacks the batches {written + 1} to {state.finished}: "
            "the table is another or an older one, or lost its newest commits. Restore the table, or remove that folder: the job "
            "then continues after the last offset in the table."
        )
