"""Cumulative registers become the energy of intervals, or are noticed where nobody says that they are registers."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from wattcast.meter_files.mapping import Choices
from wattcast.meter_files.reader import read_readings
from wattcast.meter_files.refusals import Ambiguous

START = pd.Timestamp("2026-03-02", tz="UTC")
REGISTER = Choices(quantity="register")


def registers(file: Path, values: list[float], hours: list[int] | None = None) -> Path:
    times = START + pd.to_timedelta(hours or range(len(values)), unit="h")
    pd.DataFrame({"timestamp": times, "building_id": "b", "energy_usage_kwh": values}).to_csv(file, index=False)
    return file


def energy(file: Path, choices: Choices = REGISTER) -> dict[int, float]:
    """The energy by hour since START."""
    frame = read_readings(file, choices)[0].frame
    hours = (frame["measured_at"] - START) / pd.Timedelta(hours=1)
    return {int(hour): round(float(value), 6) for hour, value in zip(hours, frame["energy_usage_kwh"], strict=True)}


def test_energy_of_an_hour_is_the_register_at_its_end_less_that_at_its_start(tmp_path: Path) -> None:
    assert energy(registers(tmp_path / "a.csv", [100, 101.5, 103, 107])) == {0: 1.5, 1: 1.5, 2: 4}


def test_registers_stamped_with_the_start_of_their_hour_end_it(tmp_path: Path) -> None:
    choices = Choices(quantity="register", stamps="start")
    assert energy(registers(tmp_path / "a.csv", [100, 101.5, 103, 107]), choices) == {1: 1.5, 2: 1.5, 3: 4}


@pytest.mark.parametrize(("last", "size"), [(99_998.0, 100_000), (838_856.0, 838_860.8), (4_294_960.0, 4_294_967.296)])
def test_rollover_of_digits_and_of_bits_is_an_hour_like_others(tmp_path: Path, last: float, size: float) -> None:
    values = [last - 9, last - 6, last - 3, last, round(last + 5 - size, 3) + 2, round(last + 5 - size, 3) + 5]
    result = energy(registers(tmp_path / "a.csv", values))
    assert result == {0: 3, 1: 3, 2: 3, 3: 7, 4: 3}


def test_energy_across_a_reset_or_a_gap_is_unknown_and_counted(tmp_path: Path) -> None:
    file = registers(tmp_path / "a.csv", [500, 503, 506, 2, 4, 20, 23], [0, 1, 2, 3, 4, 9, 10])
    assert energy(file) == {0: 3, 1: 3, 3: 2, 9: 3}
    problems = read_readings(file, REGISTER)[0].problems
    assert {text.split(":")[0]: count for text, count in problems.items()} == {
        "first registers of a device, which only begin its first interval": 1,
        "registers that were reset or exchanged": 1,
        "registers after a gap": 1,
    }


def test_values_that_never_fall_are_a_question_and_falling_ones_are_not(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    usage = rng.uniform(1, 5, 200).round(3)
    with pytest.raises(
        Ambiguous, match=r"values of b never fall: is this a cumulative register\? Add --register or --usage"
    ):
        energy(registers(tmp_path / "a.csv", list(usage.cumsum())), Choices())
    assert len(energy(registers(tmp_path / "b.csv", list(usage)), Choices())) == 200
    nearly_off = np.zeros(200)
    nearly_off[50::60] = 3
    for quiet in (np.full(200, 2.0), nearly_off):
        assert len(energy(registers(tmp_path / "c.csv", list(quiet)), Choices())) == 200


def test_header_of_a_register_with_values_that_fall_is_a_question(tmp_path: Path) -> None:
    file = registers(tmp_path / "a.csv", list(np.random.default_rng(0).uniform(1, 5, 100)))
    file.write_text(file.read_text().replace("energy_usage_kwh", "Zählerstand (kWh)"))
    with pytest.raises(Ambiguous, match=r"sounds like a register, but its values fall. Add --register or --usage"):
        energy(file, Choices())
