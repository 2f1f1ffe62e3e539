from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.models.fixtures import INPUTS

from wattcast_models.data.readings import Building
from wattcast_models.data.windows import Origins, cut_windows
from wattcast_models.features.columns import CANDIDATES, HABITS, hour_names, window_names
from wattcast_models.features.network_inputs import NetworkInputs, network_inputs, network_inputs_by_day, normalise

LONDON = {"timezone": "Europe/London", "country": "GB", "building_type": "", "closures": ""}


def inputs_for(inputs: Any, day: int = 0) -> NetworkInputs:
    return network_inputs(inputs, inputs_used=INPUTS, context_hours=672, day=day)


def parts(result: NetworkInputs) -> dict[str, torch.Tensor]:
    own = {name: part for name, part in vars(result).items() if name != "grid"}
    return own | {name: part for name, part in vars(result.grid).items() if name != "days_ahead"}


def differs(one: NetworkInputs, other: NetworkInputs) -> list[str]:
    return [name for name, part in parts(one).items() if not torch.equal(part, parts(other)[name])]


def hour_column(inputs: Any, name: str, day: int = 0) -> np.ndarray:
    return inputs_for(inputs, day).hours[0, :, hour_names(INPUTS).index(name)].numpy()


def are_finite(result: NetworkInputs) -> bool:
    return all(bool(part.isfinite().all()) for part in parts(result).values())


def series(hours: int = 1000) -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.stack(
        [rng.uniform(5, 50, hours), rng.normal(10, 5, hours), rng.uniform(20, 90, hours), rng.uniform(0, 9, hours)], 1
    )


@pytest.mark.parametrize("day", [0, 1, 6])
@pytest.mark.parametrize("origin", [700, 713, 832])
def test_what_happens_after_the_origin_changes_no_feature_but_future_weather(origin: int, day: int) -> None:
    before = series().astype(np.float32)
    after, last_hour = before.copy(), before.copy()
    after[origin:] = 1e6
    last_hour[origin - 1] += 1
    at = Origins(np.array([0]), np.array([origin]))
    weather = {name: np.full((1, 168), 9.0) for name in ("future_temperature_c", "future_humidity_pct")}
    one, other, changed = (
        inputs_for(
            cut_windows([Building("b", 473_000, values, LONDON)], at, context_hours=672, lead_hours=168)[0] | weather,
            day,
        )
        for values in (before, after, last_hour)
    )
    assert differs(one, other) == []
    assert "window" in differs(one, changed)


@pytest.mark.parametrize("origin", ["2024-03-30T05", "2024-03-31T00", "2024-10-27T00", "2024-10-26T12"])
def test_no_lag_reaches_past_the_origin_when_clocks_change(raw: Callable[..., Any], origin: str) -> None:
    inputs = raw(1, lead_hours=168, origin=origin)
    inputs["energy_usage_kwh"] = np.arange(672, dtype=np.float32)[None]
    for day in range(7):
        result = inputs_for(inputs, day)
        assert are_finite(result)
        hours = (result.grid.energy * result.scale[..., None] + result.loc[..., None])[0].round().long()
        at_day_end = torch.arange(1, 29)[:, None] * 24
        known = result.grid.present[0] > 0
        assert ((hours < at_day_end + 2) | ~known).all()
        assert (result.grid.present[0].sum() >= 670).all()


def test_network_inputs_of_several_days_equal_those_of_single_days(raw: Callable[..., Any]) -> None:
    inputs = raw(3, lead_hours=168, origin="2024-03-29T10")
    together = network_inputs_by_day(inputs, inputs_used=INPUTS, context_hours=672, days=range(7))
    for day, result in enumerate(together):
        assert differs(result, inputs_for(inputs, day)) == []


def test_same_hour_last_week_follows_the_local_clock_over_a_clock_change(raw: Callable[..., Any]) -> None:
    inputs = raw(1, origin="2024-04-02T00")  # summer time since 03-31: a week before, 09:00 local was 09:00 UTC
    hours = np.datetime64("2024-04-02T00", "h") + np.arange(-672, 0)
    inputs["energy_usage_kwh"] = (hours == np.datetime64("2024-03-26T09")).astype(np.float32)[None] + 1
    week_1 = inputs_for(inputs).candidates[0, :, CANDIDATES.index("week_1")].numpy()
    assert np.flatnonzero(week_1).tolist() == [8]  # 08:00 UTC is 09:00 in London


def test_missing_hours_are_marked_and_not_used(raw: Callable[..., Any]) -> None:
    inputs = raw(1)
    inputs["energy_usage_kwh"][0, -168 + 5] = np.nan
    week_1, day_7 = CANDIDATES.index("week_1"), CANDIDATES.index("day_7")
    assert inputs_for(inputs).missing[0].nonzero().tolist() == sorted([[5, day_7], [5, week_1]])


@pytest.mark.parametrize(("day", "weekday"), [(0, 2), (3, 5), (6, 1)])
def test_a_later_day_looks_back_to_its_own_weekday(raw: Callable[..., Any], day: int, weekday: int) -> None:
    inputs = raw(1, lead_hours=168)  # from a Wednesday on
    hours = np.datetime64("2024-05-15T00", "h") + np.arange(-672, 0)
    weekdays = (hours.astype("datetime64[D]").astype(int) + 3) % 7
    inputs["energy_usage_kwh"] = weekdays.astype(np.float32)[None]
    result = inputs_for(inputs, day)
    for name in ("week_1", "week_4", "weekday"):
        forecast = result.candidates[..., CANDIDATES.index(name)] * result.scale + result.loc
        known = ~result.missing[..., CANDIDATES.index(name)]
        local_midnight = 23  # 23:00 UTC is the next day in London
        assert known[0, :local_midnight].all()
        torch.testing.assert_close(
            forecast[0, :local_midnight], torch.full((23,), float(weekday)).double(), atol=1e-3, rtol=0
        )


def test_a_holiday_is_compared_with_days_off(raw: Callable[..., Any]) -> None:
    inputs = raw(1, origin="2024-05-27T00")  # a bank holiday, a Monday
    hours = np.datetime64("2024-05-27T00", "h") + np.arange(-672, 0)
    days = hours.astype("datetime64[D]").astype(int)
    is_weekend = np.isin((days + 3) % 7, (5, 6)) | (hours.astype("datetime64[D]") == np.datetime64("2024-05-06"))
    inputs["energy_usage_kwh"] = np.where(is_weekend, 5, 50).astype(np.float32)[None]
    shapes = inputs_for(inputs)
    forecast = shapes.candidates[0, :23, CANDIDATES.index("kind")] * shapes.scale + shapes.loc
    np.testing.assert_allclose(forecast[0, 2:], 5, atol=1e-3)


@pytest.mark.parametrize("load", [0.0, 1e-9, 42.0, -7.0, 1e9])
def test_a_constant_load_gives_finite_features_around_zero(raw: Callable[..., Any], load: float) -> None:
    inputs = raw(2)
    inputs["energy_usage_kwh"][:] = load
    result = inputs_for(inputs)
    assert result.candidates.abs().max() < 1e-3
    assert are_finite(result)


def test_everything_missing_gives_finite_features(raw: Callable[..., Any]) -> None:
    inputs = raw(2)
    for name, values in inputs.items():
        if values.dtype == np.float32:
            inputs[name] = np.full_like(values, np.nan)
    result = inputs_for(inputs)
    assert result.missing.all()
    assert are_finite(result)


def test_weather_and_occupancy_reach_the_features(raw: Callable[..., Any]) -> None:
    inputs = raw(1)
    assert not hour_column(inputs, "future_temperature_missing").any()
    assert hour_column(inputs, "occupancy_week_1").max() > 1
    inputs["future_temperature_c"][0, 3] = np.nan
    assert np.flatnonzero(hour_column(inputs, "future_temperature_missing")).tolist() == [3]


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
    scaled, present, loc, scale = (part.numpy() for part in normalise(torch.from_numpy(values)))
    inside = present & (np.abs(scaled) < 29.9)
    tolerance = 1e-5 * (scale.max() * 30 + np.abs(loc).max())
    np.testing.assert_allclose((scaled * scale + loc)[inside], values[inside], atol=tolerance)
    assert (scaled[~present] == 0).all()
    assert (scale > 0).all()


def test_one_wild_reading_hardly_moves_the_scale() -> None:
    usual = np.random.default_rng(0).uniform(10, 20, (1, 672)).astype(np.float32)
    wild = usual.copy()
    wild[0, 100] = 1e6
    (_, _, loc, scale), (_, _, wild_loc, wild_scale) = (normalise(torch.from_numpy(energy)) for energy in (usual, wild))
    np.testing.assert_allclose([wild_loc, wild_scale], [loc, scale], rtol=0.02)


def test_habit_columns_distinguish_loads_that_drift_from_loads_that_flicker(raw: Callable[..., Any]) -> None:
    inputs, rng = raw(3), np.random.default_rng(0)
    shape = 20 + 10 * np.sin(2 * np.pi * np.arange(672) / 24)
    by_day = np.repeat(rng.normal(0, 4, 28), 24)
    drifting = np.convolve(rng.normal(0, 1, 672 + 71), np.ones(72) / 8, mode="valid")
    inputs["energy_usage_kwh"] = np.stack([shape + by_day, shape + rng.normal(0, 4, 672), shape + drifting]).astype(
        np.float32
    )
    window = inputs_for(inputs).window
    habits = {name: window[:, window_names(INPUTS).index(name)].tolist() for name in HABITS}
    by_day_alone, flickering, drifts = range(3)
    assert habits["of_whole_days"][by_day_alone] > 0.9 > 0.3 > habits["of_whole_days"][flickering]
    assert habits["lasts_1h"][drifts] > 0.8 > 0.2 > habits["lasts_1h"][flickering]
    assert habits["lasts_24h"][drifts] > 0.4 > 0.2 > abs(habits["lasts_24h"][flickering])
