import numpy as np

from wattcast_models.data.synthetic import synthetic_buildings


def test_synthetic_buildings_are_the_same_for_a_seed_and_differ_between_seeds() -> None:
    one, same, other = (synthetic_buildings(2, days=30, seed=seed)[1] for seed in (4, 4, 5))
    np.testing.assert_array_equal(one.values, same.values)
    assert not np.array_equal(one.values, other.values, equal_nan=True)
