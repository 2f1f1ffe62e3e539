"""`wattcast backtest`: the files that it writes, and bad input as one line."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from tests.models.fixtures import flat_building, frame

from wattcast.settings import Settings
from wattcast_models.artifact.card import model_card
from wattcast_models.artifact.files import read_artifact
from wattcast_models.data.synthetic import synthetic_buildings
from wattcast_models.registry.registry import Registry
from wattcast_models.tracking.mlflow_store import with_client
from wattcast_models.tracking.runs import EXPERIMENT


def test_train_then_backtest_as_plain_files(
    run: Callable[..., tuple[int, str]], registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Settings, "tracking_uri", registry.uri)
    data, out, figures = tmp_path / "readings.parquet", tmp_path / "model", tmp_path / "figures.json"
    frame(synthetic_buildings(4, days=80)).to_parquet(data)
    frame(synthetic_buildings(1, days=1)).to_csv(tmp_path / "first.csv", index=False)
    steps = ("--steps", 3, "--set", "batch_windows=32")
    status, said = run("train", "--data", data, "--out", out, *steps, "--exclude-buildings-of", tmp_path / "first.csv")
    assert status == 0, said
    config, _ = read_artifact(out)
    assert config["training_building_ids"] == ["synthetic_1", "synthetic_2", "synthetic_3"]
    (tracked,) = with_client(
        registry.uri, lambda client: client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
    )
    assert tracked.data.params["batch_windows"] == "32"
    assert tracked.data.metrics["validation_loss"] == pytest.approx(config["metrics"]["validation_loss"], abs=1e-4)
    assert (tracked.info.run_name, tracked.info.status) == ("wattcast-mlp", "FINISHED")
    kept = with_client(registry.uri, lambda client: [file.path for file in client.list_artifacts(tracked.info.run_id)])
    assert kept == ["losses.png", "model", "width_factors.png"]
    status, said = run("backtest", "--data", data, "--model", out, "--json", figures)
    assert status == 0, said
    buildings = json.loads(figures.read_text())["buildings"]
    assert [row["building_id"] for row in buildings] == [f"synthetic_{number}" for number in range(4)]
    assert {"nrmse_pct", "nmae_pct", "pinball_pct", "coverage_pct", "naive_nrmse_pct"} <= buildings[0].keys()


def test_methods_and_models_side_by_side_as_files(
    run: Callable[..., tuple[int, str]], write_artifact: Callable[..., Path], tmp_path: Path
) -> None:
    data, places = tmp_path / "readings.parquet", tmp_path / "places.csv"
    buildings = synthetic_buildings(4, days=60)
    frame(buildings).to_parquet(data)
    pd.DataFrame([{"building_id": each.building_id, **each.metadata} for each in buildings]).to_csv(places, index=False)
    figures, table, page = (tmp_path / name for name in ("out.json", "out.csv", "out.html"))
    models = [part for seed in (0, 1) for part in ("--model", write_artifact(seed))]
    methods = "last-week,yesterday,last-7-days,ridge,lightgbm,lightgbm-global"
    inputs = ("--data", data, "--buildings-file", places, *models, "--methods", methods, "--lead-hours", 48)
    outputs = ("--json", figures, "--csv", table, "--html", page)
    status, said = run("backtest", *inputs, *outputs, "--buildings", "synthetic_1,synthetic_3")
    assert status == 0, said
    found = json.loads(figures.read_text())
    names = {"test v0", "test v1", *methods.split(",")}
    assert [row["building_id"] for row in found["buildings"]] == ["synthetic_1", "synthetic_3"]
    assert found["buildings"][0]["methods"].keys() == names
    assert found["buildings"][0]["nrmse_pct"] == found["buildings"][0]["methods"]["test v0"]["nrmse_pct"]
    assert {line["method"] for line in found["methods"]} == names
    assert len(found["median_nrmse_pct_by"]["lead"]) == len(found["coverage_pct_by_lead"]["test v1"]) == 48
    rows = pd.read_csv(table)
    assert set(rows["method"]) == names
    assert set(rows["by"]) == {"all", "lead", "hour", "weekday", "season"}
    assert (tmp_path / "out.html").stat().st_size > 50_000


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--methods", "ridge,prophet"), "Unknown method prophet. Available methods: last-week"),
        (("--origin-hours", "noon"), "--origin-hours takes hours of the day separated by commas, not noon."),
        (("--origin-hours", "25"), "Origin hours are 0 to 23, not 25."),
        (("--buildings", "moon"), "readings.csv has no building moon."),
        (("--methods", "lightgbm-global"), "lightgbm-global has 0 hours before the test span to fit on"),
        (("--model", "nowhere"), "nowhere is no model artifact"),
        (("--test-share", "0.01"), "No building can be scored: flat has 1440 hours: too few"),
    ],
)
def test_an_option_that_cannot_be_used_is_one_line_and_exit_2(
    run: Callable[..., tuple[int, str]], tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    data, excluded = tmp_path / "readings.csv", tmp_path / "flat.csv"
    frame([flat_building()]).to_csv(data, index=False)
    excluded.write_text("building_id\nflat\n")
    status, said = run("backtest", "--data", data, "--exclude-buildings-of", excluded, *arguments)
    assert status == 2
    assert said.startswith(f"wattcast backtest: {says}")
    assert len(said.strip().splitlines()) == 1, said


def test_the_table_without_spark_is_one_line(run: Callable[..., tuple[int, str]]) -> None:
    status, said = run("backtest", "--data", "hourly_usage")
    assert (status, said) == (2, "wattcast backtest: hourly_usage is a table that only Spark can read: add --spark.\n")


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("", "has no readings"),
        ("2024-03-01T00:00:00Z,a,0\n", "a has 1 hours: too few"),
    ],
)
def test_a_file_without_anything_to_score_is_said(
    run: Callable[..., tuple[int, str]], tmp_path: Path, rows: str, says: str
) -> None:
    (tmp_path / "data.csv").write_text(f"timestamp,building_id,energy_usage_kwh\n{rows}")
    status, said = run("backtest", "--data", tmp_path / "data.csv")
    assert (status, says in said) == (2, True), said


@pytest.mark.parametrize("job", ["train", "tune", "backtest"])
def test_a_file_that_cannot_be_used_is_one_line_and_exit_2(
    run: Callable[..., tuple[int, str]], job: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # tune and train write where they are called
    (tmp_path / "short.csv").write_text("timestamp,building_id,energy_usage_kwh\n2024-03-01T00:00:00Z,a,1\n")
    (tmp_path / "columns.csv").write_text("when,building_id\n2024-03-01T00:00:00Z,a\n")
    for name in ("none.parquet", "short.csv", "columns.csv"):
        status, said = run(job, "--data", tmp_path / name)
        assert status == 2
        assert len(said.strip().splitlines()) == 1, said


def test_a_note_keeps_the_figures_with_the_model_and_its_card_says_them(
    run: Callable[..., tuple[int, str]], tmp_path: Path, write_artifact: Callable[..., Path]
) -> None:
    folder, data = write_artifact(), tmp_path / "readings.csv"
    frame(synthetic_buildings(2, days=60)).to_csv(data, index=False)
    weights = (folder / "model.pt").read_bytes()
    assert run("backtest", "--data", data, "--model", folder, "--note") == (0, "")
    config, kept = read_artifact(folder)
    assert kept == weights
    assert "0:00" in config["evaluation"]["protocol"]
    assert config["evaluation"]["figures"]["nrmse_pct"] > 0
    card = model_card(config)
    assert "| NRMSE over that of last-week |" in card
    assert "readings.csv, 2 buildings" in card
