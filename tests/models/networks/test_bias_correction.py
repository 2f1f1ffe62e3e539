from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from wattcast_models import artifact
from wattcast_models.bias import bias, earlier
from wattcast_models.predictor import Predictor


def test_an_error_that_lasts_is_taken_off_in_part_and_one_that_comes_and_goes_hardly() -> None:
    lasting, once = np.full((1, 7, 24), 10.0), np.zeros((1, 7, 24))
    once[:, 0] = 10.0
    assert 2 < bias(lasting).mean() < 3.5
    assert bias(once).mean() < 0.7
    assert bias(np.full((1, 7, 24), np.nan)).tolist() == np.zeros((1, 24)).tolist()


def test_nothing_that_came_later_is_in_what_was_known_on_a_day_before(raw: Callable[..., Any]) -> None:
    inputs = raw(2, lead_hours=48)
    inputs["energy_usage_kwh"] = np.arange(672, dtype=np.float32)[None].repeat(2, axis=0)
    for day, (then, actual) in enumerate(earlier(inputs, 3), start=1):
        assert (inputs["origin"] - then["origin"] == np.timedelta64(24 * day, "h")).all()
        assert then["energy_usage_kwh"].max() == 671 - 24 * day
        known = min(24 * day, 48)
        np.testing.assert_array_equal(
            actual[:, :known], np.arange(672 - 24 * day, 672 - 24 * day + known)[None].repeat(2, 0)
        )
        assert np.isnan(actual[:, known:]).all()
        np.testing.assert_array_equal(
            then["future_temperature_c"][:, :known], inputs["temperature_c"][:, 672 - 24 * day :][:, :known]
        )


def test_a_model_that_is_always_too_low_is_mended_and_its_band_moves_along(
    raw: Callable[..., Any], write_artifact: Callable[..., Path]
) -> None:
    config, weights = artifact.read(write_artifact())
    network = artifact.build_network(config, weights)
    with torch.no_grad():
        network.head.out.bias[-3] -= 1.0  # the correction of the median
    low = Predictor(config | {"sha256": "low"}, artifact.weights_bytes(network))
    inputs = raw(4)
    plain = low(inputs)
    mended = Predictor(low.config | {"bias_days": 7}, low.weights)(inputs)
    raised = mended - plain
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
    mended = Predictor(predictor.config | {"bias_days": 7}, predictor.weights)(inputs)
    assert np.isfinite(mended).all()
    assert np.array_equal(mended, predictor(inputs)) == (hours <= 24)


@pytest.mark.parametrize("days", [-1, 15, "7", 1.5])
def test_days_that_make_no_sense_are_refused(write_artifact: Callable[..., Path], days: object) -> None:
    config, _ = artifact.read(write_artifact())
    with pytest.raises(artifact.ArtifactError, match="bias_days"):
        artifact.check_config(config | {"bias_days": days})
