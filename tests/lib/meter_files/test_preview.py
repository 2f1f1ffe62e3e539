"""The preview says what is implausible about readings."""

import re
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from wattcast.meter_files.conversion import Readings
from wattcast.meter_files.preview import Preview, preview

RNG = np.random.default_rng(0)


def summary(energy: np.ndarray, *, minutes: int = 60, homes: tuple[str, ...] = ()) -> Preview:
    times = pd.date_range("2026-03-02", periods=len(energy), freq=f"{minutes}min", tz="UTC")
    frame = pd.DataFrame({"building_id": "b", "measured_at": times, "energy_usage_kwh": energy})
    return preview(Readings(frame[frame["energy_usage_kwh"].notna()], Counter(), {"b": minutes}), homes=homes)


def test_figures_of_ordinary_readings(capsys: pytest.CaptureFixture[str]) -> None:
    energy = RNG.uniform(1, 3, 4 * 24 * 10)
    energy[5] = np.nan
    energy[100:104] = 0
    result = summary(energy, minutes=15)
    assert (result.rows, result.buildings, result.devices, result.minutes) == (959, 1, 1, (15,))
    assert (result.first, result.end) == (pd.Timestamp("2026-03-02", tz="UTC"), pd.Timestamp("2026-03-12", tz="UTC"))
    assert result.kwh_per_day == pytest.approx(2 * 96, rel=0.05)
    assert result.gap_share == pytest.approx(1 / 960)
    assert result.zero_share == pytest.approx(4 / 959)
    assert result.remarks == ()


@pytest.mark.parametrize(
    ("energy", "remark"),
    [
        (RNG.uniform(9_000, 11_000, 500), "b would use 10,0.. kW on average: is the unit Wh"),
        (RNG.uniform(0.0001, 0.0002, 500), "W on average: is the unit MWh"),
        (RNG.uniform(1, 3, 500).cumsum(), "The values of b never fall: is this a register"),
        (np.where(np.arange(500) == 250, 900, RNG.uniform(1, 3, 500)), "1 readings are more than 20 times the usual maximum"),
        (np.where(np.arange(500) % 250 < 60, 0, RNG.uniform(1, 3, 500)), "b: up to 60 hours of zeros at a time: are they gaps"),
        (np.where(np.arange(500) < 30, 2.5, RNG.uniform(1, 3, 500)), "b: up to 30 hours of the same value: is a meter stuck"),
        (np.where(np.arange(500) == 3, -1, RNG.uniform(1, 3, 500)), "1 buildings have negative energy"),
    ],
)  # fmt: skip
def test_implausible_readings_are_remarked(energy: np.ndarray, remark: str) -> None:
    remarks = summary(energy).remarks
    assert any(re.search(remark, text) for text in remarks), remarks


def test_readings_in_the_future_are_remarked() -> None:
    times = pd.date_range("2026-03-02", periods=48, freq="h", tz="UTC")
    frame = pd.DataFrame({"building_id": "b", "measured_at": times, "energy_usage_kwh": RNG.uniform(1, 3, 48)})
    result = preview(Readings(frame, Counter(), {"b": 60}), now=times[40])
    assert result.remarks == ("7 readings lie in the future: are day and month, and the time zone, right?",)


def test_a_load_that_no_home_has_is_remarked_for_homes_only() -> None:
    energy = RNG.uniform(80, 100, 200)
    assert summary(energy).remarks == ()
    (remark,) = summary(energy, homes=("b",)).remarks
    assert remark.startswith("b would need 100 kW, which no home does")
