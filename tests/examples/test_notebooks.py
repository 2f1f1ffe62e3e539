"""The notebooks of examples/ run from the first cell to the last, and are committed without output."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from tests.lib.serving.lake import write_lake

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


def notebook(name: str) -> nbformat.NotebookNode:
    return nbformat.read(ROOT / "examples" / name, as_version=4)


def executed(name: str, folder: Path) -> nbformat.NotebookNode:
    """The notebook after all its cells have run in a new kernel; an error in a cell raises."""
    return NotebookClient(notebook(name), timeout=600, kernel_name="python3").execute(cwd=str(folder))


def output_texts(run: nbformat.NotebookNode) -> list[str]:
    """The text of every output, by cell order."""
    outputs = [output for cell in run.cells if cell.cell_type == "code" for output in cell.outputs]
    return [output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs]


def has_picture(run: nbformat.NotebookNode) -> bool:
    outputs = [output for cell in run.cells if cell.cell_type == "code" for output in cell.outputs]
    return any("image/png" in output.get("data", {}) for output in outputs)


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_notebook_is_committed_without_output(file: Path) -> None:
    code = [cell for cell in notebook(file.name).cells if cell.cell_type == "code"]
    assert code
    assert [cell.source for cell in code if cell.outputs or cell.execution_count] == []


def test_exploring_notebook_shows_forecasts_and_their_accuracy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = write_lake(tmp_path / "lake", buildings=5, days=10, origins_every_hours=6)
    monkeypatch.setenv("WATTCAST_LAKE", str(tmp_path / "lake"))
    run = executed("explore_forecasts.ipynb", tmp_path)
    texts = output_texts(run)
    assert has_picture(run)
    for column in ("max_revision", "p50_kwh", "mae_ratio_to_last_week", "warning"):
        assert any(column in text for text in texts), column
    accuracy = next(text for text in texts if "mae_ratio_to_last_week" in text)
    assert all(name in accuracy for name in names)


def test_training_notebook_makes_a_model_better_than_last_week(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    run = executed("train_and_compare.ipynb", tmp_path)
    sentence = output_texts(run)[-1]
    model, last_week = (float(word) for word in sentence.replace("%", "").split() if word.replace(".", "").isdigit())
    assert has_picture(run)
    assert model < last_week
