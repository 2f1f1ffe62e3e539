"""Error sums of buildings by several methods over the same hours."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from tests.models.fixtures import flat_building, frame

from wattcast_models.artifact.predictor import Predictor
from wattcast_models.data.readings import Building
from wattcast_models.data.rolling import FUTURE_WEATHER, Rolling, scoring_origins
from wattcast_models.data.synthetic import synthetic_buildings
from wattcast_models.evaluation.backtest import (
    ORIGINS_AT_ONCE,
    building_error_sums,
    inputs_at_origins,
    model_method,
    readings_error_sums,
    with_reference,
)
from wattcast_models.evaluation.baselines import Method, baseline
from wattcast_models.evaluation.results import Results
from wattcast_models.features.raw_inputs import Inputs


def constant(name: str, *kwh: float, silent_hour: int | None = None) -> Method:
    """Forecasts the same for every hour: one value, or P10, P50 and P90."""

    def forecast(inputs: Inputs) -> NDArray[np.float64]:
        made = np.tile(np.array(kwh, float), (*inputs["future_temperature_c"].shape, 1))
        if silent_hour is not None:
            made[:, silent_hour] = np.nan
        return made if len(kwh) == 3 else made[..., 0]

    return Method(name, lambda building: forecast)


def test_methods_are_scored_on_the_hours_for_which_all_have_a_value() -> None:
    building = flat_building()
    building.values[-24:-20, 0] = np.nan  # hours 0 to 3 of the last day were not measured
    methods = [constant("band", 9, 11, 12), constant("point", 8, silent_hour=5)]
    found = Results.from_parts([building_error_sums(building, with_reference(methods, Rolling()), Rolling())])
    whole = found.measures[found.measures["by"] == "all"].set_index("method")
    assert set(whole["hours"]) == {12 * 23 - 4}
    assert whole["rmse_kwh"].to_dict() == {"band": 1, "last-week": 0, "point": 2}
    assert whole["nmbe_pct"].to_dict() == {"band": 10, "last-week": 0, "point": -20}
    assert whole["coverage_pct"].to_dict() == pytest.approx(
        {"band": 100, "last-week": np.nan, "point": np.nan}, nan_ok=True
    )
    assert [found.unanswered(name) for name in ("band", "point")] == [0, 12]


def test_groups_are_local_and_add_up_to_the_whole() -> None:
    building = flat_building(days=120, timezone="America/New_York")
    building.values[:, 0] = np.arange(building.hours) % 24  # each UTC hour has its own load
    rolling = Rolling(0.5, (0, 12), 48)
    sums = building_error_sums(building, with_reference([constant("zero", 0)], rolling), rolling)
    own = sums[sums["method"] == "zero"]
    for by in ("lead", "hour", "weekday", "season"):
        assert own.loc[own["by"] == by, "squared_error"].sum() == own.loc[own["by"] == "all", "squared_error"].item()
    winter = Rolling(0.3)
    hours = building_error_sums(flat_by_hour(), with_reference([constant("zero", 0)], winter), winter)
    by_hour = hours[(hours["method"] == "zero") & (hours["by"] == "hour")].set_index("group")
    assert (by_hour["load"] / by_hour["hours"]).to_dict() == {hour: (hour + 5) % 24 for hour in range(24)}
    seasons = hours[(hours["method"] == "zero") & (hours["by"] == "season")]
    assert seasons["group"].tolist() == [0]  # December to February


def flat_by_hour() -> Building:
    """New York in winter, where the local hour is the UTC hour less 5."""
    building = flat_building(days=90, timezone="America/New_York")
    building.values[:, 0] = (building.start + np.arange(building.hours)) % 24
    return building


def test_a_long_test_span_is_scored_in_parts_that_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    (building,) = synthetic_buildings(1, days=60)
    rolling = Rolling(0.5, tuple(range(24)))
    methods = with_reference([baseline("ridge", rolling)], rolling)
    assert len(scoring_origins(building, rolling)) > 2 * ORIGINS_AT_ONCE
    in_parts = building_error_sums(building, methods, rolling)
    monkeypatch.setattr("wattcast_models.evaluation.backtest.ORIGINS_AT_ONCE", 10_000)
    pd.testing.assert_frame_equal(in_parts, building_error_sums(building, methods, rolling))


def test_a_model_is_scored_as_if_it_was_alone(write_artifact: Callable[..., Path]) -> None:
    (building,) = synthetic_buildings(1, days=80)
    model = model_method(Predictor.read(write_artifact()), Rolling())
    beside = with_reference([model, replace(constant("long", 1), context_hours=1400)], Rolling())
    alone, among = (
        building_error_sums(building, methods, Rolling()) for methods in (with_reference([model], Rolling()), beside)
    )
    own = [each[each["method"] == model.name].reset_index(drop=True) for each in (alone, among)]
    pd.testing.assert_frame_equal(*own)


def test_readings_in_any_order_are_scored_as_the_building() -> None:
    buildings = synthetic_buildings(1, days=60)
    methods = with_reference([baseline("last-7-days", Rolling())], Rolling())
    readings = frame(buildings).sample(frac=1, random_state=1)
    found = readings_error_sums(
        readings, places={"synthetic_0": buildings[0].metadata}, methods=methods, rolling=Rolling()
    )
    pd.testing.assert_frame_equal(found, building_error_sums(buildings[0], methods, Rolling()))


@pytest.mark.parametrize(
    ("building", "why"),
    [
        (flat_building(days=7), "has 168 hours: too few for a week of context and an origin to score"),
        (flat_building(kwh=0.0), "used no energy in the test span"),
        (flat_building(kwh=np.nan), "has no measured hour in the test span"),
        (flat_building(kwh=np.inf), "has no measured hour in the test span"),
        (flat_building(days=16), "has 120 hours before the test span to fit on; at least 336 are needed"),
    ],
)
def test_a_building_that_cannot_be_scored_is_skipped_with_the_reason(building: Building, why: str) -> None:
    methods = with_reference([baseline("ridge", Rolling())], Rolling())
    part = building_error_sums(building, methods, Rolling())
    good = building_error_sums(replace(flat_building(), building_id="good"), methods, Rolling())
    found = Results.from_parts([part, good])
    assert (found.buildings, found.skipped) == (["good"], {"flat": why})
    with pytest.raises(ValueError, match=f"No building can be scored: flat {why}"):
        Results.from_parts([part])


def test_a_method_without_any_value_is_named() -> None:
    silent = constant("silent", np.nan)
    found = building_error_sums(flat_building(), with_reference([silent], Rolling()), Rolling())
    assert found["skipped"].tolist() == ["has no hour with a value from silent"]


def test_a_net_meter_is_scored_by_the_size_of_its_load() -> None:
    building = flat_building()
    building.values[:, 0] = np.tile([-5.0, 15.0], building.hours // 2)
    (score,) = Results.from_parts(
        [building_error_sums(building, with_reference([constant("zero", 0)], Rolling()), Rolling())]
    ).measures.query("by == 'all' and method == 'zero'")["nmae_pct"]
    assert score == 100


def test_two_methods_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="Two methods have the name a"):
        with_reference([constant("a", 1), constant("a", 2)], Rolling())


def test_a_model_that_does_not_see_far_enough_is_refused(write_artifact: Callable[..., Path]) -> None:
    with pytest.raises(ValueError, match="test v0 forecasts 24 hours ahead; the backtest needs 48"):
        model_method(Predictor.read(write_artifact(lead_hours=24)), Rolling(lead_hours=48))


@pytest.mark.parametrize("future_weather", FUTURE_WEATHER)
def test_what_is_known_of_the_weather_ahead_is_as_the_protocol_says(future_weather: str) -> None:
    (building,) = synthetic_buildings(1, days=60, seed=3)
    building.values[:, 1] = np.arange(building.hours)
    origins = scoring_origins(building, Rolling())
    known, _ = inputs_at_origins(building, origins, context_hours=672, lead_hours=48, future_weather=future_weather)
    again, _ = inputs_at_origins(building, origins, context_hours=672, lead_hours=48, future_weather=future_weather)
    error = known["future_temperature_c"] - (origins.hour[:, None] + np.arange(48))
    np.testing.assert_array_equal(known["future_temperature_c"], again["future_temperature_c"])
    if future_weather == "unknown":
        assert np.isnan(error).all()
    else:
        assert (np.nanstd(error) == 0) == (future_weather == "measured")
        assert np.nanstd(error) < 5
    assert np.isfinite(known["temperature_c"]).any()
    hidden, _ = inputs_at_origins(
        building, origins, context_hours=672, lead_hours=48, future_weather="measured", without=["temperature_c"]
    )
    assert np.isnan(hidden["future_temperature_c"]).all()
    assert np.isnan(hidden["temperature_c"]).all()
    np.testing.assert_array_equal(hidden["energy_usage_kwh"], known["energy_usage_kwh"])
