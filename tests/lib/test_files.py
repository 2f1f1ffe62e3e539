"""Files that are written atomically."""

import os
import stat
from pathlib import Path

import pytest

from wattcast.files import write_atomically


def test_a_file_is_replaced_and_nothing_else_is_left_in_its_folder(tmp_path: Path) -> None:
    file = tmp_path / "new folder" / "state.json"
    for text in ("a longer text", "ünï"):
        write_atomically(file, text)
        assert file.read_text(encoding="utf-8") == text
    assert list(file.parent.iterdir()) == [file]


def test_a_write_that_fails_leaves_the_previous_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "state.json"
    write_atomically(file, "before")

    def killed(*_: Path) -> None:
        raise OSError("killed")

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(OSError, match="killed"):
        write_atomically(file, "after")
    assert file.read_text() == "before"


def test_a_secret_file_is_never_readable_for_others(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    write_atomically(file, "secret", mode=0o600)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
