"""Checkpoint files of training runs."""

import io
from pathlib import Path
from typing import Any

import torch

from wattcast_models.artifact.weights import LOAD_ERRORS
from wattcast_models.files import write_atomically

RUN = "run"  # the key of the identity: the data and options of the run


class StaleCheckpoint(ValueError):
    """The checkpoint is unreadable or belongs to another training run; the message says which."""


def write_checkpoint(file: Path, state: dict[str, Any], *, identity: dict[str, Any]) -> None:
    """Write the state of the run with this identity, atomically."""
    buffer = io.BytesIO()
    torch.save(state | {RUN: identity}, buffer)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, buffer.getvalue())


def read_checkpoint(file: Path, *, identity: dict[str, Any], device: str) -> dict[str, Any]:
    """The state of the run with this identity; StaleCheckpoint if the file is unreadable or has another identity."""
    try:
        state: dict[str, Any] = torch.load(file, map_location=device, weights_only=True)
        is_same_run = state[RUN] == identity
    except LOAD_ERRORS as error:
        raise StaleCheckpoint(f"The checkpoint cannot be used: {error}") from error
    if not is_same_run:
        raise StaleCheckpoint(
            f"{file.name} belongs to a training run with other data or options: remove it or add --begin-anew."
        )
    return state
