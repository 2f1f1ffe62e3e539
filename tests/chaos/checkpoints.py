"""Faults of checkpoints: one is lost as a whole, or its newest file is cut off."""

import shutil
from pathlib import Path

import numpy as np
from tests.jobs.steps import numbers


def delete_checkpoint(state: Path, query: str) -> bool:
    """Whether the query had a checkpoint, which is gone now."""
    folder = state / "checkpoints" / query
    if not folder.exists():
        return False
    shutil.rmtree(folder)
    return True


def truncate_newest_file(state: Path, query: str, rng: np.random.Generator) -> str | None:
    """Cut the newest file of the offsets or of the commits to half its length, or to nothing; returns its name, None if there
    is no file."""
    folder = state / "checkpoints" / query / str(rng.choice(["offsets", "commits"]))
    versions = numbers(folder)
    if not versions:
        return None
    file = folder / str(max(versions))
    content = file.read_bytes()
    file.write_bytes(content[: int(rng.integers(2)) * len(content) // 2])
    return str(file.relative_to(state / "checkpoints"))
