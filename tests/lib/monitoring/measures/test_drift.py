"""Drift against a training reference, and the reference itself."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

from wattcast.measurements import MEASUREMENT_COLUMNS
from wattcast.monitoring.measures.drift import (
    TrainingReference,
    UnreadableReference,
    input_drift,
    ks,
    psi,
    temperature_off_site,
)
from wattcast_models.artifact.reference import QUANTILE_COUNT, is_reference, training_reference
from wattcast_models.data.readings import Building

START = int(np.datetime64("2025-01-01", "h").astype(np.int64))
AS_OF = pd.Timestamp("2025-06-01")


def building(seed: int, hours: int = 24 * 200, scale: float = 1.0) -> Building:
    rng = np.random.default_rng(seed)
    people = np.where(np.arange(hours) % 24 < 12, 0, rng.uniform(5, 30, hours))
    values = np.stack(
        [scale * (3 + rng.random(hours)), rng.normal(10, 3, hours), rng.normal(60, 5, hours), people], axis=1
    )
    return Building(f"b{seed}", START, values.astype(np.float32))


def as_hours(building: Building) -> pd.DataFrame:
    at = (np.arange(building.hours) + building.start).astype("datetime64[h]").astype("datetime64[ns]")
    names = ["energy_usage_kwh", "temperature_c", "humidity_pct", "occupancy"]
    return pd.DataFrame(building.values.astype(float), columns=names).assign(building_id=building.building_id, hour=at)


def test_reference_has_ascending_quantiles_of_each_month_and_relative_values_around_one() -> None:
    found = training_reference([building(1), building(2, scale=100)])
    assert is_reference(found)
    energy = found["features"]["energy_usage_kwh"]
    assert list(energy) == ["2", "3", "4", "5", "6", "7", "all"]  # the level of January is not known yet
    assert list(found["features"]["temperature_c"]) == ["1", *energy]
    assert all(len(cell) == QUANTILE_COUNT for cell in energy.values())
    assert 0.8 < energy["all"][0] < 0.95
    assert energy["3"][50] == pytest.approx(1.0, abs=0.02)  # whatever the size of the building


def test_broken_reference_is_refused() -> None:
    good = training_reference([building(1)])
    assert not is_reference(good | {"format": 9})
    assert not is_reference(good | {"features": {"temperature_c": {"1": [3, 2, 1]}}})
    assert not is_reference({name: value for name, value in good.items() if name != "relative"})
    of_a_month = {"temperature_c": {"1": good["features"]["temperature_c"]["1"]}}
    assert not is_reference(good | {"features": of_a_month})
    with pytest.raises(UnreadableReference, match="cannot be read"):
        TrainingReference.parse(good | {"features": of_a_month})
    with pytest.raises(UnreadableReference, match="cannot be read"):
        TrainingReference.parse({"features": 3})


def test_the_same_distribution_does_not_drift_and_another_does() -> None:
    learned = TrainingReference.parse(training_reference([building(1), building(2)]))
    hours = pd.concat([as_hours(building(3)), as_hours(building(4, scale=7))])
    same = input_drift(hours, learned, AS_OF).set_index(["measure", "subject"])["value"]
    assert (same["input_drift_ks"] < 0.1).all()
    assert (same["input_drift_psi"] < 0.1).all()
    assert list(same["input_drift_ks"].index) == ["energy_usage_kwh", "temperature_c", "humidity_pct", "occupancy"]
    recent = hours["hour"] >= AS_OF - pd.Timedelta(days=7)
    hours.loc[recent, "occupancy"] += 10
    hours.loc[recent, "temperature_c"] += 5
    moved = input_drift(hours, learned, AS_OF).set_index(["measure", "subject"])["value"]
    assert moved["input_drift_ks", "occupancy"] > 0.4
    assert moved["input_drift_psi", "occupancy"] > 1
    assert moved["input_drift_ks", "temperature_c"] > 0.4
    assert moved["input_drift_ks", "energy_usage_kwh"] == same["input_drift_ks", "energy_usage_kwh"]


def test_a_month_that_training_has_not_seen_is_compared_with_all_of_it() -> None:
    learned = TrainingReference.parse(training_reference([building(1)]))
    assert len(learned.sample("temperature_c", pd.Series([6, 12]))) == 400
    np.testing.assert_allclose(np.median(learned.sample("temperature_c", pd.Series([12]))), 10, atol=0.3)


def test_psi_and_ks_are_those_of_their_formulas() -> None:
    reference_, values = np.arange(1000.0), np.arange(500.0)
    assert psi(reference_, reference_) == 0
    by_hand = 5 * (0.2 - 0.1) * np.log(0.2 / 0.1) + 5 * (1e-4 - 0.1) * np.log(1e-4 / 0.1)
    assert psi(values, reference_) == pytest.approx(by_hand, rel=0.01)
    assert ks(values, reference_) == ks_2samp(values, reference_).statistic == 0.5


def test_a_value_that_is_most_of_the_reference_is_a_bin_of_its_own() -> None:
    reference_ = np.concatenate([np.zeros(900), np.arange(100.0)])
    assert psi(reference_, reference_) == 0
    assert psi(np.full(100, 5.0), reference_) > 1


def test_a_sensor_is_compared_with_the_others_of_its_site_where_there_are_enough() -> None:
    hours = pd.concat([as_hours(building(1)).assign(building_id=name) for name in "abcdefg"])
    hours.loc[hours["building_id"].isin(["b", "e"]), "temperature_c"] += 12
    sites = dict.fromkeys("abcd", "here") | dict.fromkeys("efg", "there")
    found = temperature_off_site(hours, sites, AS_OF)
    assert list(found.columns) == MEASUREMENT_COLUMNS
    away = found.set_index("subject")["value"]
    assert set(away.index) == {"a", "b", "c", "d"}  # of three nobody could tell which is wrong
    assert away["b"] == pytest.approx(12, abs=1e-5)
    assert (away.drop("b") == 0).all()  # its neighbours are not accused
    assert temperature_off_site(hours, {}, AS_OF).empty
