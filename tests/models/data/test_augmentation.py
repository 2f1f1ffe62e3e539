"""Augmented windows beside the windows that they were made from."""

import numpy as np

from wattcast_models.data.augmentation import augment
from wattcast_models.data.synthetic import synthetic_buildings
from wattcast_models.data.windows import cut_windows, split_by_time


def augmented(seed: int = 0) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], np.ndarray, np.ndarray]:
    buildings = synthetic_buildings(2, days=80)
    ranges, _ = split_by_time(buildings, lead_hours=168, validation_share=0.1)
    origins = ranges.sample(400, np.random.default_rng(1))
    before, actual = cut_windows(buildings, origins, context_hours=672, lead_hours=168)
    copy = {name: values.copy() for name, values in before.items()}
    after, changed = augment(before, actual, np.random.default_rng(seed))
    for name, values in copy.items():
        np.testing.assert_array_equal(before[name], values)
    return before, after, actual, changed


def test_augmentation_hides_values_and_adds_noise_to_some_rows_of_a_copy() -> None:
    before, after, actual, changed = augmented()
    noisy = np.nanmax(np.abs(changed / np.where(actual == 0, np.nan, actual) - 1), axis=1) > 1e-6
    assert 0.5 < noisy.mean() < 0.7
    kept = np.isfinite(after["energy_usage_kwh"])
    steady_rows = kept & ~noisy[:, None]
    np.testing.assert_array_equal(after["energy_usage_kwh"][steady_rows], before["energy_usage_kwh"][steady_rows])
    for name in ("energy_usage_kwh", "temperature_c", "humidity_pct", "occupancy"):
        found = np.isfinite(after[name])
        assert not (found & ~np.isfinite(before[name])).any()
        assert found.sum() < np.isfinite(before[name]).sum() or not np.isfinite(before[name]).any()


def test_errors_of_weather_forecasts_grow_with_the_lead_time() -> None:
    before, after, _, _ = augmented()
    error = after["future_temperature_c"] - before["future_temperature_c"]
    first, last = np.nanstd(error[:, :24]), np.nanstd(error[:, 144:])
    assert 0.5 < first < 2
    assert 1.3 * first < last < 5
    assert np.isnan(error).all(axis=1).mean() > 0.5
