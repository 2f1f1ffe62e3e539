import numpy as np
import pytest
import torch

from wattcast_models.networks.calibration import calibrated, calibration_factors, is_calibration

LEVELS = (0.1, 0.5, 0.9)


def too_narrow(hours: int = 4000, leads: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Forecasts of standard normal values: right above the median, three times too narrow below it."""
    rng = np.random.default_rng(0)
    forecast = np.broadcast_to([-1.2816 / 3, 0, 1.2816], (hours, leads, 3))
    return forecast, rng.standard_normal((hours, leads))


def test_calibrated_quantiles_have_their_coverage_on_other_hours() -> None:
    forecast, actual = too_narrow()
    factors_by_quantile = calibration_factors(forecast[:2000], actual[:2000], LEVELS)
    assert np.mean(factors_by_quantile["0.1"]) == pytest.approx(3, rel=0.05)
    assert np.mean(factors_by_quantile["0.9"]) == pytest.approx(1, rel=0.05)
    recalibrated = calibrated(torch.tensor(forecast[2000:]), factors_by_quantile, LEVELS, day=0).numpy()
    below = (actual[2000:, :, None] <= recalibrated).mean(axis=(0, 1))
    np.testing.assert_allclose(below, LEVELS, atol=0.02)


def test_unknown_hours_do_not_count_and_a_lead_hour_with_few_hours_has_the_factor_1() -> None:
    forecast, actual = too_narrow()
    actual[::2] = np.nan
    actual[100:, 5] = np.nan
    factors_by_quantile = calibration_factors(forecast, actual, LEVELS)
    assert factors_by_quantile["0.1"][5] == factors_by_quantile["0.9"][5] == 1.0
    assert factors_by_quantile["0.1"][6] == pytest.approx(3, rel=0.15)


def test_a_later_day_has_the_factors_of_its_lead_hours_and_none_after_the_last() -> None:
    scaled = torch.tensor([-1.0, 0.0, 1.0]).expand(1, 24, 3)
    recalibrated = calibrated(scaled, {"0.1": [1.0] * 30, "0.9": [1.0] * 24 + [2.0] * 6}, LEVELS, day=1)
    assert recalibrated[0, :, 2].tolist() == [2.0] * 6 + [1.0] * 18


def test_factors_cannot_make_quantiles_cross() -> None:
    levels = (0.5, 0.75, 0.9)
    scaled = torch.tensor([0.0, 1.0, 1.1]).expand(1, 24, 3)
    recalibrated = calibrated(scaled, {"0.75": [5.0] * 24, "0.9": [1.0] * 24}, levels, day=0)
    assert (recalibrated.diff(dim=-1) >= 0).all()


@pytest.mark.parametrize(
    "wrong", [None, {}, {"0.1": [1.0] * 24}, {"0.1": [1.0] * 24, "0.9": [0.0] * 24}, {"0.1": [1] * 24, "0.9": [1] * 24}]
)
def test_a_malformed_calibration_is_recognised(wrong: object) -> None:
    assert is_calibration({"0.1": [1.0] * 24, "0.9": [1.5] * 24}, LEVELS, lead_hours=24)
    assert not is_calibration(wrong, LEVELS, lead_hours=24)
