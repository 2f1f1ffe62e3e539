from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from wattcast_models.artifact.config import check_config
from wattcast_models.artifact.files import read_artifact
from wattcast_models.artifact.folder import ArtifactError
from wattcast_models.artifact.predictor import Predictor
from wattcast_models.artifact.weights import build_network, weights_bytes
from wattcast_models.networks.bias_correction import bias_correction, hindcast_inputs


def test_a_lasting_error_is_corrected_in_part_and_a_single_one_hardly() -> None:
    lasting, once = np.full((1, 7, 24), 10.0), np.zeros((1, 7, 24))
    once[:, 0] = 10.0
    assert 2 < bias_correction(lasting).mean() < 3.5
    assert bias_correction(once).mean() < 0.7
    assert bias_correction(np.full((1, 7, 24), np.nan)).tolist() == np.zeros((1, 24)).tolist()


def test_hindcast_inputs_have_nothing_that_came_later(raw: Callable[..., Any]) -> None:
    inputs = raw(2, lead_hours=48)
    inputs["energy_usage_kwh"] = np.arange(672, dtype=np.float32)[None].repeat(2, axis=0)
    for day, (earlier, actual) in enumerate(hindcast_inputs(inputs, 3), start=1):
        assert (inputs["origin"] - earlier["origin"] == np.timedelta64(24 * day, "h")).all()
        assert earlier["energy_usage_kwh"].max() == 671 - 24 * day
        known = min(24 * day, 48)
        np.testing.assert_array_equal(
            actual[:, :known], np.arange(672 - 24 * day, 672 - 24 * day + known)[None].repeat(2, 0)
        )
        assert np.isnan(actual[:, known:]).all()
        np.testing.assert_array_equal(
            earlier["future_temperature_c"][:, :known], inputs["temperature_c"][:, 672 - 24 * day :][:, :known]
        )


def test_a_model_that_is_always_too_low_is_raised_together_with_its_interval(
    raw: Callable[..., Any], write_artifact: Callable[..., Path]
) -> None:
    config, weights = read_artifact(write_artifact())
    network = build_network(config, weights)
    with torch.no_grad():
        network.head.out.bias[-3] -= 1.0  # the correction of the median
    low = Predictor(config | {"sha256": "low"}, weights_bytes(network))
    inputs = raw(4)
    plain = low(inputs)
    corrected = Predictor(low.config | {"bias_days": 7}, low.weights)(inputs)
    raised = corrected - plain
    assert (raised[..., 1] > 0).mean() > 0.95
    inside = plain[..., 0] > 0
    np.testing.assert_allclose(raised[..., 0][inside], raised[..., 1][inside], rtol=1e-6)
    np.testing.assert_array_equal(Predictor(low.config | {"bias_days": 0}, low.weights)(inputs), plain)


@pytest.mark.parametrize("hours", [0, 20, 40])
def test_a_context_shorter_than_the_days_is_corrected_as_far_as_it_goes(
    raw: Callable[..., Any], write_artifact: Callable[..., Path], hours: int
) -> None:
    predictor = Predictor.read(write_artifact())
    inputs = raw(2, context_hours=hours)
    corrected = Predictor(predictor.config | {"bias_days": 7}, predictor.weights)(inputs)
    assert np.isfinite(corrected).all()
    assert np.array_equal(corrected, predictor(inputs)) == (hours <= 24)


@pytest.mark.parametrize("days", [-1, 15, "7", 1.5])
def test_bias_days_out_of_range_are_refused(write_artifact: Callable[..., Path], days: object) -> None:
    config, _ = read_artifact(write_artifact())
    with pytest.raises(ArtifactError, match="bias_days"):
        check_config(config | {"bias_days": days})
