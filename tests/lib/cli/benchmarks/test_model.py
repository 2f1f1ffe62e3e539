import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from wattcast.cli.benchmarks import model as benchmark
from wattcast_models.artifact.predictor import ROWS_AT_ONCE, Predictor


def test_a_benchmark_counts_what_was_forecast_and_says_where_the_time_went(
    write_artifact: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    forecast: list[int] = []
    call = Predictor.__call__
    monkeypatch.setattr(
        Predictor, "__call__", lambda self, inputs: forecast.append(len(inputs["origin"])) or call(self, inputs)
    )
    found = benchmark.measure_model(Predictor.read(write_artifact()), lead_hours=48, batches=2)
    assert forecast == [ROWS_AT_ONCE] * 2
    assert found["forecasts_per_second"] > 0
    assert 0 < found["windows_share"] < 1
    assert 0 < found["features_share"] < 1


def test_a_benchmark_of_what_cannot_be_is_one_line(tmp_path: Path, write_artifact: Callable[..., Path]) -> None:
    program = typer.Typer()
    program.command()(benchmark.main)
    folder = write_artifact(lead_hours=24)
    run = CliRunner().invoke(program, ["--model", str(folder), "--lead-hours", "48"])
    assert (run.exit_code, run.output.count("\n")) == (2, run.output.strip().count("\n") + 1)
    assert "wattcast benchmark:" in run.output
    written = tmp_path / "speed.json"
    run = CliRunner().invoke(program, ["--model", str(folder), "--batches", "1", "--json", str(written)])
    assert run.exit_code == 0, run.output
    assert json.loads(written.read_text())["lead_hours"] == 24
