"""A forecast always comes, from the best step that the history allows, and says which and why."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pytest

from wattcast.ladder import WEEK, Array, Building, Context, Forecast, forecast, type_prior

KNOWN = Building("b1", timezone="Europe/London", country="GB", building_type="university", is_known=True)
ORIGIN = int(np.datetime64("2017-06-05T00", "h").astype(np.int64))  # a Monday
LEADS = 24


@dataclass(frozen=True)
class Model:
    """A predictor that gives what a function of its inputs says."""

    function: Callable[[Mapping[str, Array]], Array]
    name: str = "fixed"
    version: str = "1"

    def __call__(self, inputs: Mapping[str, Array]) -> Array:
        return self.function(inputs)


def wave(hours: int = 4 * WEEK) -> Array:
    """(hours,): load in kWh that follows the UTC hour of the day and is higher at the weekend."""
    at = ORIGIN + np.arange(-hours, 0)
    is_weekend = ((at // 24 + 3) % 7) >= 5
    return 100.0 + 10 * np.sin(at % 24) + 50 * is_weekend


def context(
    energy: Array, *, building: Building = KNOWN, origin: int = ORIGIN, is_late: bool = False, leads: int = LEADS
) -> Context:
    past = np.full((len(energy), 4), np.nan)
    past[:, 0] = energy
    return Context(building, origin, past, np.full((leads, 2), np.nan), is_late)


def ascending(inputs: Mapping[str, Array]) -> Array:
    """(n, LEADS, 3): 1, 2, 3 at each lead hour."""
    return np.tile([1.0, 2.0, 3.0], (len(inputs["origin"]), LEADS, 1))


def one(energy: Array, model: Model | None = Model(ascending), **options: object) -> Forecast:
    (made,) = forecast([context(energy, **options)], model)  # type: ignore[arg-type]
    assert made.quantiles_kwh.shape == (LEADS, 3)
    assert np.isfinite(made.quantiles_kwh).all()
    assert (np.diff(made.quantiles_kwh, axis=1) >= 0).all()
    return made


def missing(energy: Array, *hours: int | slice) -> Array:
    energy = energy.copy()
    for each in hours:
        energy[each] = np.nan
    return energy


def test_the_model_forecasts_a_building_with_a_history_and_has_nothing_to_warn_of() -> None:
    made = one(wave())
    assert (made.method, made.warnings) == ("model", ())
    np.testing.assert_array_equal(made.quantiles_kwh, np.tile([1.0, 2.0, 3.0], (LEADS, 1)))


def test_the_model_is_given_names_times_and_values_with_nan_for_what_is_missing() -> None:
    seen: list[Mapping[str, Array]] = []
    odd = Building("b2", timezone="Mars/Base", is_known=True)
    forecast(
        [context(wave()), context(missing(wave(), 5), building=odd)], Model(lambda i: (seen.append(i), ascending(i))[1])
    )
    (inputs,) = seen
    assert inputs["timezone"].tolist() == ["Europe/London", "UTC"]
    assert inputs["country"].tolist() == ["GB", ""]
    assert inputs["origin"].tolist() == [np.datetime64("2017-06-05T00:00:00").item()] * 2
    np.testing.assert_array_equal(inputs["energy_usage_kwh"], [wave(), missing(wave(), 5)])
    for name in ("temperature_c", "humidity_pct", "occupancy"):
        assert inputs[name].shape == (2, 4 * WEEK)
    assert inputs["future_temperature_c"].shape == inputs["future_humidity_pct"].shape == (2, LEADS)


def test_quantiles_that_cross_are_sorted() -> None:
    made = one(wave(), Model(lambda inputs: ascending(inputs)[:, :, ::-1]))
    np.testing.assert_array_equal(made.quantiles_kwh, np.tile([1.0, 2.0, 3.0], (LEADS, 1)))


def test_without_a_model_the_weekly_profile_repeats_the_local_hours_of_the_week() -> None:
    made = one(wave(), None)
    assert (made.method, made.warnings) == ("weekly_profile", ("model_unavailable",))
    np.testing.assert_allclose(made.quantiles_kwh[:, 1], wave()[-WEEK : -WEEK + LEADS])


def test_the_weekly_profile_follows_local_time_over_a_clock_change() -> None:
    origin = int(np.datetime64("2017-03-27T00", "h").astype(np.int64))  # the Monday after British clocks went forward
    hours = np.arange(origin - 4 * WEEK, origin - 24)
    energy = np.concatenate([(hours % 24).astype(float), np.full(24, np.nan)])
    made = one(energy, None, origin=origin)
    assert made.quantiles_kwh[:22, 1].tolist() == list(range(1, 23))


def test_with_less_than_a_week_the_last_known_profile_repeats_the_hours_of_the_day() -> None:
    made = one(wave(48), None)
    assert (made.method, made.warnings) == ("last_known_profile", ("cold_start", "model_unavailable"))
    np.testing.assert_allclose(made.quantiles_kwh[:, 1], (wave(48)[:24] + wave(48)[24:]) / 2)


def test_without_any_hour_the_prior_of_the_building_type_is_given_by_local_hour() -> None:
    made = one(np.full(WEEK, np.nan))
    assert made.method == "type_prior"
    assert made.warnings == ("cold_start", "stale_context", "short_history")
    np.testing.assert_array_equal(made.quantiles_kwh, type_prior("university")[[*range(1, 25)]])  # UTC + 1 in June


def test_a_building_without_metadata_says_so_and_has_the_default_prior_in_utc() -> None:
    made = one(np.full(WEEK, np.nan), building=Building("b9"))
    assert made.warnings == ("no_metadata", "cold_start", "stale_context", "short_history")
    np.testing.assert_array_equal(made.quantiles_kwh, type_prior("default")[:LEADS])


@pytest.mark.parametrize(
    ("energy", "warnings"),
    [
        (missing(wave(), slice(-200, -150)), ("gaps",)),
        (missing(wave(), -1), ("stale_context",)),
        (wave(100), ("cold_start",)),
        (missing(wave(), slice(0, 300)), ()),  # a young building has no gap
    ],
)
def test_what_ails_the_history_is_told_while_the_model_still_forecasts(
    energy: Array, warnings: tuple[str, ...]
) -> None:
    made = one(energy)
    assert (made.method, made.warnings) == ("model", warnings)


def test_a_late_forecast_says_so() -> None:
    assert one(wave(), is_late=True).warnings == ("late",)


def test_with_less_than_three_days_of_the_last_week_the_model_is_not_asked() -> None:
    made = one(missing(wave(), slice(-WEEK, -71)))
    assert (made.method, made.warnings[-1]) == ("weekly_profile", "short_history")
    assert one(missing(wave(), slice(-WEEK, -72))).method == "model"


def test_a_flat_meter_is_forecast_from_what_it_said_before_it_stuck() -> None:
    energy = wave()
    energy[-30:] = 7.0
    made = one(energy)
    assert made.method == "weekly_profile"
    assert "flat_meter" in made.warnings
    np.testing.assert_allclose(made.quantiles_kwh[:, 1], wave()[-WEEK : -WEEK + LEADS])


def test_a_meter_that_never_changed_is_flat_and_its_value_is_the_forecast() -> None:
    made = one(np.zeros(4 * WEEK))
    assert "flat_meter" in made.warnings
    assert made.quantiles_kwh.tolist() == [[0.0, 0.0, 0.0]] * LEADS


def test_a_row_that_is_not_finite_steps_down_alone() -> None:
    def one_nan(inputs: Mapping[str, Array]) -> Array:
        made = ascending(inputs)
        made[1, 3, 2] = np.nan
        return made

    made = forecast([context(wave())] * 3, Model(one_nan))
    assert [each.method for each in made] == ["model", "weekly_profile", "model"]
    assert made[1].warnings == ("model_not_finite",)


@pytest.mark.parametrize("error", [ValueError("bad"), OSError("gone"), RuntimeError("torch")])
def test_a_model_that_raises_steps_down_its_batch_and_stops_nothing(error: Exception) -> None:
    def fails(inputs: Mapping[str, Array]) -> Array:
        raise error

    made = forecast([context(wave()), context(missing(wave(), slice(0, -10))), context(wave())], Model(fails))
    assert [each.method for each in made] == ["weekly_profile", "last_known_profile", "weekly_profile"]
    assert [each.warnings[-1] for each in made] == ["model_failed", "short_history", "model_failed"]


def test_a_bug_of_ours_is_not_taken_for_a_failed_model() -> None:
    with pytest.raises(KeyError):
        forecast([context(wave())], Model(lambda inputs: inputs["no_such_input"]))


def test_forecasts_stay_with_their_buildings_when_some_skip_the_model() -> None:
    few = missing(wave(), slice(0, -10))
    made = forecast([context(wave()), context(few), context(wave() + 2)], Model(newest))
    assert [each.method for each in made] == ["model", "last_known_profile", "model"]
    assert [made[0].quantiles_kwh[0, 1], made[2].quantiles_kwh[0, 1]] == [wave()[-1], wave()[-1] + 2]


def newest(inputs: Mapping[str, Array]) -> Array:
    """(n, LEADS, 3): the newest hour's load, at all leads and levels."""
    return np.repeat(np.repeat(inputs["energy_usage_kwh"][:, -1:, None], LEADS, axis=1), 3, axis=2)


def test_negative_net_load_is_forecast_as_it_is() -> None:
    made = one(wave() - 500, None)
    assert made.method == "weekly_profile"
    np.testing.assert_allclose(made.quantiles_kwh[:, 1], wave()[-WEEK : -WEEK + LEADS] - 500)
    assert (made.quantiles_kwh[:, 2] < 0).all()


def test_no_contexts_give_no_forecasts() -> None:
    assert forecast([], Model(ascending)) == []
