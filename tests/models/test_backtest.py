import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from tests.models.conftest import frame

from wattcast.settings import Settings
from wattcast_models.artifact import read, shipped_artifact
from wattcast_models.backtest import (
    ORIGINS_AT_ONCE,
    Results,
    backtest,
    known_inputs,
    model_method,
    scored,
    scored_readings,
    summary,
    with_reference,
)
from wattcast_models.baselines import Method, baseline
from wattcast_models.card import model_card
from wattcast_models.features import Inputs
from wattcast_models.mlflow_store import asked
from wattcast_models.predictor import Predictor
from wattcast_models.readings import Building, read_buildings
from wattcast_models.registry import Registry
from wattcast_models.rolling import FUTURE_WEATHER, Rolling, scoring_origins
from wattcast_models.synthetic import synthetic_buildings
from wattcast_models.tracking import EXPERIMENT


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


def test_other_origins_and_leads_stay_inside_the_last_share() -> None:
    start = int(np.datetime64("2024-01-01", "h").astype(int))
    building = Building("b", start, np.ones((366 * 24, 4), np.float32), {"timezone": "Asia/Tokyo"})
    origins = scoring_origins(building, Rolling(0.1, (6, 18), 168))
    assert set((start + origins.hour + 9) % 24) == {6, 18}
    assert origins.hour.min() >= 0.9 * building.hours
    assert building.hours - 12 < origins.hour.max() + 168 <= building.hours


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"test_share": 0.0}, "The test share must be above 0"),
        ({"origin_hours": ()}, "Origin hours are 0 to 23, not none"),
        ({"origin_hours": (0, 24)}, "Origin hours are 0 to 23, not 0, 24"),
        ({"lead_hours": 169}, "Lead hours are 1 to 168, not 169"),
    ],
)
def test_a_protocol_that_cannot_be_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Rolling(**options)


def constant(name: str, *kwh: float, silent_hour: int | None = None) -> Method:
    """Forecasts the same for every hour: one value, or P10, P50 and P90."""

    def forecast(inputs: Inputs) -> NDArray[np.float64]:
        made = np.tile(np.array(kwh, float), (*inputs["future_temperature_c"].shape, 1))
        if silent_hour is not None:
            made[:, silent_hour] = np.nan
        return made if len(kwh) == 3 else made[..., 0]

    return Method(name, lambda building: forecast)


def flat(days: int = 60, kwh: float = 10.0, **place: str) -> Building:
    values = np.full((24 * days, 4), np.nan, np.float32)
    values[:, 0] = kwh
    return Building("flat", int(np.datetime64("2023-11-15", "h").astype(int)), values, place)


def test_methods_are_scored_on_the_hours_for_which_all_have_a_value() -> None:
    building = flat()
    building.values[-24:-20, 0] = np.nan  # hours 0 to 3 of the last day were not measured
    methods = [constant("band", 9, 11, 12), constant("point", 8, silent_hour=5)]
    found = Results.of([scored(building, with_reference(methods, Rolling()), Rolling())])
    whole = found.measured[found.measured["by"] == "all"].set_index("method")
    assert set(whole["hours"]) == {12 * 23 - 4}
    assert whole["rmse_kwh"].to_dict() == {"band": 1, "last-week": 0, "point": 2}
    assert whole["nmbe_pct"].to_dict() == {"band": 10, "last-week": 0, "point": -20}
    assert whole["coverage_pct"].to_dict() == pytest.approx(
        {"band": 100, "last-week": np.nan, "point": np.nan}, nan_ok=True
    )
    assert [found.unanswered(name) for name in ("band", "point")] == [0, 12]


def test_groups_are_local_and_add_up_to_the_whole() -> None:
    building = flat(days=120, timezone="America/New_York")
    building.values[:, 0] = np.arange(building.hours) % 24  # each UTC hour has its own load
    rolling = Rolling(0.5, (0, 12), 48)
    sums = scored(building, with_reference([constant("zero", 0)], rolling), rolling)
    own = sums[sums["method"] == "zero"]
    for by in ("lead", "hour", "weekday", "season"):
        assert own.loc[own["by"] == by, "squared_error"].sum() == own.loc[own["by"] == "all", "squared_error"].item()
    winter = Rolling(0.3)
    hours = scored(flat_by_hour(), with_reference([constant("zero", 0)], winter), winter)
    by_hour = hours[(hours["method"] == "zero") & (hours["by"] == "hour")].set_index("group")
    assert (by_hour["load"] / by_hour["hours"]).to_dict() == {hour: (hour + 5) % 24 for hour in range(24)}
    seasons = hours[(hours["method"] == "zero") & (hours["by"] == "season")]
    assert seasons["group"].tolist() == [0]  # December to February


def flat_by_hour() -> Building:
    """New York in winter, where the local hour is the UTC hour less 5."""
    building = flat(days=90, timezone="America/New_York")
    building.values[:, 0] = (building.start + np.arange(building.hours)) % 24
    return building


def test_a_long_test_span_is_scored_in_parts_that_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    (building,) = synthetic_buildings(1, days=60)
    rolling = Rolling(0.5, tuple(range(24)))
    methods = with_reference([baseline("ridge", rolling)], rolling)
    assert len(scoring_origins(building, rolling)) > 2 * ORIGINS_AT_ONCE
    in_parts = scored(building, methods, rolling)
    monkeypatch.setattr("wattcast_models.backtest.ORIGINS_AT_ONCE", 10_000)
    pd.testing.assert_frame_equal(in_parts, scored(building, methods, rolling))


def test_a_model_is_scored_as_if_it_was_alone(write_artifact: Callable[..., Path]) -> None:
    (building,) = synthetic_buildings(1, days=80)
    model = model_method(Predictor.read(write_artifact()), Rolling())
    beside = with_reference([model, replace(constant("long", 1), context_hours=1400)], Rolling())
    alone, among = (scored(building, methods, Rolling()) for methods in (with_reference([model], Rolling()), beside))
    own = [each[each["method"] == model.name].reset_index(drop=True) for each in (alone, among)]
    pd.testing.assert_frame_equal(*own)


def test_readings_in_any_order_are_scored_as_the_building() -> None:
    buildings = synthetic_buildings(1, days=60)
    methods = with_reference([baseline("last-7-days", Rolling())], Rolling())
    readings = frame(buildings).sample(frac=1, random_state=1)
    found = scored_readings(readings, places={"synthetic_0": buildings[0].place}, methods=methods, rolling=Rolling())
    pd.testing.assert_frame_equal(found, scored(buildings[0], methods, Rolling()))


@pytest.mark.parametrize(
    ("building", "why"),
    [
        (flat(days=7), "has 168 hours: too few for a week of context and an origin to score"),
        (flat(kwh=0.0), "used nothing in the test span"),
        (flat(kwh=np.nan), "has no measured hour in the test span"),
        (flat(kwh=np.inf), "has no measured hour in the test span"),
        (flat(days=16), "has 120 hours to fit on before the test span; 336 are the least"),
    ],
)
def test_a_building_that_cannot_be_scored_is_skipped_with_the_reason(building: Building, why: str) -> None:
    methods = with_reference([baseline("ridge", Rolling())], Rolling())
    part = scored(building, methods, Rolling())
    good = scored(replace(flat(), building_id="good"), methods, Rolling())
    found = Results.of([part, good])
    assert (found.buildings, found.skipped) == (["good"], {"flat": why})
    with pytest.raises(ValueError, match=f"No building can be scored: flat {why}"):
        Results.of([part])


def test_a_method_without_any_value_is_named() -> None:
    silent = constant("silent", np.nan)
    found = scored(flat(), with_reference([silent], Rolling()), Rolling())
    assert found["skipped"].tolist() == ["has no hour for which silent had a value"]


def test_a_net_meter_is_scored_by_the_size_of_its_load() -> None:
    building = flat()
    building.values[:, 0] = np.tile([-5.0, 15.0], building.hours // 2)
    (score,) = Results.of(
        [scored(building, with_reference([constant("zero", 0)], Rolling()), Rolling())]
    ).measured.query("by == 'all' and method == 'zero'")["nmae_pct"]
    assert score == 100


def test_two_methods_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="Two methods have the name a"):
        with_reference([constant("a", 1), constant("a", 2)], Rolling())


def test_a_model_that_does_not_see_far_enough_is_refused(write_artifact: Callable[..., Path]) -> None:
    with pytest.raises(ValueError, match="test v0 forecasts 24 hours, not 48"):
        model_method(Predictor.read(write_artifact(lead_hours=24)), Rolling(lead_hours=48))


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
    config, _ = read(out)
    assert config["training_building_ids"] == ["synthetic_1", "synthetic_2", "synthetic_3"]
    (tracked,) = asked(
        registry.uri, lambda client: client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
    )
    assert tracked.data.params["batch_windows"] == "32"
    assert tracked.data.metrics["validation_loss"] == pytest.approx(config["metrics"]["validation_loss"], abs=1e-4)
    assert (tracked.info.run_name, tracked.info.status) == ("wattcast-mlp", "FINISHED")
    kept = asked(registry.uri, lambda client: [file.path for file in client.list_artifacts(tracked.info.run_id)])
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
    buildings = synthetic_buildings(4, days=90)
    frame(buildings).to_parquet(data)
    pd.DataFrame([{"building_id": each.building_id, **each.place} for each in buildings]).to_csv(places, index=False)
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
        (("--methods", "ridge,prophet"), "There is no method prophet: there are last-week"),
        (("--origin-hours", "noon"), "--origin-hours are hours of the day with commas between, not noon."),
        (("--origin-hours", "25"), "Origin hours are 0 to 23, not 25."),
        (("--buildings", "moon"), "readings.csv has no building moon."),
        (("--methods", "lightgbm-global"), "lightgbm-global has 0 hours to fit on"),
        (("--model", "nowhere"), "nowhere is no model artifact"),
        (("--test-share", "0.01"), "No building can be scored: flat has 1440 hours: too few"),
    ],
)
def test_an_option_that_cannot_be_used_is_one_line_and_exit_2(
    run: Callable[..., tuple[int, str]], tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    data, excluded = tmp_path / "readings.csv", tmp_path / "flat.csv"
    frame([flat()]).to_csv(data, index=False)
    excluded.write_text("building_id\nflat\n")
    status, said = run("backtest", "--data", data, "--exclude-buildings-of", excluded, *arguments)
    assert status == 2
    assert said.startswith(f"wattcast backtest: {says}")
    assert len(said.strip().splitlines()) == 1, said


def test_the_table_without_spark_is_one_line(run: Callable[..., tuple[int, str]]) -> None:
    status, said = run("backtest", "--data", "hourly_usage")
    assert (status, said) == (2, "wattcast backtest: hourly_usage is a table, which Spark reads: add --spark.\n")


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("", "holds no readings"),
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


@pytest.mark.readings
@pytest.mark.skipif("WATTCAST_DATA" not in os.environ, reason="WATTCAST_DATA is not set")
def test_the_shipped_model_beats_the_same_hour_last_week_on_buildings_it_was_not_trained_on() -> None:
    data = Path(os.environ["WATTCAST_DATA"])
    predictor = Predictor.read(shipped_artifact())
    buildings = read_buildings(data / "cambridge_sample.parquet", data / "buildings.csv")
    unseen = [each for each in buildings if each.building_id in predictor.config["excluded_building_ids"]]
    assert not {building.building_id for building in unseen} & set(predictor.config["training_building_ids"])
    scores = {score.building_id: score for score in backtest(predictor, buildings)}
    every = summary(list(scores.values()))
    figures = summary([scores[building.building_id] for building in unseen])
    assert (len(unseen), figures["beaten"]) == (8, 8)
    assert figures["nrmse_pct"] < 0.75 * figures["naive_nrmse_pct"]
    assert 77 < figures["coverage_pct"] < 83
    assert every["beaten"] == 36
    assert every["naive_nrmse_pct"] == pytest.approx(17.8, abs=0.5)
    assert every["naive_nmae_pct"] == pytest.approx(11.9, abs=0.1)


@pytest.mark.parametrize("future_weather", FUTURE_WEATHER)
def test_what_is_known_of_the_weather_ahead_is_as_the_protocol_says(future_weather: str) -> None:
    (building,) = synthetic_buildings(1, days=60, seed=3)
    building.values[:, 1] = np.arange(building.hours)
    origins = scoring_origins(building, Rolling())
    known, _ = known_inputs(building, origins, context_hours=672, lead_hours=48, future_weather=future_weather)
    again, _ = known_inputs(building, origins, context_hours=672, lead_hours=48, future_weather=future_weather)
    error = known["future_temperature_c"] - (origins.hour[:, None] + np.arange(48))
    np.testing.assert_array_equal(known["future_temperature_c"], again["future_temperature_c"])
    if future_weather == "unknown":
        assert np.isnan(error).all()
    else:
        assert (np.nanstd(error) == 0) == (future_weather == "measured")
        assert np.nanstd(error) < 5
    assert np.isfinite(known["temperature_c"]).any()
    hidden, _ = known_inputs(
        building, origins, context_hours=672, lead_hours=48, future_weather="measured", without=["temperature_c"]
    )
    assert np.isnan(hidden["future_temperature_c"]).all()
    assert np.isnan(hidden["temperature_c"]).all()
    np.testing.assert_array_equal(hidden["energy_usage_kwh"], known["energy_usage_kwh"])


@pytest.mark.parametrize("wrong", [{"future_weather": "sunny"}, {"without": ("energy_usage_kwh",)}])
def test_a_protocol_that_cannot_be_is_a_value_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"sunny|energy_usage_kwh"):
        Rolling(**wrong)


def test_a_note_keeps_the_figures_with_the_model_and_its_card_says_them(
    run: Callable[..., tuple[int, str]], tmp_path: Path, write_artifact: Callable[..., Path]
) -> None:
    folder, data = write_artifact(), tmp_path / "readings.csv"
    frame(synthetic_buildings(2, days=60)).to_csv(data, index=False)
    weights = (folder / "model.pt").read_bytes()
    assert run("backtest", "--data", data, "--model", folder, "--note") == (0, "")
    config, kept = read(folder)
    assert kept == weights
    assert "0:00" in config["evaluation"]["protocol"]
    assert config["evaluation"]["figures"]["nrmse_pct"] > 0
    card = model_card(config)
    assert "| NRMSE over that of last-week |" in card
    assert "readings.csv, 2 buildings" in card
