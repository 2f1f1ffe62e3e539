"""Files that are written atomically."""

import os
from pathlib import Path

import pytest

from wattcast_models.files import write_atomically


def test_a_write_that_is_interrupted_leaves_the_previous_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "model.pt"
    write_atomically(file, b"first")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as interrupted:
        interrupted.setattr(os, "replace", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_atomically(file, b"second")
    assert file.read_bytes() == b"first"
    write_atomically(file, b"third")
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]
    assert file.read_bytes() == b"third"
