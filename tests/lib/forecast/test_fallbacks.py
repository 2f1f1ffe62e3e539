"""Every context gets a forecast, from the best method that its history allows, with the method and the warnings."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from wattcast.forecast.context import Array, Building, Context, Forecast
from wattcast.forecast.fallbacks import WEEK_HOURS, forecasts_with_fallbacks
from wattcast.forecast.profiles import type_prior

BUILDING = Building("b1", timezone="Europe/London", country="GB", building_type="university", has_metadata=True)
ORIGIN = int(np.datetime64("2017-06-05T00", "h").astype(np.int64))  # a Monday
LEADS = 24
METHODS = {"model", "weekly_profile", "last_known_profile", "type_prior"}


@dataclass(frozen=True)
class Model:
    """A predictor that returns a function of its inputs."""

    function: Callable[[Mapping[str, Array]], Array]
    name: str = "fixed"
    version: str = "1"

    def __call__(self, inputs: Mapping[str, Array]) -> Array:
        return self.function(inputs)


def wave(hours: int = 4 * WEEK_HOURS) -> Array:
    """(hours,): load in kWh that follows the UTC hour of the day and is higher at the weekend."""
    at = ORIGIN + np.arange(-hours, 0)
    is_weekend = ((at // 24 + 3) % 7) >= 5
    return 100.0 + 10 * np.sin(at % 24) + 50 * is_weekend


def context(
    energy: Array, *, building: Building = BUILDING, origin: int = ORIGIN, is_late: bool = False, leads: int = LEADS
) -> Context:
    past = np.full((len(energy), 4), np.nan)
    past[:, 0] = energy
    return Context(building, origin, past, np.full((leads, 2), np.nan), is_late)


def ascending(inputs: Mapping[str, Array]) -> Array:
    """(n, LEADS, 3): 1, 2, 3 at each lead hour."""
    return np.tile([1.0, 2.0, 3.0], (len(inputs["origin"]), LEADS, 1))


def one(energy: Array, model: Model | None = Model(ascending), **options: object) -> Forecast:
    (result,) = forecasts_with_fallbacks([context(energy, **options)], model)  # type: ignore[arg-type]
    assert result.quantiles_kwh.shape == (LEADS, 3)
    assert np.isfinite(result.quantiles_kwh).all()
    assert (np.diff(result.quantiles_kwh, axis=1) >= 0).all()
    return result


def without(energy: Array, *hours: int | slice) -> Array:
    energy = energy.copy()
    for index in hours:
        energy[index] = np.nan
    return energy


def test_the_model_forecasts_a_building_with_a_history_without_a_warning() -> None:
    result = one(wave())
    assert (result.method, result.warnings) == ("model", ())
    np.testing.assert_array_equal(result.quantiles_kwh, np.tile([1.0, 2.0, 3.0], (LEADS, 1)))


def test_the_model_receives_names_times_and_values_with_nan_for_missing_ones() -> None:
    received: list[Mapping[str, Array]] = []
    odd = Building("b2", timezone="Mars/Base", has_metadata=True)
    forecasts_with_fallbacks(
        [context(wave()), context(without(wave(), 5), building=odd)],
        Model(lambda i: (received.append(i), ascending(i))[1]),
    )
    (inputs,) = received
    assert inputs["timezone"].tolist() == ["Europe/London", "UTC"]
    assert inputs["country"].tolist() == ["GB", ""]
    assert inputs["origin"].tolist() == [np.datetime64("2017-06-05T00:00:00").item()] * 2
    np.testing.assert_array_equal(inputs["energy_usage_kwh"], [wave(), without(wave(), 5)])
    for name in ("temperature_c", "humidity_pct", "occupancy"):
        assert inputs[name].shape == (2, 4 * WEEK_HOURS)
    assert inputs["future_temperature_c"].shape == inputs["future_humidity_pct"].shape == (2, LEADS)


def test_quantiles_that_cross_are_sorted() -> None:
    result = one(wave(), Model(lambda inputs: ascending(inputs)[:, :, ::-1]))
    np.testing.assert_array_equal(result.quantiles_kwh, np.tile([1.0, 2.0, 3.0], (LEADS, 1)))


def test_without_a_model_the_weekly_profile_repeats_the_local_hours_of_the_week() -> None:
    result = one(wave(), None)
    assert (result.method, result.warnings) == ("weekly_profile", ("model_unavailable",))
    np.testing.assert_allclose(result.quantiles_kwh[:, 1], wave()[-WEEK_HOURS : -WEEK_HOURS + LEADS])


def test_the_weekly_profile_follows_local_time_over_a_clock_change() -> None:
    origin = int(np.datetime64("2017-03-27T00", "h").astype(np.int64))  # the Monday after British clocks went forward
    hours = np.arange(origin - 4 * WEEK_HOURS, origin - 24)
    energy = np.concatenate([(hours % 24).astype(float), np.full(24, np.nan)])
    result = one(energy, None, origin=origin)
    assert result.quantiles_kwh[:22, 1].tolist() == list(range(1, 23))


def test_with_less_than_a_week_the_last_known_profile_repeats_the_hours_of_the_day() -> None:
    result = one(wave(48), None)
    assert (result.method, result.warnings) == ("last_known_profile", ("cold_start", "model_unavailable"))
    np.testing.assert_allclose(result.quantiles_kwh[:, 1], (wave(48)[:24] + wave(48)[24:]) / 2)


def test_without_any_hour_the_forecast_is_the_prior_of_the_building_type_by_local_hour() -> None:
    result = one(np.full(WEEK_HOURS, np.nan))
    assert result.method == "type_prior"
    assert result.warnings == ("cold_start", "stale_context", "short_history")
    np.testing.assert_array_equal(result.quantiles_kwh, type_prior("university")[[*range(1, 25)]])  # UTC + 1 in June


def test_a_building_without_metadata_has_a_warning_and_the_default_prior_in_utc() -> None:
    result = one(np.full(WEEK_HOURS, np.nan), building=Building("b9"))
    assert result.warnings == ("no_metadata", "cold_start", "stale_context", "short_history")
    np.testing.assert_array_equal(result.quantiles_kwh, type_prior("default")[:LEADS])


@pytest.mark.parametrize(
    ("energy", "warnings"),
    [
        (without(wave(), slice(-200, -150)), ("gaps",)),
        (without(wave(), -1), ("stale_context",)),
        (wave(100), ("cold_start",)),
        (without(wave(), slice(0, 300)), ()),  # the hours before the first value are no gap
    ],
)
def test_a_flaw_of_the_history_is_a_warning_while_the_model_still_forecasts(
    energy: Array, warnings: tuple[str, ...]
) -> None:
    result = one(energy)
    assert (result.method, result.warnings) == ("model", warnings)


def test_a_late_forecast_has_a_warning() -> None:
    assert one(wave(), is_late=True).warnings == ("late",)


def test_with_less_than_three_days_of_the_last_week_the_model_is_not_used() -> None:
    result = one(without(wave(), slice(-WEEK_HOURS, -71)))
    assert (result.method, result.warnings[-1]) == ("weekly_profile", "short_history")
    assert one(without(wave(), slice(-WEEK_HOURS, -72))).method == "model"


def test_a_flat_meter_is_forecast_from_the_values_before_it_got_stuck() -> None:
    energy = wave()
    energy[-30:] = 7.0
    result = one(energy)
    assert (result.method, result.warnings) == ("weekly_profile", ("flat_meter",))
    np.testing.assert_allclose(result.quantiles_kwh[:, 1], wave()[-WEEK_HOURS : -WEEK_HOURS + LEADS])


def test_a_meter_that_never_changed_is_flat_and_its_value_is_the_forecast() -> None:
    result = one(np.zeros(4 * WEEK_HOURS))
    assert result.warnings == ("flat_meter",)
    assert result.quantiles_kwh.tolist() == [[0.0, 0.0, 0.0]] * LEADS


def test_only_the_row_that_is_not_finite_uses_a_fallback() -> None:
    def one_nan(inputs: Mapping[str, Array]) -> Array:
        quantiles = ascending(inputs)
        quantiles[1, 3, 2] = np.nan
        return quantiles

    results = forecasts_with_fallbacks([context(wave())] * 3, Model(one_nan))
    assert [result.method for result in results] == ["model", "weekly_profile", "model"]
    assert results[1].warnings == ("model_not_finite",)


@pytest.mark.parametrize("error", [ValueError("bad"), OSError("gone"), RuntimeError("torch")])
def test_a_model_that_raises_leaves_its_batch_to_the_fallbacks(error: Exception) -> None:
    def fails(inputs: Mapping[str, Array]) -> Array:
        raise error

    results = forecasts_with_fallbacks(
        [context(wave()), context(without(wave(), slice(0, -10))), context(wave())], Model(fails)
    )
    assert [result.method for result in results] == ["weekly_profile", "last_known_profile", "weekly_profile"]
    assert [result.warnings[-1] for result in results] == ["model_failed", "short_history", "model_failed"]


def test_a_bug_is_raised_and_not_treated_as_a_failed_model() -> None:
    with pytest.raises(KeyError):
        forecasts_with_fallbacks([context(wave())], Model(lambda inputs: inputs["no_such_input"]))


def test_forecasts_stay_in_the_order_of_their_contexts_when_some_skip_the_model() -> None:
    few = without(wave(), slice(0, -10))
    results = forecasts_with_fallbacks([context(wave()), context(few), context(wave() + 2)], Model(newest))
    assert [result.method for result in results] == ["model", "last_known_profile", "model"]
    assert [results[0].quantiles_kwh[0, 1], results[2].quantiles_kwh[0, 1]] == [wave()[-1], wave()[-1] + 2]


def newest(inputs: Mapping[str, Array]) -> Array:
    """(n, LEADS, 3): the newest hour's load, at all leads and levels."""
    return np.repeat(np.repeat(inputs["energy_usage_kwh"][:, -1:, None], LEADS, axis=1), 3, axis=2)


def test_negative_net_load_is_forecast_as_it_is() -> None:
    result = one(wave() - 500, None)
    assert result.method == "weekly_profile"
    np.testing.assert_allclose(result.quantiles_kwh[:, 1], wave()[-WEEK_HOURS : -WEEK_HOURS + LEADS] - 500)
    assert (result.quantiles_kwh[:, 2] < 0).all()


def test_no_contexts_give_no_forecasts() -> None:
    assert forecasts_with_fallbacks([], Model(ascending)) == []


def test_every_warning_is_explained_on_the_dashboard_and_in_the_architecture() -> None:
    folder = Path(__file__).parents[3]
    code = (folder / "lib/wattcast/forecast/fallbacks.py").read_text(encoding="utf-8")
    names = set(re.findall(r'"([a-z_]+)"', code)) - METHODS
    labels = (folder / "lib/wattcast/serving/static/labels.js").read_text(encoding="utf-8")
    on_dashboard = labels.split("export const WARNINGS = {")[1].split("}")[0]
    assert set(re.findall(r"^  (\w+):", on_dashboard, re.MULTILINE)) == names
    table = (
        (folder / "docs/architecture.md").read_text(encoding="utf-8").split("| warning | meaning |")[1].split("\n\n")[0]
    )
    first_cells = "".join(line.split("|")[1] for line in table.splitlines() if "`" in line)
    assert set(re.findall(r"`(\w+)`", first_cells)) == names
