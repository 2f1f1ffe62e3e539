"""The files of a Delta log: whether they are there, in order and readable.

A commit of zero bytes, as a power failure or a full disk can leave it, reads as a version without changes. Delta reports no error
then: readers get the version before it, and the rows of that commit are lost at the next write.
"""

import io
import json
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq

from wattcast.errors import FAILED
from wattcast.lake.storage import Storage

FOLDER = "_delta_log"
COMMIT = re.compile(r"(\d{20})\.json")
CHECKPOINT = re.compile(r"(\d{20})\.checkpoint(\..+)?\.parquet")


class TableDamaged(Exception):
    """A table whose log is damaged, so that a write would lose rows for good."""

    exit_status = FAILED


def commit_file(version: int) -> str:
    return f"{FOLDER}/{version:020}.json"


def commit_damage(storage: Storage, version: int, size: int) -> str | None:
    """What is wrong with the file of a commit of that many bytes; None if it is readable."""
    if size == 0:
        return "is empty"
    try:
        for line in storage.read(commit_file(version)).decode().splitlines():
            json.loads(line)
    except ValueError:  # also of text that is not UTF-8
        return "is no readable JSON"
    return None


def damaged_commit(storage: Storage, sizes: Mapping[int, int]) -> str | None:
    """The first of these commits (bytes by version) that is damaged, and how; None if none is."""
    for version, size in sorted(sizes.items()):
        if damage := commit_damage(storage, version, size):
            return f"{commit_file(version)} {damage}"
    return None


def damage_since_checkpoint(storage: Storage) -> str | None:
    """The first damaged commit that readers of a table need, and how; None if none is, or if there is no table."""
    files = storage.sizes(FOLDER)
    checkpoint = max(versions(files, CHECKPOINT), default=-1)
    commits = {version: size for version, size in versions(files, COMMIT).items() if version > checkpoint}
    return damaged_commit(storage, commits)


def log_faults(storage: Storage) -> Iterator[str]:
    """The faults of the log of a table, each a sentence."""
    sizes = storage.sizes(FOLDER)
    commits = versions(sizes, COMMIT)
    checkpoints = versions(sizes, CHECKPOINT)
    yield from _missing(commits, checkpoints)
    for version, size in sorted(commits.items()):
        if damage := commit_damage(storage, version, size):
            yield f"The commit {commit_file(version)} {damage}, so rows of it may be missing."
    for name in sorted(name for name in sizes if CHECKPOINT.fullmatch(name)):
        if not _is_parquet(storage.read(f"{FOLDER}/{name}")):
            yield f"The checkpoint {FOLDER}/{name} is no readable Parquet file."


def versions(sizes: Mapping[str, int], pattern: re.Pattern[str]) -> dict[int, int]:
    """Bytes by version, of the files of a log whose names match."""
    matches = ((pattern.fullmatch(name), size) for name, size in sizes.items())
    return {int(match[1]): size for match, size in matches if match}


def _missing(commits: Mapping[int, int], checkpoints: Mapping[int, int]) -> Iterator[str]:
    if not commits:
        yield f"The folder {FOLDER} has no commit."
        return
    first = min(commits)
    if first > 0 and not any(first - 1 <= version for version in checkpoints):
        yield f"The commits before {commit_file(first)} are missing, and no checkpoint replaces them."
    for version, following in pairwise(sorted(commits)):
        if following > version + 1:
            yield f"The commits {version + 1} to {following - 1} are missing in {FOLDER}."


def _is_parquet(content: bytes) -> bool:
    try:
        pq.ParquetFile(io.BytesIO(content))
    except (pa.ArrowInvalid, OSError):
        return False
    return True
