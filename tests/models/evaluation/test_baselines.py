import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from wattcast_models.data.readings import Building
from wattcast_models.data.rolling import Rolling, fitting_origins, scoring_origins, scoring_start
from wattcast_models.data.synthetic import synthetic_buildings
from wattcast_models.data.windows import cut_windows
from wattcast_models.evaluation.baselines import METHODS, TooLittleToFit, baseline, fitting_rows, lag_columns

Arrays = dict[str, NDArray[Any]]
ROLLING = Rolling()


def numbered(hours: int = 168, leads: int = 24) -> Arrays:
    """A context whose energy says its own position."""
    unknown, place = np.full((1, leads), np.nan), np.array(["UTC"], object)
    return {
        "origin": np.array(["2024-05-15"], "datetime64[s]"),
        "timezone": place,
        "country": np.array([""], object),
        "closures": np.array([""], object),
        "energy_usage_kwh": np.arange(hours, dtype=np.float32)[None] + 1,
        "future_temperature_c": unknown,
        "future_humidity_pct": unknown,
    }


def forecast(name: str, inputs: Arrays) -> NDArray[np.float64]:
    return baseline(name, ROLLING).fit(Building("b", 0, np.zeros((0, 4), np.float32)))(inputs)


def weekly(days: int = 70) -> Building:
    """Offices that are open on five days, with a level that rises and noise."""
    start = int(np.datetime64("2024-01-01", "h").astype(int))  # a Monday
    hour = np.arange(24 * days)
    is_open = (hour % 24 >= 8) & (hour % 24 < 18) & (hour // 24 % 7 < 5)
    noise = np.random.default_rng(2).normal(0, 0.5, len(hour))
    values = np.full((len(hour), 4), np.nan, np.float32)
    values[:, 0] = 10 + 30 * is_open + noise
    return Building("office", start, values, {"timezone": "UTC", "country": ""})


def test_repeated_hours_are_the_ones_they_say() -> None:
    inputs = numbered()
    assert forecast("last-week", inputs)[0, [0, 23]].tolist() == [1, 24]
    assert forecast("yesterday", inputs)[0, [0, 23]].tolist() == [145, 168]
    assert forecast("last-7-days", inputs)[0, 0] == np.mean(np.arange(7) * 24 + 1)


def test_repeated_hours_of_the_days_ahead_lie_before_the_origin() -> None:
    inputs = numbered(leads=72)
    assert forecast("last-week", inputs)[0, 50] == 51
    assert forecast("yesterday", inputs)[0, 50] == 168 - 24 + 2 + 1
    assert forecast("last-7-days", inputs)[0, 48] == forecast("last-7-days", inputs)[0, 0]


def test_a_missing_hour_is_no_value_but_one_of_seven_is_left_out() -> None:
    inputs = numbered()
    inputs["energy_usage_kwh"][0, [0, 144]] = np.nan, np.inf
    assert np.isnan(forecast("last-week", inputs)[0, 0])
    assert np.isnan(forecast("yesterday", inputs)[0, 0])
    assert forecast("last-7-days", inputs)[0, 0] == np.mean(np.arange(1, 6) * 24 + 1)


def test_columns_are_the_lags_over_the_mean_and_the_calendar() -> None:
    columns, mean = lag_columns(numbered())
    assert mean.tolist() == [[84.5]]
    expected = [(168 - 24 * lag + 5 + 1) / 84.5 for lag in range(1, 8)]
    assert columns[0, 5, :7].tolist() == pytest.approx(expected)
    spread = np.arange(168).std() / 84.5
    assert columns[0, 5, 7:].tolist() == pytest.approx([84.5, spread, 5, 2, 136, 0])  # a Wednesday, day 136


def test_a_net_meter_has_a_mean_size() -> None:
    inputs = numbered()
    inputs["energy_usage_kwh"] = np.tile(np.float32([-2.0, 2.0]), 84)[None]
    columns, mean = lag_columns(inputs)
    assert mean.item() == 2
    assert columns[0, 0, 0] == -1


@pytest.mark.parametrize("name", ["ridge", "lightgbm", "lightgbm-global"])
def test_fitted_method_learns_the_week(name: str) -> None:
    building = weekly()
    inputs, actual = cut_windows([building], scoring_origins(building, ROLLING), context_hours=168, lead_hours=24)
    made = baseline(name, ROLLING, training=[building]).fit(building)(inputs)
    rmse = np.sqrt(((made - actual) ** 2).mean())
    naive = np.sqrt(((forecast("yesterday", inputs) - actual) ** 2).mean())  # knows no weekend
    assert rmse < naive / 5


@pytest.mark.parametrize("name", ["ridge", "lightgbm"])
def test_an_hour_that_was_missing_on_all_seven_days_before_does_not_stop_the_fit(name: str) -> None:
    building = weekly()
    energy = building.values[:, 0].reshape(-1, 24)
    energy[20:35, 9] = np.nan
    method = baseline(name, ROLLING, training=[building])
    inputs, actual = cut_windows([building], scoring_origins(building, ROLLING), context_hours=168, lead_hours=24)
    found = method.fit(building)(inputs)
    assert np.isfinite(found).all()
    assert np.abs(found - actual).mean() < 2


@pytest.mark.parametrize("name", ["ridge", "lightgbm"])
def test_nothing_is_fitted_on_the_test_span(name: str) -> None:
    building = weekly()
    changed = building.values.copy()
    changed[scoring_start(building, 0.2) :, 0] = 1000
    other = Building("office", building.start, changed, building.metadata)
    inputs, _ = cut_windows([building], scoring_origins(building, ROLLING), context_hours=168, lead_hours=24)
    made = [baseline(name, ROLLING).fit(each)(inputs) for each in (building, other)]
    np.testing.assert_array_equal(made[0], made[1])


def test_fitting_windows_end_before_the_test_span() -> None:
    building = weekly()
    for lead_hours in (24, 168):
        rolling = Rolling(lead_hours=lead_hours)
        last = fitting_origins(building, rolling).hour.max() + lead_hours
        assert last <= scoring_start(building, 0.2) == scoring_origins(building, rolling).hour.min()


@pytest.mark.parametrize("name", METHODS)
def test_method_forecasts_a_week_ahead(name: str) -> None:
    rolling = Rolling(lead_hours=168)
    building = weekly()
    inputs, actual = cut_windows([building], scoring_origins(building, rolling), context_hours=168, lead_hours=168)
    made = baseline(name, rolling, training=[building]).fit(building)(inputs)
    assert made.shape == actual.shape
    assert np.isfinite(made).all()


def test_zeros_are_forecast_as_zeros() -> None:
    building = synthetic_buildings(1, days=80)[0]
    off = numbered()
    off["energy_usage_kwh"][:] = 0
    for name in ("ridge", "lightgbm"):
        assert np.abs(baseline(name, ROLLING).fit(building)(off)).max() < 1e-3


def test_too_short_a_history_is_said() -> None:
    with pytest.raises(TooLittleToFit, match="has 96 hours before the test span to fit on; at least 336 are needed"):
        fitting_rows([weekly(days=14)], ROLLING, lag_columns)
    with pytest.raises(ValueError, match="lightgbm-global has 0 hours"):
        baseline("lightgbm-global", ROLLING)


def test_unknown_method_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        ValueError, match=r"Unknown method prophet\. Available methods: last-week, yesterday, last-7-days, ridge"
    ):
        baseline("prophet", ROLLING)


def test_a_short_context_is_refused(raw: Callable[..., Arrays]) -> None:
    with pytest.raises(ValueError, match="has 24 hours; at least 168"):
        forecast("last-week", raw(context_hours=24))


@pytest.mark.parametrize(("name", "module"), [("ridge", "sklearn.linear_model"), ("lightgbm", "lightgbm")])
def test_missing_library_is_a_sentence(name: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ValueError, match=r"which is not installed\. Run: pip install"):
        baseline(name, ROLLING).fit(weekly())
