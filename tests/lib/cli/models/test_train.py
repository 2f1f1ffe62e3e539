"""`wattcast train` on a table of the lake: the version it reads, its remarks on the data, the registry and the gate."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from deltalake import write_deltalake
from typer import Typer
from typer.testing import CliRunner

from wattcast.cli.models import train, training_run
from wattcast.settings import Settings, settings
from wattcast_models.artifact.predictor import Predictor
from wattcast_models.data.readings import Building
from wattcast_models.data.synthetic import synthetic_buildings
from wattcast_models.registry.champions import ChampionSource
from wattcast_models.registry.gate import GateDecision
from wattcast_models.registry.registry import Registry

app = Typer()
app.command()(train.main)


def run(*arguments: object) -> tuple[int, str]:
    """The exit status and the output."""
    few = ("--steps", 1, "--set", "batch_windows=16", "--set", "lead_hours=24")
    result = CliRunner().invoke(app, [str(word) for word in (*arguments, *few)])
    return result.exit_code, result.output


def usage(building: Building, *, known_after: pd.Timedelta) -> pd.DataFrame:
    """Rows of `hourly_usage`; each hour became available `known_after` its start."""
    hours = pd.Series(pd.to_datetime(building.start + np.arange(building.hours), unit="h", utc=True))
    values = pd.DataFrame(building.values, columns=["energy_usage_kwh", "temperature_c", "humidity_pct", "occupancy"])
    about = {"building_id": building.building_id, "hour": hours, "available_at": hours + known_after, "coverage": 1.0}
    return values.astype(float).assign(**about)


@pytest.fixture
def lake(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three buildings, one per version of the table, the last with history that was loaded later; metadata of the first."""
    monkeypatch.setattr(Settings, "tracking_uri", registry.uri)
    minutes, years = pd.Timedelta(minutes=65), pd.Timedelta(days=5000)
    for building, late in zip(synthetic_buildings(3, days=60), (minutes, minutes, years), strict=True):
        write_deltalake(tmp_path / "hourly_usage", usage(building, known_after=late), mode="append")
    places = pd.DataFrame({"building_id": ["synthetic_0"], "timezone": ["Europe/London"]})
    write_deltalake(tmp_path / "buildings", places)
    return tmp_path


def test_an_artifact_records_the_version_of_the_table_it_was_trained_on(lake: Path) -> None:
    data, places, out = ("--data", lake / "hourly_usage"), ("--buildings-file", lake / "buildings"), lake / "model"
    status, output = run(*data, *places, "--out", out, "--data-version", 1, "--store", lake / "store")
    assert status == 0, output
    assert "1 of 2 buildings have no time zone; they count as UTC." in output
    assert "--hindsight" not in output
    config = json.loads((out / "model_config.json").read_text())
    about = {name: config["data"].get(name) for name in ("table", "version", "hindsight", "file", "sha256")}
    assert about == {"table": "hourly_usage", "version": 1, "hindsight": False, "file": None, "sha256": None}
    assert config["training_building_ids"] == ["synthetic_0", "synthetic_1"]
    assert list((lake / "store").iterdir()) == []


def test_the_newest_version_is_read_and_history_that_was_loaded_later_is_a_remark(lake: Path) -> None:
    (lake / "others.csv").write_text("building_id\nsynthetic_0\nsynthetic_1\n")
    late = ("--data", lake / "hourly_usage", "--exclude-buildings-of", lake / "others.csv", "--out", lake / "model")
    _, output = run(*late)
    assert "100% of the hours became known long after they ended" in output
    status, output = run(*late, "--hindsight")
    assert (status, "became known" in output) == (0, False), output
    data = json.loads((lake / "model" / "model_config.json").read_text())["data"]
    assert (data["version"], data["hindsight"]) == (2, True)


def test_an_artifact_records_the_closing_rules_it_was_trained_under(
    lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATTCAST_CLOSING__MAX_WAIT_MINUTES", "60")
    settings.cache_clear()
    status, output = run("--data", lake / "hourly_usage", "--data-version", 1, "--out", lake / "model")
    settings.cache_clear()
    assert status == 0, output
    config = json.loads((lake / "model" / "model_config.json").read_text())
    assert config["trained_under"] == {"closing": {"grace_minutes": 5, "max_wait_minutes": 60}}


@pytest.mark.parametrize(
    ("name", "version", "message"),
    [("hourly_usage", 3, "hourly_usage cannot be read"), ("a.csv", 0, "not a Delta table")],
)
def test_a_version_that_does_not_exist_is_one_line_and_exit_2(
    lake: Path, name: str, version: int, message: str
) -> None:
    (lake / "a.csv").write_text("timestamp,building_id,energy_usage_kwh\n2024-03-01T00:00:00Z,a,1\n")
    status, output = run("--data", lake / name, "--data-version", version, "--out", lake / "model")
    assert (status, len(output.strip().splitlines())) == (2, 1), output
    assert message in output


def test_a_model_that_the_gate_refuses_is_registered_and_the_command_succeeds(
    lake: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATTCAST_LAKE", str(lake))
    settings.cache_clear()
    status, output = run("--out", lake / "model", "--promote")
    settings.cache_clear()
    config = json.loads((lake / "model" / "model_config.json").read_text())
    assert status == 0, output
    assert f"Registered as version 2 ({config['name']} {config['version']})." in output
    assert "- Only 2 buildings can be scored; at least 5 are needed." in output
    assert "Not promoted: the gate refuses version 2" in output
    assert registry.aliases() == {}
    assert config["held_out_share"] == 0.2
    assert config["data"]["table"] == "hourly_usage"


def test_a_promoted_model_forecasts_in_a_running_process_and_a_repeated_run_adds_no_version(
    lake: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = ChampionSource(registry, models=lake / "models")

    def forecasting() -> Predictor | None:
        return source.current().overall

    monkeypatch.setattr(training_run, "judge", lambda *_: GateDecision(is_accepted=True, reasons=[]))
    before = forecasting()
    arguments = ("--data", lake / "hourly_usage", "--out", lake / "model", "--seed", 1, "--promote")
    status, output = run(*arguments)
    assert (status, "Promoted: version 2 " in output) == (0, True), output
    after, config = forecasting(), json.loads((lake / "model" / "model_config.json").read_text())
    assert before is not None
    assert after is not None
    assert before.version != after.version == config["version"]
    status, output = run(*arguments)
    assert (status, "Not promoted: The model that forecasts all buildings is version 2" in output) == (0, True), output
    assert [version.number for version in registry.versions()] == [2, 1]


def test_a_registry_that_does_not_answer_is_a_failure(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Settings, "tracking_uri", "http://127.0.0.1:9")
    status, output = run("--data", lake / "hourly_usage", "--out", lake / "model", "--register")
    assert status == 2
    assert output.splitlines()[-1].startswith(
        "wattcast train: The model registry at http://127.0.0.1:9 does not answer"
    )
