"""The values of an hour: exact sums of any size, one pass over the arrivals."""

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattcast.hourly.values import MEANS, first_readings, hour_states


def arrivals(energies: list[float]) -> pd.DataFrame:
    """One reading a second of one hour, in the order of arrival."""
    seconds = np.arange(len(energies))
    means = dict.fromkeys(MEANS, np.nan)
    rows = pd.DataFrame({"measured_us": seconds * 1_000_000, "arrival_us": seconds, "energy_usage_kwh": energies})
    rows = rows.assign(hour_index=0, device_id="d", start_us=0, interval_minutes=60.0, **means)
    return first_readings(rows, len(rows))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50), st.sampled_from([1, 400]))
def test_a_sum_is_the_exact_one_rounded_once_or_twice_where_it_is_large(energies: list[float], times: int) -> None:
    total = hour_states(arrivals(energies * times), 10**6)["energy_usage_kwh"].iloc[-1]
    exact = sum(Fraction(round(Fraction(energy * 1e9)), 10**9) for energy in energies) * times
    assert total == pytest.approx(float(exact), rel=5e-16, abs=0)
    if abs(exact) < 9e6:  # its billionths are a float without rounding
        assert total == float(exact)


def test_ten_thousand_readings_of_a_gigawatt_hour_do_not_overflow() -> None:
    states = hour_states(arrivals([1e6] * 10_000), 10**6)
    assert states["energy_usage_kwh"].iloc[-1] == 1e10
    assert states["energy_usage_kwh"].is_monotonic_increasing
