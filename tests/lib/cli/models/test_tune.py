"""`wattcast tune` writes a file that `wattcast train` reads, without reading the data that are held out for testing."""

from collections.abc import Callable
from datetime import date
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner, Result

from wattcast.cli.models import tune
from wattcast.local.simulation.simulator import write_simulation
from wattcast_models.training.options import TrainingOptions, read_options
from wattcast_models.training.tuning import SearchResult, TrialResult

SPACE = """
trial_steps: 4
check_every_steps: 2
options:
  learning_rate: {low: 1.0e-4, high: 1.0e-2, log: true}
  hidden: {choices: [8, 16]}
"""
SMALL = ("members=[mlp]", "summary=4", "batch_windows=64", "context_hours=672")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("data") / "readings.parquet"
    write_simulation(file, buildings=3, days=70, start=date(2026, 1, 1), interval_minutes=60, seed=4)
    return file


@pytest.fixture
def call(tmp_path: Path) -> Callable[..., Result]:
    """Calls the command with a small search space and further words."""
    program = typer.Typer()
    program.command()(tune.main)
    (tmp_path / "space.yaml").write_text(SPACE)
    small = [word for assignment in SMALL for word in ("--set", assignment)]

    def call(*words: str) -> Result:
        return CliRunner().invoke(program, [*small, "--space", str(tmp_path / "space.yaml"), "--seed", "2", *words])

    return call


def tuned(call: Callable[..., Result], data: Path, out: Path, *words: str) -> list[str]:
    """The lines of the file that a search writes, without the line that names the data."""
    result = call("--data", str(data), "--out", str(out), "--trials", "2", *words)
    assert result.exit_code == 0, result.output
    return [line for line in out.read_text().splitlines() if data.name not in line]


def test_it_writes_options_that_train_reads_and_their_origin(
    call: Callable[..., Result], data: Path, tmp_path: Path
) -> None:
    lines = tuned(call, data, tmp_path / "tuned.yaml")
    assert "the best of 2 trials" in lines[0]
    options = read_options(tmp_path / "tuned.yaml", {})
    assert (options.members, options.summary, options.steps) == (("mlp",), 4, 3000)
    assert options.hidden in (8, 16)
    assert tuned(call, data, tmp_path / "again.yaml") == lines


def test_the_best_trials_are_side_by_side_with_the_importance_of_each_option() -> None:
    tried = [TrialResult(0.1 + number, 600, {"hidden": 64, "members": ["mlp", "lstm"]}) for number in range(7)]
    screen = Console(width=80, record=True, file=StringIO())
    screen.print(tune.table(SearchResult(TrainingOptions(), tried, {"members": 0.75, "hidden": 0.25})))
    lines = [line.replace("│", " ").split() for line in screen.export_text().splitlines()]
    assert ["hidden", *["64"] * 5, "25%"] in lines
    assert ["members", *["mlp", "lstm"] * 5, "75%"] in lines


def test_data_held_out_for_testing_never_change_the_result(
    call: Callable[..., Result], data: Path, tmp_path: Path
) -> None:
    rows = pd.read_parquet(data)
    buildings = sorted(rows["building_id"].unique())
    excluded = tmp_path / "excluded.csv"
    excluded.write_text(f"building_id\n{buildings[0]}\n")
    instant = pd.to_datetime(rows["timestamp"], utc=True)
    is_test = (instant >= instant.min() + 0.85 * (instant.max() - instant.min())) | (
        rows["building_id"] == buildings[0]
    )
    held_out = ("--exclude-buildings-of", str(excluded), "--hold-out-share", "0.2")
    before = tuned(call, data, tmp_path / "before.yaml", *held_out)
    for name, is_altered in (("test", is_test), ("training", ~is_test)):
        energy = np.where(is_altered, 7 * rows["energy_usage_kwh"] ** 2 + 1, rows["energy_usage_kwh"])
        rows.assign(energy_usage_kwh=energy).to_parquet(tmp_path / f"altered-{name}.parquet")
        after = tuned(call, tmp_path / f"altered-{name}.parquet", tmp_path / f"{name}.yaml", *held_out)
        assert (after == before) == (name == "test")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "none.parquet"], "none.parquet does not exist"),
        (["--data", "{data}", "--exclude-buildings-of", "{data}"], "No building is left"),
        (["--data", "{data}", "--space", "none.yaml"], "none.yaml"),
        (["--data", "{data}", "--set", "hiden=3"], "hiden"),
        (["--data", "{data}", "--hold-out-share", "0.9"], "Too little data"),
    ],
)
def test_options_that_cannot_be_used_are_one_line_and_exit_2(
    call: Callable[..., Result], data: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    result = call(*(word.format(data=data) for word in words), "--out", str(tmp_path / "tuned.yaml"))
    assert result.exit_code == 2
    assert result.stderr.startswith("wattcast tune: ")
    assert message in result.stderr
    assert not (tmp_path / "tuned.yaml").exists()
