from dataclasses import replace

import numpy as np
import pytest
import torch

from wattcast_models.artifact import weights_bytes
from wattcast_models.backtest import backtest, summary
from wattcast_models.networks import QUANTILES
from wattcast_models.predictor import Predictor
from wattcast_models.readings import Building
from wattcast_models.synthetic import synthetic_buildings
from wattcast_models.training import TrainingOptions, inputs_present, train
from wattcast_models.windows import cut, hidden, split_origins

SMALL = TrainingOptions(hidden=32, summary=16, steps=60, batch_windows=64, check_every_steps=30)
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
    trained = train(synthetic_buildings(20, days=100, seed=1), replace(SMALL, steps=150), show_progress=False)
    config = {"name": "t", "version": "1", "network": {"kind": "mlp", "hidden": 32, "summary": 16}, "sha256": "t"}
    config |= {"inputs": trained.inputs, "quantiles": list(QUANTILES), "context_hours": 672, "lead_hours": 168}
    scores = list(
        backtest(Predictor(config, weights_bytes(trained.network)), synthetic_buildings(12, days=100, seed=2))
    )
    assert summary(scores)["beaten"] > 0.75 * len(scores)


@pytest.mark.parametrize("network", ["mlp", "lstm"])
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(network: str) -> None:
    buildings = synthetic_buildings(3, days=80)
    few = replace(SMALL, network=network, steps=2)
    one, same, other = (train(buildings, replace(few, seed=seed), show_progress=False) for seed in (1, 1, 2))
    assert weights_bytes(one.network) == weights_bytes(same.network) != weights_bytes(other.network)


def test_too_little_data_is_said() -> None:
    with pytest.raises(ValueError, match="Too little data"):
        train([steady(400)], SMALL, show_progress=False)


def test_inputs_that_were_never_measured_are_no_inputs() -> None:
    assert inputs_present([steady(500, 1)]) == ["energy_usage_kwh", "temperature_c", "calendar"]
    assert inputs_present([steady(9000, 3)]) == ["energy_usage_kwh", "occupancy", "calendar", "day_of_year"]


def test_no_training_window_reaches_into_the_weeks_that_validate() -> None:
    training, validation = split_origins([steady(2000)], lead_hours=168, validation_share=0.25)
    assert training.hour.max() + 168 == 1500
    assert validation.hour.min() == 1500
    assert validation.hour.max() == 2000 - 24


def test_a_window_is_what_came_before_and_after_its_origin() -> None:
    building = steady(1000)
    origins, _ = split_origins([building], lead_hours=48, validation_share=0.1)
    inputs, actual = cut([building], origins, context_hours=300, lead_hours=48)
    row = 100
    hour = int(origins.hour[row])
    assert inputs["origin"][row] == np.datetime64(building.start + hour, "h")
    np.testing.assert_array_equal(actual[row], np.arange(hour, hour + 48))
    known = np.arange(max(hour - 300, 0), hour)
    np.testing.assert_array_equal(inputs["energy_usage_kwh"][row][-len(known) :], known)
    assert np.isnan(inputs["energy_usage_kwh"][row][: -len(known)]).all()


def test_hiding_only_takes_away_and_leaves_the_windows_as_they_were() -> None:
    buildings = synthetic_buildings(2, days=80)
    origins, _ = split_origins(buildings, lead_hours=168, validation_share=0.1)
    inputs, _ = cut(buildings, origins.pick(np.arange(0, 2000, 10)), context_hours=672, lead_hours=168)
    before = {name: values.copy() for name, values in inputs.items()}
    changed = hidden(inputs, np.random.default_rng(0))
    for name in ("energy_usage_kwh", "temperature_c", "humidity_pct", "occupancy", "future_temperature_c"):
        np.testing.assert_array_equal(inputs[name], before[name])
        kept = np.isfinite(changed[name])
        np.testing.assert_array_equal(changed[name][kept], before[name][kept])
        assert kept.sum() < np.isfinite(before[name]).sum() or not np.isfinite(before[name]).any()


def test_synthetic_buildings_are_the_same_for_a_seed_and_differ_between_seeds() -> None:
    one, same, other = (synthetic_buildings(2, days=30, seed=seed)[1] for seed in (4, 4, 5))
    np.testing.assert_array_equal(one.values, same.values)
    assert not np.array_equal(one.values, other.values, equal_nan=True)
