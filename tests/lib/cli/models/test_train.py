"""`wattcast train` on a table of the lake: which version it read, what it says of its data, and where the hours are."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from deltalake import write_deltalake
from typer import Typer
from typer.testing import CliRunner

import train
from wattcast.settings import Settings, settings
from wattcast_models.champions import current_champions
from wattcast_models.gate import Verdict
from wattcast_models.predictor import Predictor
from wattcast_models.readings import Building
from wattcast_models.registry import Registry
from wattcast_models.synthetic import synthetic_buildings

app = Typer()
app.command()(train.main)


def run(*arguments: object) -> tuple[int, str]:
    """The exit status and all that was said."""
    few = ("--steps", 1, "--set", "batch_windows=16")
    result = CliRunner().invoke(app, [str(each) for each in (*arguments, *few)])
    return result.exit_code, result.output


def usage(building: Building, *, known_after: pd.Timedelta) -> pd.DataFrame:
    """Rows of `hourly_usage`, each hour known so long after it began."""
    hours = pd.Series(pd.to_datetime(building.start + np.arange(building.hours), unit="h", utc=True))
    values = pd.DataFrame(building.values, columns=["energy_usage_kwh", "temperature_c", "humidity_pct", "occupancy"])
    about = {"building_id": building.building_id, "hour": hours, "available_at": hours + known_after, "coverage": 1.0}
    return values.astype(float).assign(**about)


@pytest.fixture
def lake(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three buildings, each in a version of its own, the last of history that was loaded later; metadata of the first."""
    monkeypatch.setattr(Settings, "tracking_uri", registry.uri)
    minutes, years = pd.Timedelta(minutes=65), pd.Timedelta(days=5000)
    for building, late in zip(synthetic_buildings(3, days=60), (minutes, minutes, years), strict=True):
        write_deltalake(tmp_path / "hourly_usage", usage(building, known_after=late), mode="append")
    places = pd.DataFrame({"building_id": ["synthetic_0"], "timezone": ["Europe/London"]})
    write_deltalake(tmp_path / "buildings", places)
    return tmp_path


def test_an_artifact_says_which_version_of_the_table_it_was_trained_on(lake: Path) -> None:
    data, places, out = ("--data", lake / "hourly_usage"), ("--buildings-file", lake / "buildings"), lake / "model"
    status, said = run(*data, *places, "--out", out, "--data-version", 1, "--store", lake / "store")
    assert status == 0, said
    assert "1 of 2 buildings have no time zone; they count as UTC." in said
    assert "--hindsight" not in said
    config = json.loads((out / "model_config.json").read_text())
    about = {name: config["data"].get(name) for name in ("table", "version", "hindsight", "file", "sha256")}
    assert about == {"table": "hourly_usage", "version": 1, "hindsight": False, "file": None, "sha256": None}
    assert config["training_building_ids"] == ["synthetic_0", "synthetic_1"]
    assert list((lake / "store").iterdir()) == []


def test_the_newest_version_is_read_and_history_that_was_loaded_later_is_said(lake: Path) -> None:
    (lake / "others.csv").write_text("building_id\nsynthetic_0\nsynthetic_1\n")
    late = ("--data", lake / "hourly_usage", "--exclude-buildings-of", lake / "others.csv", "--out", lake / "model")
    _, said = run(*late)
    assert "100% of the hours became known long after they ended" in said
    status, said = run(*late, "--hindsight")
    assert (status, "became known" in said) == (0, False), said
    data = json.loads((lake / "model" / "model_config.json").read_text())["data"]
    assert (data["version"], data["hindsight"]) == (2, True)


@pytest.mark.parametrize(
    ("name", "version", "says"), [("hourly_usage", 3, "hourly_usage cannot be read"), ("a.csv", 0, "no Delta table")]
)
def test_a_version_that_is_not_there_is_one_line_and_exit_2(lake: Path, name: str, version: int, says: str) -> None:
    (lake / "a.csv").write_text("timestamp,building_id,energy_usage_kwh\n2024-03-01T00:00:00Z,a,1\n")
    status, said = run("--data", lake / name, "--data-version", version, "--out", lake / "model")
    assert (status, len(said.strip().splitlines())) == (2, 1), said
    assert says in said


def test_what_the_gate_refuses_is_registered_and_said_and_is_no_failure(
    lake: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATTCAST_LAKE", str(lake))
    settings.cache_clear()
    status, said = run("--out", lake / "model", "--promote")
    settings.cache_clear()
    config = json.loads((lake / "model" / "model_config.json").read_text())
    assert status == 0, said
    assert f"Registered as version 2 ({config['name']} {config['version']})." in said
    assert "- Only 2 buildings can be scored; 5 are the least to judge by." in said
    assert "Not promoted: the gate refuses version 2" in said
    assert registry.aliases() == {}
    assert config["held_out_share"] == 0.2
    assert config["data"]["table"] == "hourly_usage"


def test_a_promoted_model_forecasts_in_a_process_that_runs_and_a_repeated_run_is_the_same_version(
    lake: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forecasting() -> Predictor | None:
        return current_champions("", models=lake / "models", registry=registry).overall

    monkeypatch.setattr(train, "judge", lambda *_: Verdict(is_accepted=True, reasons=[]))
    before = forecasting()
    arguments = ("--data", lake / "hourly_usage", "--out", lake / "model", "--seed", 1, "--promote")
    status, said = run(*arguments)
    assert (status, "Promoted: version 2 " in said) == (0, True), said
    after, config = forecasting(), json.loads((lake / "model" / "model_config.json").read_text())
    assert before is not None
    assert after is not None
    assert before.version != after.version == config["version"]
    status, said = run(*arguments)
    assert (status, "Not promoted: What forecasts all buildings is version 2" in said) == (0, True), said
    assert [version.number for version in registry.versions()] == [2, 1]


def test_a_registry_that_is_away_is_a_failure(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Settings, "tracking_uri", "http://127.0.0.1:9")
    status, said = run("--data", lake / "hourly_usage", "--out", lake / "model", "--register")
    assert status == 2
    assert said.splitlines()[-1].startswith("wattcast train: The model registry at http://127.0.0.1:9 does not answer")
