from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.models.conftest import INPUTS

from wattcast_models.columns import CANDIDATES, feature_names
from wattcast_models.features import Features, features, normalise
from wattcast_models.readings import Building
from wattcast_models.windows import Origins, cut

LONDON = {"timezone": "Europe/London", "country": "GB", "building_type": "", "closures": ""}


def made(inputs: Any, leads: int = 24) -> Features:
    return features(inputs, inputs_used=INPUTS, context_hours=672, leads=np.arange(leads))


def differs(one: Features, other: Features) -> list[str]:
    return [part.name for part in fields(one) if not np.array_equal(getattr(one, part.name), getattr(other, part.name))]


def lead_column(inputs: Any, name: str, leads: int = 24) -> np.ndarray:
    return made(inputs, leads).leads[..., feature_names(INPUTS).index(name)]


def series(hours: int = 1000) -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.stack(
        [rng.uniform(5, 50, hours), rng.normal(10, 5, hours), rng.uniform(20, 90, hours), rng.uniform(0, 9, hours)], 1
    )


@pytest.mark.parametrize("origin", [700, 713, 832])
def test_what_happens_after_the_origin_changes_no_feature_but_future_weather(origin: int) -> None:
    before = series().astype(np.float32)
    after = before.copy()
    after[origin:] = 1e6
    one, other = (
        made(cut([Building("b", 473_000, values, LONDON)], at, context_hours=672, lead_hours=168)[0] | weather, 168)
        for at in [Origins(np.array([0]), np.array([origin]))]
        for weather in [{name: np.full((1, 168), 9.0) for name in ("future_temperature_c", "future_humidity_pct")}]
        for values in (before, after)
    )
    assert differs(one, other) == []
    last_hour_changed = before.copy()
    last_hour_changed[origin - 1] += 1
    inputs, _ = cut(
        [Building("b", 473_000, last_hour_changed, LONDON)],
        Origins(np.array([0]), np.array([origin])),
        context_hours=672,
        lead_hours=168,
    )
    assert "candidates" in differs(one, made(inputs, 168))


def test_no_lag_reaches_the_target_day_when_clocks_change(raw: Callable[..., Any]) -> None:
    for origin in ("2024-03-30T05", "2024-03-31T00", "2024-10-27T00", "2024-10-26T12"):
        inputs = raw(1, lead_hours=168, origin=origin)
        inputs["energy_usage_kwh"] = np.arange(672, dtype=np.float32)[None]
        assert np.isfinite(made(inputs, 168).candidates).all()


def test_same_hour_last_week_follows_the_local_clock_over_a_clock_change(raw: Callable[..., Any]) -> None:
    inputs = raw(1, origin="2024-04-02T00")  # summer time since 03-31: a week before, 09:00 local was 09:00 UTC
    hours = np.datetime64("2024-04-02T00", "h") + np.arange(-672, 0)
    inputs["energy_usage_kwh"] = (hours == np.datetime64("2024-03-26T09")).astype(np.float32)[None] + 1
    week_1 = made(inputs).candidates[0, :, CANDIDATES.index("week_1")]
    assert np.flatnonzero(week_1).tolist() == [8]  # 08:00 UTC is 09:00 in London


def test_missing_hours_are_marked_and_not_used(raw: Callable[..., Any]) -> None:
    inputs = raw(1)
    inputs["energy_usage_kwh"][0, -168 + 5] = np.nan
    week_1, day_7 = CANDIDATES.index("week_1"), CANDIDATES.index("day_7")
    missing = made(inputs).missing[0]
    assert np.argwhere(missing).tolist() == sorted([[5, day_7], [5, week_1]])


def test_a_holiday_is_compared_with_days_off(raw: Callable[..., Any]) -> None:
    inputs = raw(1, origin="2024-05-27T00")  # a bank holiday, a Monday
    hours = np.datetime64("2024-05-27T00", "h") + np.arange(-672, 0)
    days = hours.astype("datetime64[D]").astype(int)
    is_weekend = np.isin((days + 3) % 7, (5, 6)) | (hours.astype("datetime64[D]") == np.datetime64("2024-05-06"))
    inputs["energy_usage_kwh"] = np.where(is_weekend, 5, 50).astype(np.float32)[None]
    shapes = made(inputs)
    forecast = shapes.candidates[0, :23, CANDIDATES.index("same_kind_of_day")] * shapes.scale + shapes.loc
    np.testing.assert_allclose(forecast[0, 2:], 5, atol=1e-3)


@pytest.mark.parametrize("load", [0.0, 1e-9, 42.0, -7.0, 1e9])
def test_a_constant_load_gives_finite_features_around_zero(raw: Callable[..., Any], load: float) -> None:
    inputs = raw(2)
    inputs["energy_usage_kwh"][:] = load
    result = made(inputs)
    assert np.abs(result.candidates).max() < 1e-3
    assert all(np.isfinite(array).all() for array in (result.sequence, result.leads, result.candidates, result.loc))


def test_everything_missing_gives_finite_features(raw: Callable[..., Any]) -> None:
    inputs = raw(2)
    for name, values in inputs.items():
        if values.dtype == np.float32:
            inputs[name] = np.full_like(values, np.nan)
    result = made(inputs)
    assert result.missing.all()
    assert all(np.isfinite(array).all() for array in (result.sequence, result.leads, result.candidates, result.scale))


def test_weather_and_occupancy_reach_the_features(raw: Callable[..., Any]) -> None:
    inputs = raw(1)
    assert not lead_column(inputs, "future_temperature_missing").any()
    assert lead_column(inputs, "occupancy_week_1").max() > 1
    inputs["future_temperature_c"][0, 3] = np.nan
    assert np.flatnonzero(lead_column(inputs, "future_temperature_missing")[0]).tolist() == [3]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=60),
    st.floats(1e-2, 1e4),
    st.floats(-1e4, 1e4),
    st.integers(0, 2),
)
def test_scaled_energy_times_scale_plus_loc_is_the_energy(
    energy: list[float], size: float, shift: float, missing: int
) -> None:
    values = np.array([energy]) * size + shift
    values[0, :missing] = np.nan
    scaled, present, loc, scale = normalise(values)
    inside = present & (np.abs(scaled) < 29.9)
    tolerance = 1e-5 * (scale.max() * 30 + np.abs(loc).max())
    np.testing.assert_allclose((scaled * scale + loc)[inside], values[inside], atol=tolerance)
    assert (scaled[~present] == 0).all()
    assert (scale > 0).all()


def test_one_wild_reading_hardly_moves_the_scale() -> None:
    usual = np.random.default_rng(0).uniform(10, 20, (1, 672)).astype(np.float32)
    wild = usual.copy()
    wild[0, 100] = 1e6
    (_, _, loc, scale), (_, _, wild_loc, wild_scale) = normalise(usual), normalise(wild)
    np.testing.assert_allclose([wild_loc, wild_scale], [loc, scale], rtol=0.02)
