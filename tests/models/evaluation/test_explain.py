import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.models.fixtures import INPUTS, small_network

from wattcast_models.artifact.predictor import Predictor
from wattcast_models.artifact.weights import untrained_network, weights_bytes
from wattcast_models.data.synthetic import synthetic_buildings
from wattcast_models.evaluation.explain import assumed_calendar, coalition_values, explain, masked_inputs, shapley
from wattcast_models.evaluation.explanation import GROUPS, Explanation, explanation_sentence
from wattcast_models.features import calendar as local
from wattcast_models.features.network_inputs import NetworkInputs, network_inputs_by_day
from wattcast_models.features.raw_inputs import calendar_at
from wattcast_models.networks.networks import KINDS
from wattcast_models.quantiles import QUANTILES
from wattcast_models.training.loop import train
from wattcast_models.training.options import TrainingOptions

EVERY = [frozenset(told) for size in range(5) for told in itertools.combinations(GROUPS, size)]
HOLIDAY = "2024-05-27T00"  # in London, a Monday
NEUTRAL_WEATHER = ("temperature_c", "humidity_pct", "future_temperature_c", "future_humidity_pct")


def random_model(*kinds: str, seed: int = 0, inputs: list[str] = INPUTS) -> Predictor:
    """A model with weights so large that every input matters."""
    torch.manual_seed(seed)
    network = untrained_network(small_network(*kinds), inputs, QUANTILES)
    with torch.no_grad():
        for weight in network.parameters():
            weight += 0.2 * torch.randn_like(weight)
    config = {"name": "random", "version": "1", "network": small_network(*kinds), "inputs": inputs}
    config |= {"quantiles": list(QUANTILES), "context_hours": 672, "lead_hours": 168}
    return Predictor(config | {"sha256": f"{kinds} {seed} {inputs}"}, weights_bytes(network))


def made(inputs: Any, told: frozenset[str], day: int = 0) -> list[NetworkInputs]:
    """What the network reads in a coalition, a forecast for each calendar that is assumed."""
    how = {"inputs_used": INPUTS, "context_hours": 672, "days": [day], "calendar": assumed_calendar}
    return [next(network_inputs_by_day(part, **how)) for part in masked_inputs(inputs, told, 672)]


def are_equal(one: list[NetworkInputs], other: list[NetworkInputs]) -> bool:
    """Bit by bit, the grid too."""

    def tensors(each: NetworkInputs) -> dict[str, Any]:
        return {name: part for name, part in (vars(each) | vars(each.grid)).items() if torch.is_tensor(part)}

    pairs = zip(one, other, strict=True)
    return all(torch.equal(part, tensors(b)[name]) for a, b in pairs for name, part in tensors(a).items())


@given(st.lists(st.floats(-1e6, 1e6), min_size=16, max_size=16), st.permutations(GROUPS))
def test_shapley_values_add_up_and_are_the_mean_over_all_orders_of_telling(
    drawn: list[float], names: list[str]
) -> None:
    values = {told: np.array([value]) for told, value in zip(EVERY, drawn, strict=True)}
    found = shapley(values, names)
    every_order = list(itertools.permutations(names))
    for name in names:
        gains = [
            values[frozenset(order[: order.index(name) + 1])] - values[frozenset(order[: order.index(name)])]
            for order in every_order
        ]
        np.testing.assert_allclose(found[name], np.mean(gains, axis=0), atol=1e-8)
    whole = values[frozenset(GROUPS)] - values[frozenset()]
    np.testing.assert_allclose(sum(found.values()), whole, rtol=1e-9, atol=1e-8)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**31), st.sampled_from([*((kind,) for kind in KINDS), ("mlp", "attention")]), st.integers(1, 50))
def test_base_and_contributions_are_the_median_of_the_forecast(
    raw: Callable[..., Any], seed: int, kinds: tuple[str, ...], leads: int
) -> None:
    model, inputs = random_model(*kinds, seed=seed), raw(1, lead_hours=leads)
    explained = explain(model, inputs)
    np.testing.assert_array_equal(explained.quantiles_kwh, model(inputs)[0])
    whole = explained.base_kwh + sum(explained.contributions_kwh.values())
    np.testing.assert_allclose(whole, model(inputs)[0, :, 1], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_every_group_drives_every_kind_of_network(raw: Callable[..., Any], kind: str) -> None:
    contributions = explain(random_model(kind), raw(1)).contributions_kwh
    assert all(np.abs(kwh).max() > 1e-3 for kwh in contributions.values())


def test_a_forecast_that_ends_at_zero_adds_up_too(raw: Callable[..., Any]) -> None:
    model, inputs = random_model("mlp", seed=3), raw(1)
    inputs["energy_usage_kwh"][0, ::2] = 0.0  # what alternates so is forecast below zero by some weights
    explained = explain(model, inputs)
    assert (explained.p50_kwh == 0).any()
    whole = explained.base_kwh + sum(explained.contributions_kwh.values())
    np.testing.assert_allclose(whole, explained.p50_kwh, atol=1e-9)
    assert (explained.base_kwh >= 0).all()


@pytest.mark.parametrize("told", EVERY, ids=lambda told: "+".join(sorted(told)) or "none")
def test_a_group_that_is_not_told_is_as_if_missing_in_all_that_the_network_reads(
    raw: Callable[..., Any], told: frozenset[str]
) -> None:
    inputs = raw(1)
    without = dict(inputs)
    for group, names in {"weather": NEUTRAL_WEATHER, "occupancy": ("occupancy",)}.items():
        if group not in told:
            without |= {name: np.full_like(inputs[name], np.nan) for name in names}
    assert are_equal(made(inputs, told), made(without, told | {"weather", "occupancy"}))


def test_when_all_is_told_the_network_reads_what_the_forecast_reads(raw: Callable[..., Any]) -> None:
    plain = next(network_inputs_by_day(raw(1), inputs_used=INPUTS, context_hours=672, days=[0]))
    assert are_equal(made(raw(1), frozenset(GROUPS)), [plain])


def test_the_value_without_weather_is_the_forecast_without_weather(raw: Callable[..., Any]) -> None:
    model, inputs = random_model("mlp", "lstm", "profile", "attention"), raw(1)
    told = frozenset(GROUPS) - {"weather"}
    without = inputs | {name: np.full_like(inputs[name], np.nan) for name in NEUTRAL_WEATHER}
    np.testing.assert_array_equal(coalition_values(model, inputs, [told])[told], model(without)[0, :, 1])


def changed(inputs: Any, group: str) -> Any:
    """The inputs with something else of a group, whose usual course stays."""
    energy = inputs["energy_usage_kwh"]
    weeks = energy.reshape(1, 4, 168)[:, [2, 0, 3, 1]].reshape(1, 672)
    return (
        inputs
        | {
            "calendar": {"closures": np.array(["07-11"], object)},  # a day that is forecast
            "recent_level": {"energy_usage_kwh": weeks},
            "weather": {name: inputs[name] + 1 for name in NEUTRAL_WEATHER},
            "occupancy": {"occupancy": inputs["occupancy"][:, ::-1]},
        }[group]
    )


@pytest.mark.parametrize("day", [0, 2])
@pytest.mark.parametrize("group", GROUPS)
def test_what_changes_in_a_group_matters_only_where_it_is_told(raw: Callable[..., Any], group: str, day: int) -> None:
    inputs = raw(1, origin="2024-07-10T00", lead_hours=72)  # four weeks without a holiday before it
    inputs["energy_usage_kwh"] = np.round(inputs["energy_usage_kwh"])  # sums do not depend on the order
    other = changed(inputs, group)
    for told in EVERY:
        assert are_equal(made(inputs, told, day), made(other, told, day)) == (group not in told), told


def test_a_group_that_the_model_does_not_read_or_that_is_unknown_contributes_exactly_nothing(
    raw: Callable[..., Any],
) -> None:
    without_occupancy = [name for name in INPUTS if name != "occupancy"]
    model, inputs = random_model("attention", inputs=without_occupancy), raw(1)
    contributions = explain(model, inputs).contributions_kwh
    assert not contributions["occupancy"].any()
    assert contributions["weather"].any()
    unknown = inputs | {name: np.full_like(inputs[name], np.nan) for name in NEUTRAL_WEATHER}
    assert not explain(model, unknown).contributions_kwh["weather"].any()


def test_a_meter_that_keeps_to_its_weekdays_has_nothing_recent(raw: Callable[..., Any]) -> None:
    inputs = raw(1, origin="2024-07-10T00")
    inputs["energy_usage_kwh"] = np.tile(np.random.default_rng(0).uniform(10, 40, 168), 4)[None].astype(np.float32)
    (usual,), (whole,) = (masked_inputs(inputs, told, 672) for told in (frozenset({"calendar"}), frozenset(GROUPS)))
    np.testing.assert_allclose(usual["energy_usage_kwh"], whole["energy_usage_kwh"], rtol=1e-6)
    contributions = explain(random_model("lstm"), inputs).contributions_kwh
    assert np.abs(contributions["recent_level"]).max() < 1e-3 * np.abs(contributions["calendar"]).max()


def test_the_base_repeats_the_mean_of_all_days_over_a_clock_change(raw: Callable[..., Any]) -> None:
    inputs = raw(1, origin="2024-04-02T00")  # summer time since 03-31
    hours = np.datetime64("2024-04-02T00", "h") + np.arange(-672, 0)
    clock = (hours.astype(int) + (hours >= np.datetime64("2024-03-31T01"))) % 24
    days = np.repeat(np.arange(28), 24)
    inputs["energy_usage_kwh"] = (clock + days)[None].astype(np.float32)
    (part, *_) = masked_inputs(inputs, frozenset(), 672)
    by_clock = [part["energy_usage_kwh"][0, clock == hour] for hour in range(24)]
    assert all(np.ptp(each) == 0 for each in by_clock)
    np.testing.assert_allclose([each[0] - hour for hour, each in enumerate(by_clock)], 13.5, atol=0.5)


def test_usual_is_the_same_weekday_of_a_holiday_the_days_off_and_never_below_the_lowest_hour(
    raw: Callable[..., Any],
) -> None:
    inputs = raw(1, origin="2024-05-15T00")  # 05-06 was a bank holiday
    past = calendar_at(inputs, np.arange(-672, 0)).numpy()[0]
    day_off, weekday, holiday, hour = past[:, [local.DAY_OFF, local.WEEKDAY, local.HOLIDAY, local.HOUR]].T
    energy = np.where(day_off, 4.0, 40.0 + 5 * weekday)
    energy[(holiday == 1) & (hour == 12)] = 1.0
    inputs["energy_usage_kwh"] = energy[None].astype(np.float32)
    usual = masked_inputs(inputs, frozenset({"calendar"}), 672)[0]["energy_usage_kwh"][0]
    np.testing.assert_allclose(usual[day_off == 0], 40.0 + 5 * weekday[day_off == 0])
    np.testing.assert_allclose(usual[(day_off == 1) & (hour != 12)], 4.0)
    np.testing.assert_allclose(usual[(holiday == 1) & (hour == 12)], (8 * 4.0 + 1.0) / 9)
    inputs["energy_usage_kwh"][0, 396] = 0.0  # an outage on a Friday, which is higher than other days
    assert masked_inputs(inputs, frozenset({"recent_level"}), 672)[0]["energy_usage_kwh"].min() == 0.0


def test_of_a_longer_context_the_model_explains_what_it_reads(raw: Callable[..., Any]) -> None:
    model, longer = random_model("profile"), raw(1, context_hours=900)
    context = ("energy_usage_kwh", "temperature_c", "humidity_pct", "occupancy")
    cut = longer | {name: longer[name][:, -672:] for name in context}
    pd.testing.assert_frame_equal(explain(model, longer).frame, explain(model, cut).frame)


def test_an_unknown_calendar_is_each_weekday_once_and_keeps_the_clock(raw: Callable[..., Any]) -> None:
    parts = masked_inputs(raw(1, origin=HOLIDAY), frozenset(), 672)
    target = np.stack([assumed_calendar(part, np.arange(24)).numpy()[0] for part in parts])  # (7, 24, COLUMNS)
    real = calendar_at(parts[0], np.arange(24)).numpy()[0]
    kept = [local.HOUR, local.OFFSET_HOURS]
    assert (target[..., kept] == real[:, kept]).all()
    assert sorted(target[:, 12, local.WEEKDAY]) == list(range(7))
    assert not target[..., local.HOLIDAY].any()
    off = target[:, 12][:, [local.WEEKDAY, local.OFF_BEFORE, local.DAY_OFF, local.OFF_AFTER]]
    monday, friday, saturday = (off[off[:, 0] == day][0, 1:].tolist() for day in (0, 4, 5))
    assert (monday, friday, saturday) == ([1, 0, 0], [0, 0, 1], [0, 1, 1])


def test_several_forecasts_are_refused(raw: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="Only one forecast can be explained at a time, not 3"):
        explain(random_model("mlp"), raw(3))


def test_a_holiday_lowers_an_office_and_a_working_day_raises_it(raw: Callable[..., Any]) -> None:
    options = TrainingOptions(members=("mlp",), hidden=32, summary=16, steps=80, batch_windows=64, context_hours=672)
    trained = train(synthetic_buildings(12, days=90, seed=1), options, show_progress=False)
    config = {"name": "t", "version": "1", "network": options.network, "sha256": "office", "inputs": trained.inputs}
    config |= {"quantiles": list(QUANTILES), "context_hours": 672, "lead_hours": 168}
    model = Predictor(config, weights_bytes(trained.network))
    office_hours = slice(9, 16)
    for origin, sign in ((HOLIDAY, -1), ("2024-05-28T00", 1)):
        inputs = raw(1, origin=origin, lead_hours=24)
        past = calendar_at(inputs, np.arange(-672, 0)).numpy()[0]
        is_open = (past[:, local.DAY_OFF] == 0) & (past[:, local.HOUR] >= 8) & (past[:, local.HOUR] < 18)
        inputs["energy_usage_kwh"] = np.where(is_open, 40, 10)[None].astype(np.float32)
        explained = explain(model, inputs)
        calendar = sign * explained.contributions_kwh["calendar"][office_hours]
        assert (calendar > 3).all()
        others = [kwh[office_hours] for group, kwh in explained.contributions_kwh.items() if group != "calendar"]
        assert (calendar > np.abs(others).max(axis=0)).all()
        assert ("a holiday" in explained.day[12]) == (sign < 0)


def office(p50: float, **contributions: float) -> Explanation:
    return Explanation(
        local_time=pd.DatetimeIndex(["2024-05-21T10:00"], tz="Europe/London"),
        day=["a working Tuesday"],
        quantiles_kwh=np.array([[p50 - 2, p50, p50 + 2]]),
        base_kwh=np.array([p50 - sum(contributions.values())]),
        contributions_kwh={group: np.array([contributions.get(group, 0.0)]) for group in GROUPS},
    )


def test_an_hour_in_words() -> None:
    said = explanation_sentence(office(41.2, calendar=8.04, recent_level=2.5, weather=-0.6, occupancy=0.04), 0)
    assert said == (
        "Tuesday 21 May 10:00: 41.2 kWh: 31.2 on average at that hour, +8.0 because it is a working Tuesday, "
        "+2.5 from the level of the last days, -0.6 from the weather."
    )
    assert explanation_sentence(office(0.0), 0) == "Tuesday 21 May 10:00: 0.00 kWh: 0.00 on average at that hour."
    assert office(412.0).signed("weather", 0) == "0"
