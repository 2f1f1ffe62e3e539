import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattcast_models.evaluation.metrics import (
    SUMS,
    Interval,
    bootstrap_intervals,
    error_ratio,
    error_ratio_intervals,
    error_sums,
    measures_from_sums,
    median_interval,
    shares_pct,
)


def rows(building: str, method: str, by: str, group: int, sums: np.ndarray) -> dict[str, object]:
    keys = {"building_id": building, "method": method, "by": by, "group": group}
    return keys | dict(zip(SUMS, sums.sum(axis=0), strict=True))


def test_sums_of_known_hours() -> None:
    actual = np.array([10.0, 10.0])
    quantiles = np.array([[8.0, 9.0, 12.0], [11.0, 12.0, 13.0]])
    found = pd.DataFrame(error_sums(actual, quantiles), columns=SUMS)
    assert found["error"].tolist() == [-1, 2]  # too low, too high
    assert found["squared_error"].tolist() == [1, 4]
    assert found[["below_p10", "below_p50", "below_p90", "inside"]].to_numpy().tolist() == [[0, 0, 1, 1], [1, 1, 1, 0]]
    losses = [2 * (0.1 * 2 + 0.5 * 1 + 0.1 * 2) / 3, 2 * (0.9 * 1 + 0.5 * 2 + 0.1 * 3) / 3]
    assert found["pinball"].tolist() == pytest.approx(losses)


def test_pinball_of_a_point_is_its_absolute_error_and_it_covers_nothing() -> None:
    found = pd.DataFrame(error_sums(np.array([10.0, -4.0]), np.array([7.0, 1.0])), columns=SUMS)
    assert found["pinball"].tolist() == pytest.approx([3, 5])
    assert found["load"].tolist() == [10, 4]
    assert found["inside"].isna().all()


def test_measures_are_shares_of_the_load_of_all_hours_in_every_group() -> None:
    actual, model, naive = np.array([10.0, 30.0]), np.array([12.0, 30.0]), np.array([14.0, 30.0])
    parts = []
    for method, forecast in (("model", model), ("naive", naive)):
        sums = error_sums(actual, forecast)
        parts += [rows("a", method, "all", 0, sums), rows("a", method, "hour", 0, sums[:1])]
    found = measures_from_sums(pd.DataFrame(parts), reference="naive").set_index(["method", "by"])
    assert found.loc[("model", "all"), "nrmse_pct"] == pytest.approx(100 * np.sqrt(2) / 20)
    assert found.loc[("model", "hour"), "nrmse_pct"] == pytest.approx(100 * 2 / 20)
    assert found.loc[("model", "all"), "nmbe_pct"] == pytest.approx(100 * 1 / 20)
    assert found.loc[("model", "all"), "skill_pct"] == pytest.approx(50)
    assert found.loc[("naive", "all"), "skill_pct"] == 0


@given(st.lists(st.tuples(st.floats(-100, 100), st.floats(-100, 100)), min_size=2, max_size=20), st.integers(1, 19))
def test_sums_of_parts_are_the_sum_of_the_whole(hours: list[tuple[float, float]], cut: int) -> None:
    actual, forecast = np.array(hours).T
    whole = error_sums(actual, forecast).sum(axis=0)[:6]
    parts = [error_sums(actual[part], forecast[part]).sum(axis=0)[:6] for part in (slice(cut), slice(cut, None))]
    np.testing.assert_allclose(parts[0] + parts[1], whole, atol=1e-9)


def test_shares_count_each_hour_of_each_building_alike() -> None:
    band = np.array([[0.0, 1.0, 2.0]])
    inside, outside = error_sums(np.full(3, 1.0), np.repeat(band, 3, 0)), error_sums(np.array([9.0]), band)
    sums = pd.DataFrame([rows("a", "model", "all", 0, inside), rows("b", "model", "all", 0, outside)])
    assert shares_pct(sums, "model").to_dict("records") == [
        {"below_p10": 0, "below_p50": 75, "below_p90": 75, "inside": 75}
    ]


def test_ratio_is_the_geometric_mean_and_counts_the_buildings_that_are_better() -> None:
    found = error_ratio(np.array([5.0, 20.0, 9.0]), np.array([10.0, 10.0, 9.0]))
    assert found.mean.value == pytest.approx(1)
    assert (found.better, found.buildings) == (1, 3)
    assert found.mean.low < 1 < found.mean.high


def test_interval_narrows_with_more_buildings_and_is_the_same_for_a_seed() -> None:
    values = np.random.default_rng(0).normal(10, 3, 400)
    few, many = median_interval(values[:20]), median_interval(values)
    assert few.low < few.value < few.high
    assert many.high - many.low < (few.high - few.low) / 2
    assert median_interval(values) == many != median_interval(values, seed=1)


def test_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    samples = rng.normal(0, 1, (40, 300))  # 40 buildings, 300 repetitions as groups
    held = [one.low <= 0 <= one.high for one in bootstrap_intervals(samples, lambda rows: rows.mean(axis=0))]
    assert 0.90 <= np.mean(held) <= 0.98


def test_a_forecast_without_error_has_a_ratio() -> None:
    assert error_ratio_intervals(np.array([[0.0]]), np.array([[0.0]])) == [Interval(1, 1, 1)]


def test_a_group_that_a_building_lacks_is_left_out_of_its_mean() -> None:
    (found,) = error_ratio_intervals(np.array([[1.0], [np.nan]]), np.array([[2.0], [3.0]]))
    assert found.value == pytest.approx(0.5)


def test_no_building_has_no_figure() -> None:
    assert np.isnan(median_interval(np.array([])).value)
