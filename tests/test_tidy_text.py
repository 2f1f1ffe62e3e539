"""The pre-commit hook `.ci/tidy_text.py` tidies text files and clears notebooks."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / ".ci/tidy_text.py"


def run(file: Path) -> int:
    return subprocess.run([sys.executable, SCRIPT, file], capture_output=True, timeout=60).returncode


@pytest.mark.parametrize(
    ("before", "after"), [("a  \nb", "a\nb\n"), ("a\n\n\n", "a\n"), ("a\n", "a\n"), ("", ""), ("\n \n", "")]
)
def test_whitespace_is_tidied_and_a_change_is_reported(tmp_path: Path, before: str, after: str) -> None:
    file = tmp_path / "text.md"
    file.write_text(before, encoding="utf-8")
    assert run(file) == (before != after)
    assert file.read_text(encoding="utf-8") == after
    assert run(file) == 0


def test_outputs_of_a_notebook_are_cleared_and_its_source_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "notebook.ipynb"
    cell = {"cell_type": "code", "source": ["1 + 1"], "metadata": {"scrolled": True}}
    ran = cell | {"execution_count": 3, "outputs": [{"output_type": "stream", "name": "stdout", "text": ["2"]}]}
    file.write_text(json.dumps({"cells": [ran], "nbformat": 4}), encoding="utf-8")
    assert run(file) == 1
    (cleared,) = json.loads(file.read_text(encoding="utf-8"))["cells"]
    assert cleared == cell | {"metadata": {}, "execution_count": None, "outputs": []}
    assert run(file) == 0
