from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from wattcast_models import training
from wattcast_models.artifact import weights_bytes
from wattcast_models.backtest import backtest, summary
from wattcast_models.calibration import is_calibration
from wattcast_models.networks import KINDS, QUANTILES
from wattcast_models.options import TrainingOptions
from wattcast_models.predictor import Predictor
from wattcast_models.readings import Building
from wattcast_models.synthetic import synthetic_buildings
from wattcast_models.training import inputs_present, train
from wattcast_models.windows import Origins, Stretches, as_in_use, cut, split_by_time

SMALL = TrainingOptions(
    members=("mlp",), hidden=32, summary=16, steps=60, batch_windows=64, check_every_steps=30, context_hours=672
)
LONDON = {"timezone": "Europe/London", "country": "GB", "building_type": "", "closures": ""}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def steady(hours: int, *columns: int) -> Building:
    values = np.full((hours, 4), np.nan, np.float32)
    values[:, 0] = np.arange(hours)
    for column in columns:
        values[:, column] = 1
    return Building("steady", 420_000, values, LONDON)


def test_a_few_steps_already_beat_the_same_hour_last_week_on_buildings_never_seen() -> None:
    trained = train(synthetic_buildings(20, days=100, seed=1), replace(SMALL, steps=300), show_progress=False)
    config = {"name": "t", "version": "1", "network": SMALL.network, "sha256": "t"}
    config |= {
        "calibration": trained.calibration,
        "inputs": trained.inputs,
        "quantiles": list(QUANTILES),
        "context_hours": 672,
        "lead_hours": 168,
    }
    scores = list(
        backtest(Predictor(config, weights_bytes(trained.network)), synthetic_buildings(12, days=100, seed=2))
    )
    assert summary(scores)["beaten"] > 0.75 * len(scores)


@pytest.mark.parametrize("network", KINDS)
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(network: str) -> None:
    buildings = synthetic_buildings(3, days=80)
    few = replace(SMALL, members=(network,), steps=2)
    one, same, other = (train(buildings, replace(few, seed=seed), show_progress=False) for seed in (1, 1, 2))
    assert weights_bytes(one.network) == weights_bytes(same.network) != weights_bytes(other.network)


def test_too_little_data_is_said() -> None:
    with pytest.raises(ValueError, match="Too little data"):
        train([steady(400)], SMALL, show_progress=False)


def test_inputs_that_were_never_measured_are_no_inputs() -> None:
    assert inputs_present([steady(500, 1)]) == ["energy_usage_kwh", "temperature_c", "calendar"]
    assert inputs_present([steady(9000, 3)]) == ["energy_usage_kwh", "occupancy", "calendar", "day_of_year"]


class Killed(Exception):
    pass


@pytest.mark.parametrize("killed_at", [20, 30, 50])
def test_a_run_that_was_killed_goes_on_to_the_same_weights(tmp_path: Path, killed_at: int) -> None:
    buildings = synthetic_buildings(3, days=80)
    options = replace(SMALL, members=("mlp", "profile"), dropout=0.1, check_every_steps=10)
    whole = train(buildings, options, show_progress=False)
    checkpoint, steps = tmp_path / "checkpoint.pt", []

    def die(step: int, losses: object) -> None:
        steps.append(step)
        if step == killed_at:
            raise Killed

    with pytest.raises(Killed):
        train(buildings, options, checkpoint=checkpoint, show_progress=False, on_check=die)
    resumed = train(buildings, options, checkpoint=checkpoint, show_progress=False, on_check=die_later(steps))
    assert steps == sorted([*range(10, 61, 10), killed_at])
    assert weights_bytes(resumed.network) == weights_bytes(whole.network)
    assert (resumed.calibration, resumed.metrics) == (whole.calibration, whole.metrics)
    assert not checkpoint.exists()


def die_later(steps: list[int]) -> Callable[[int, object], None]:
    return lambda step, losses: steps.append(step)


@pytest.mark.parametrize("content", [b"", b"rubbish"])
def test_a_checkpoint_that_is_broken_or_of_another_run_is_refused(tmp_path: Path, content: bytes) -> None:
    buildings, checkpoint = synthetic_buildings(3, days=80), tmp_path / "checkpoint.pt"
    checkpoint.write_bytes(content)
    with pytest.raises(ValueError, match="checkpoint cannot be used"):
        train(buildings, SMALL, checkpoint=checkpoint, show_progress=False)
    train(buildings, SMALL, checkpoint=checkpoint, begin_anew=True, show_progress=False)
    assert not checkpoint.exists()
    with pytest.raises(Killed):
        train(buildings, SMALL, checkpoint=checkpoint, show_progress=False, on_check=_die_at_the_second_check())
    with pytest.raises(ValueError, match="other data or options"):
        train(buildings, replace(SMALL, seed=9), checkpoint=checkpoint, show_progress=False)
    other, whole = (
        train(buildings, replace(SMALL, seed=9), checkpoint=file, begin_anew=True, show_progress=False)
        for file in (checkpoint, None)
    )
    assert weights_bytes(other.network) == weights_bytes(whole.network)


def _die_at_the_second_check() -> Callable[[int, object], None]:
    def die(step: int, losses: object) -> None:
        if step == SMALL.steps:
            raise Killed

    return die


def test_a_loss_that_is_no_number_ends_the_run_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "pinball", lambda forecast, actual, levels: forecast.sum(dim=-1) * torch.nan)
    with pytest.raises(ValueError, match="The loss at step 1 is nan"):
        train(synthetic_buildings(3, days=80), SMALL, show_progress=False)


def test_the_calibration_of_a_run_has_a_factor_per_lead_hour() -> None:
    trained = train(synthetic_buildings(6, days=80), replace(SMALL, steps=5), show_progress=False)
    assert is_calibration(trained.calibration, QUANTILES, lead_hours=168)
    assert any(factor != 1.0 for factor in trained.calibration["0.9"])


def every_origin(stretches: Stretches) -> Origins:
    runs = zip(stretches.building, stretches.first, stretches.hours, strict=True)
    parts = [(np.full(hours, number), np.arange(first, first + hours)) for number, first, hours in runs]
    return Origins(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def test_no_training_window_reaches_into_the_weeks_that_validate() -> None:
    parts = split_by_time([steady(2000)], lead_hours=168, validation_share=0.25)
    training, validation = (every_origin(part).hour for part in parts)
    assert training.max() + 168 == 1500
    assert validation.min() == 1500
    assert validation.max() == 2000 - 24


def test_windows_begin_only_where_there_is_energy_before_and_after() -> None:
    building = steady(2000)
    building.values[600:1000, 0] = np.nan
    training, _ = split_by_time([building], lead_hours=24, validation_share=0.1)
    hours = set(every_origin(training).hour.tolist())
    assert hours == set(range(168, 1776 + 1)) - set(range(600 - 12 + 1, 1000 + 24))
    sampled = training.sample(20_000, np.random.default_rng(0))
    assert set(sampled.hour.tolist()) == hours
    assert np.bincount(sampled.hour)[list(hours)].std() < 2 * np.sqrt(20_000 / len(hours))


def test_a_window_is_what_came_before_and_after_its_origin() -> None:
    building = steady(1000)
    origins = every_origin(split_by_time([building], lead_hours=48, validation_share=0.1)[0])
    inputs, actual = cut([building], origins, context_hours=300, lead_hours=48)
    row = 100
    hour = int(origins.hour[row])
    assert inputs["origin"][row] == np.datetime64(building.start + hour, "h")
    np.testing.assert_array_equal(actual[row], np.arange(hour, hour + 48))
    known = np.arange(max(hour - 300, 0), hour)
    np.testing.assert_array_equal(inputs["energy_usage_kwh"][row][-len(known) :], known)
    assert np.isnan(inputs["energy_usage_kwh"][row][: -len(known)]).all()


def spoilt(seed: int = 0) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], np.ndarray, np.ndarray]:
    buildings = synthetic_buildings(2, days=80)
    stretches, _ = split_by_time(buildings, lead_hours=168, validation_share=0.1)
    origins = stretches.sample(400, np.random.default_rng(1))
    before, actual = cut(buildings, origins, context_hours=672, lead_hours=168)
    copy = {name: values.copy() for name, values in before.items()}
    after, changed = as_in_use(before, actual, np.random.default_rng(seed))
    for name, values in copy.items():
        np.testing.assert_array_equal(before[name], values)
    return before, after, actual, changed


def test_spoiling_takes_away_adds_noise_to_some_rows_and_leaves_the_windows_as_they_were() -> None:
    before, after, actual, changed = spoilt()
    noisy = np.nanmax(np.abs(changed / np.where(actual == 0, np.nan, actual) - 1), axis=1) > 1e-6
    assert 0.5 < noisy.mean() < 0.7
    kept = np.isfinite(after["energy_usage_kwh"])
    steady_rows = kept & ~noisy[:, None]
    np.testing.assert_array_equal(after["energy_usage_kwh"][steady_rows], before["energy_usage_kwh"][steady_rows])
    for name in ("energy_usage_kwh", "temperature_c", "humidity_pct", "occupancy"):
        found = np.isfinite(after[name])
        assert not (found & ~np.isfinite(before[name])).any()
        assert found.sum() < np.isfinite(before[name]).sum() or not np.isfinite(before[name]).any()


def test_weather_forecasts_err_and_err_more_the_further_ahead() -> None:
    before, after, _, _ = spoilt()
    error = after["future_temperature_c"] - before["future_temperature_c"]
    first, last = np.nanstd(error[:, :24]), np.nanstd(error[:, 144:])
    assert 0.5 < first < 2
    assert 1.3 * first < last < 5
    assert np.isnan(error).all(axis=1).mean() > 0.5


def test_synthetic_buildings_are_the_same_for_a_seed_and_differ_between_seeds() -> None:
    one, same, other = (synthetic_buildings(2, days=30, seed=seed)[1] for seed in (4, 4, 5))
    np.testing.assert_array_equal(one.values, same.values)
    assert not np.array_equal(one.values, other.values, equal_nan=True)
