import json
import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from wattcast_models.artifact import read, shipped_artifact
from wattcast_models.backtest import backtest, summary
from wattcast_models.predictor import Predictor
from wattcast_models.readings import Building, read_buildings
from wattcast_models.rolling import Rolling, scoring_origins
from wattcast_models.synthetic import synthetic_buildings

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Runs a job as the command line does, and returns its exit status and what it wrote as errors."""

    def run_job(job: str, *arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", [job, *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(PROJECT / "jobs" / f"{job}.py"), run_name="__main__")
        return int(ended.value.code or 0), capsys.readouterr().err

    return run_job


def frame(buildings: list[Building]) -> pd.DataFrame:
    parts = []
    for building in buildings:
        hours = np.array(building.start + np.arange(building.hours), "datetime64[h]")
        part = pd.DataFrame(building.values, columns=["energy_usage_kwh", "temperature_c", "humidity_pct", "occupancy"])
        parts.append(part.assign(timestamp=pd.to_datetime(hours).tz_localize("UTC"), building_id=building.building_id))
    return pd.concat(parts)


@pytest.mark.parametrize(
    ("timezone", "hour"), [("Europe/London", 0), ("America/New_York", 5), ("Australia/Sydney", 14)]
)
def test_origins_are_midnights_of_standard_time_in_summer_too(timezone: str, hour: int) -> None:
    start = int(np.datetime64("2024-01-01", "h").astype(int))
    building = Building("b", start, np.ones((366 * 24, 4), np.float32), {"timezone": timezone})
    origins = scoring_origins(building, Rolling(0.5))
    assert set((start + origins.hour) % 24) == {hour}
    assert (np.diff(origins.hour) == 24).all()
    assert 182 <= len(origins) <= 183
    assert origins.hour.max() + 24 <= building.hours


def test_errors_are_shares_of_the_mean_load_on_hours_that_were_measured(write_artifact: Callable[..., Path]) -> None:
    values = np.full((24 * 100, 4), np.nan, np.float32)
    values[:, 0] = 10
    values[24 * 93 :, 0] = 12  # the last week is 2 kWh higher than the week before it
    values[24 * 95 : 24 * 95 + 12, 0] = np.nan
    (score,) = backtest(Predictor.read(write_artifact()), [Building("b", 420_000, values, {})], test_share=0.07)
    assert score.hours == 7 * 24 - 12
    assert score.naive_nrmse_pct == pytest.approx(100 * 2 / 12)
    assert score.naive_nmae_pct == pytest.approx(100 * 2 / 12)


def test_a_building_without_anything_to_score_has_no_score(write_artifact: Callable[..., Path]) -> None:
    empty = Building("silent", 420_000, np.full((24 * 60, 4), np.nan, np.float32), {})
    assert list(backtest(Predictor.read(write_artifact()), [empty])) == []


def test_the_shipped_model_is_sane_at_places_and_uses_it_has_never_seen() -> None:
    scores = list(backtest(Predictor.read(shipped_artifact()), synthetic_buildings(40, days=100, seed=99)))
    figures = summary(scores)
    assert figures["beaten"] >= 0.8 * figures["buildings"]
    assert 70 < figures["coverage_pct"] < 92


def test_train_then_backtest_as_plain_files(run: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    data, out, figures = tmp_path / "readings.parquet", tmp_path / "model", tmp_path / "figures.json"
    frame(synthetic_buildings(4, days=80)).to_parquet(data)
    frame(synthetic_buildings(1, days=1)).to_csv(tmp_path / "first.csv", index=False)
    steps = ("--steps", 3, "--batch-windows", 32)
    status, said = run("train", "--data", data, "--out", out, *steps, "--exclude-buildings-of", tmp_path / "first.csv")
    assert status == 0, said
    config, _ = read(out)
    assert config["training_building_ids"] == ["synthetic_1", "synthetic_2", "synthetic_3"]
    status, said = run("backtest", "--data", data, "--model", out, "--json", figures)
    assert status == 0, said
    buildings = json.loads(figures.read_text())["buildings"]
    assert [row["building_id"] for row in buildings] == [f"synthetic_{number}" for number in range(4)]
    assert {"nrmse_pct", "nmae_pct", "pinball_pct", "coverage_pct", "naive_nrmse_pct"} <= buildings[0].keys()


@pytest.mark.parametrize("job", ["train", "backtest"])
def test_a_file_that_cannot_be_used_is_one_line_and_exit_2(
    run: Callable[..., tuple[int, str]], job: str, tmp_path: Path
) -> None:
    (tmp_path / "short.csv").write_text("timestamp,building_id,energy_usage_kwh\n2024-03-01T00:00:00Z,a,1\n")
    (tmp_path / "columns.csv").write_text("when,building_id\n2024-03-01T00:00:00Z,a\n")
    for name in ("none.parquet", "short.csv", "columns.csv"):
        status, said = run(job, "--data", tmp_path / name)
        assert status == 2
        assert len(said.strip().splitlines()) == 1, said


@pytest.mark.readings
@pytest.mark.skipif("WATTCAST_DATA" not in os.environ, reason="WATTCAST_DATA is not set")
def test_the_shipped_model_beats_the_same_hour_last_week_on_buildings_it_was_not_trained_on() -> None:
    data = Path(os.environ["WATTCAST_DATA"])
    predictor = Predictor.read(shipped_artifact())
    buildings = read_buildings(data / "cambridge_sample.parquet", data / "buildings.csv")
    assert not {building.building_id for building in buildings} & set(predictor.config["training_building_ids"])
    figures = summary(list(backtest(predictor, buildings)))
    assert (figures["buildings"], figures["beaten"] >= 34) == (36, True)
    assert figures["nrmse_pct"] < 12.5
    assert figures["naive_nrmse_pct"] == pytest.approx(17.8, abs=0.5)
    assert figures["naive_nmae_pct"] == pytest.approx(11.9, abs=0.1)
