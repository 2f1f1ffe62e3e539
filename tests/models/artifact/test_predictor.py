import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.models.fixtures import INPUTS, small_network

from wattcast_models.artifact import predictor as predictors
from wattcast_models.artifact.files import read_artifact, save_artifact
from wattcast_models.artifact.predictor import NETWORKS, Predictor
from wattcast_models.artifact.weights import build_network, untrained_network
from wattcast_models.networks.networks import KINDS, ensemble_members
from wattcast_models.quantiles import QUANTILES
from wattcast_models.registry.champions import Champions


@pytest.mark.parametrize("kind", KINDS)
def test_a_forecast_has_a_row_per_building_an_hour_per_future_hour_and_ordered_quantiles(
    raw: Callable[..., Any], write_artifact: Callable[..., Path], kind: str
) -> None:
    predictor = Predictor.read(write_artifact(kind=kind))
    for leads in (1, 24, 168):
        quantiles = predictor(raw(5, lead_hours=leads))
        assert (quantiles.shape, quantiles.dtype) == ((5, leads, 3), np.float64)
        assert (np.diff(quantiles, axis=-1) >= 0).all()


def test_a_pickled_predictor_forecasts_the_same(raw: Callable[..., Any], write_artifact: Callable[..., Path]) -> None:
    predictor = Predictor.read(write_artifact())
    travelled = pickle.loads(pickle.dumps(predictor))
    assert travelled == predictor
    np.testing.assert_array_equal(travelled(raw()), predictor(raw()))


def test_the_network_is_built_once_per_version_and_a_new_version_replaces_it(
    raw: Callable[..., Any], write_artifact: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (Predictor.read(write_artifact(seed)) for seed in (1, 2))
    built = []
    build = build_network
    monkeypatch.setattr(predictors, "build_network", lambda *args: built.append(args[0]["version"]) or build(*args))
    before = [first(raw()), pickle.loads(pickle.dumps(first))(raw())]
    assert built == ["v1"]
    after = second(raw())
    assert built == ["v1", "v2"]
    assert NETWORKS.network(second) is NETWORKS.network(second)
    assert not np.allclose(before[0], after)


def test_rows_do_not_see_each_other(raw: Callable[..., Any], write_artifact: Callable[..., Path]) -> None:
    predictor, inputs = Predictor.read(write_artifact()), raw(300)
    alone = predictor({name: values[270:271] for name, values in inputs.items()})
    np.testing.assert_allclose(predictor(inputs)[270:271], alone, rtol=1e-4)


def test_a_longer_context_is_cut_and_a_shorter_one_counts_as_missing(
    raw: Callable[..., Any], write_artifact: Callable[..., Path]
) -> None:
    predictor, whole = Predictor.read(write_artifact()), raw(context_hours=900)
    context = ("energy_usage_kwh", "temperature_c", "humidity_pct", "occupancy")
    last = whole | {name: whole[name][:, -672:] for name in context}
    np.testing.assert_array_equal(predictor(whole), predictor(last))
    short = whole | {name: whole[name][:, -100:] for name in context}
    filled = {name: np.pad(short[name], ((0, 0), (572, 0)), constant_values=np.nan) for name in context}
    np.testing.assert_array_equal(predictor(short), predictor(whole | filled))
    empty = whole | {name: whole[name][:, :0] for name in context}
    assert np.isfinite(predictor(empty)).all()


def test_forecasts_scale_with_the_load(raw: Callable[..., Any], write_artifact: Callable[..., Path]) -> None:
    predictor, inputs = Predictor.read(write_artifact()), raw()
    larger = inputs | {"energy_usage_kwh": inputs["energy_usage_kwh"] * 1000}
    np.testing.assert_allclose(predictor(larger), predictor(inputs) * 1000, rtol=1e-3)


def test_only_a_meter_that_has_been_negative_is_forecast_negative(
    raw: Callable[..., Any], write_artifact: Callable[..., Path]
) -> None:
    predictor, inputs = Predictor.read(write_artifact()), raw()
    mostly_zero = inputs | {"energy_usage_kwh": np.where(inputs["energy_usage_kwh"] > 30, 1, 0)}
    assert predictor(mostly_zero).min() == 0
    exporting = inputs | {"energy_usage_kwh": inputs["energy_usage_kwh"] - 100}
    assert predictor(exporting).max() < 0


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_values_that_are_not_finite_count_as_missing(
    raw: Callable[..., Any], write_artifact: Callable[..., Path], value: float
) -> None:
    predictor, inputs = Predictor.read(write_artifact()), raw()
    for name in ("energy_usage_kwh", "temperature_c", "future_temperature_c", "occupancy"):
        inputs[name][:, 3] = value
    assert np.isfinite(predictor(inputs)).all()


def test_inputs_of_wrong_shapes_are_a_value_error(raw: Callable[..., Any], write_artifact: Callable[..., Path]) -> None:
    predictor, inputs = Predictor.read(write_artifact(lead_hours=48)), raw()
    for wrong in (
        raw(lead_hours=49),
        {name: values for name, values in inputs.items() if name != "origin"},
        inputs | {"occupancy": inputs["occupancy"][:1]},
        inputs | {"future_humidity_pct": inputs["future_humidity_pct"][:, :5]},
        inputs | {"origin": np.full(3, np.datetime64("NaT", "s"))},
    ):
        with pytest.raises(ValueError, match=r"inputs|origin"):
            predictor(wrong)


def test_no_rows_give_no_forecasts(raw: Callable[..., Any], write_artifact: Callable[..., Path]) -> None:
    assert Predictor.read(write_artifact())(raw(0)).shape == (0, 24, 3)


def test_a_model_with_more_quantiles_returns_the_three_standard_ones_when_called(
    raw: Callable[..., Any], tmp_path: Path, write_artifact: Callable[..., Path]
) -> None:
    config, _ = read_artifact(write_artifact())
    more = config | {"quantiles": [0.05, 0.1, 0.5, 0.75, 0.9]}
    save_artifact(tmp_path / "more", untrained_network(config["network"], config["inputs"], more["quantiles"]), more)
    predictor = Predictor.read(tmp_path / "more")
    every = predictor.forecast(raw())
    assert every.shape == (3, 24, 5)
    assert (np.diff(every, axis=-1) >= 0).all()
    np.testing.assert_array_equal(predictor(raw()), every[..., [1, 2, 4]])


def test_an_ensemble_forecasts_the_mean_of_its_members(raw: Callable[..., Any], tmp_path: Path) -> None:
    config = {"name": "e", "version": "1", "network": small_network("mlp", "profile"), "inputs": INPUTS}
    config |= {"quantiles": list(QUANTILES), "context_hours": 672, "lead_hours": 24}
    ensemble = untrained_network(config["network"], INPUTS, QUANTILES)
    save_artifact(tmp_path / "ensemble", ensemble, config)
    parts = []
    for member, about in zip(ensemble_members(ensemble), config["network"]["members"], strict=True):
        save_artifact(tmp_path / about["kind"], member, config | {"network": about})
        parts.append(Predictor.read(tmp_path / about["kind"])(raw()))
    forecast = Predictor.read(tmp_path / "ensemble")(raw())
    np.testing.assert_allclose(forecast, np.mean(parts, axis=0), rtol=1e-5)
    assert not np.allclose(*parts)


def test_a_calibration_widens_the_hours_that_it_names_and_leaves_the_median(
    raw: Callable[..., Any], write_artifact: Callable[..., Path]
) -> None:
    predictor = Predictor.read(write_artifact())
    factors = {"0.1": [1.0] * 168, "0.9": [1.0] * 24 + [2.0] * 144}
    calibrated = Predictor(predictor.config | {"calibration": factors}, predictor.weights)
    before, after = predictor(raw(lead_hours=48)), calibrated(raw(lead_hours=48))
    np.testing.assert_allclose(after[..., :2], before[..., :2])
    np.testing.assert_allclose(after[:, :24], before[:, :24])
    width = before[..., 2] - before[..., 1]
    np.testing.assert_allclose(after[:, 24:, 2], before[:, 24:, 1] + 2 * width[:, 24:])


def test_a_missing_device_is_a_value_error(
    raw: Callable[..., Any], write_artifact: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    predictor = Champions(Predictor.read(write_artifact())).on("cuda")("any building", "")
    assert predictor is not None
    with pytest.raises(ValueError, match="This machine has no device cuda that torch can use"):
        predictor(raw())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_forecasts_as_the_cpu_does(raw: Callable[..., Any], write_artifact: Callable[..., Path]) -> None:
    on_cpu = Predictor.read(write_artifact())
    np.testing.assert_allclose(replace(on_cpu, device="cuda")(raw(300)), on_cpu(raw(300)), rtol=1e-3, atol=1e-3)
