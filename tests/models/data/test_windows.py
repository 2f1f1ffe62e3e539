"""Windows: where they begin, and the hours in them."""

import numpy as np
from tests.models.fixtures import steady

from wattcast_models.data.windows import Origins, WindowRanges, cut_windows, split_by_time


def every_origin(stretches: WindowRanges) -> Origins:
    runs = zip(stretches.building, stretches.first, stretches.hours, strict=True)
    parts = [(np.full(hours, number), np.arange(first, first + hours)) for number, first, hours in runs]
    return Origins(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def test_no_training_window_reaches_into_the_validation_weeks() -> None:
    parts = split_by_time([steady(2000)], lead_hours=168, validation_share=0.25)
    training, validation = (every_origin(part).hour for part in parts)
    assert training.max() + 168 == 1500
    assert validation.min() == 1500
    assert validation.max() == 2000 - 24


def test_windows_begin_only_where_there_is_energy_before_and_after() -> None:
    building = steady(2000)
    building.values[600:1000, 0] = np.nan
    training, _ = split_by_time([building], lead_hours=24, validation_share=0.1)
    hours = set(every_origin(training).hour.tolist())
    assert hours == set(range(168, 1776 + 1)) - set(range(600 - 12 + 1, 1000 + 24))
    sampled = training.sample(20_000, np.random.default_rng(0))
    assert set(sampled.hour.tolist()) == hours
    assert np.bincount(sampled.hour)[list(hours)].std() < 2 * np.sqrt(20_000 / len(hours))


def test_a_window_has_the_hours_before_and_after_its_origin() -> None:
    building = steady(1000)
    origins = every_origin(split_by_time([building], lead_hours=48, validation_share=0.1)[0])
    inputs, actual = cut_windows([building], origins, context_hours=300, lead_hours=48)
    row = 100
    hour = int(origins.hour[row])
    assert inputs["origin"][row] == np.datetime64(building.start + hour, "h")
    np.testing.assert_array_equal(actual[row], np.arange(hour, hour + 48))
    known = np.arange(max(hour - 300, 0), hour)
    np.testing.assert_array_equal(inputs["energy_usage_kwh"][row][-len(known) :], known)
    assert np.isnan(inputs["energy_usage_kwh"][row][: -len(known)]).all()
