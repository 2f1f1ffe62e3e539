"""Small files of readings in many forms, all with the same truth."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from wattcast.meter_files.mapping import Choices
from wattcast.meter_files.reader import read_readings

DAYS = 3


def truth(
    *, start: str = "2026-03-09", days: int = DAYS, minutes: int = 60, zone: str = "UTC", building: str = "hall"
) -> pd.DataFrame:
    """Energy of a building: the contract's columns without device and features."""
    first = pd.Timestamp(start, tz=zone)
    times = pd.date_range(first, first + pd.DateOffset(days=days), freq=f"{minutes}min", inclusive="left").tz_convert(
        "UTC"
    )
    rng = np.random.default_rng(len(times))
    energy = np.round(rng.uniform(2, 9, len(times)), 3) * minutes / 60
    return pd.DataFrame({"building_id": building, "measured_at": times, "energy_usage_kwh": np.round(energy, 5)})


def written(file: Path, text: str, encoding: str = "utf-8") -> Path:
    file.write_text(text, encoding=encoding, newline="")
    return file


def lines(rows: pd.DataFrame, header: str, form: Callable[[pd.Timestamp, float], str], end: str = "\n") -> str:
    """A text file: `form` writes a time and an energy."""
    body = [form(time, energy) for time, energy in zip(rows["measured_at"], rows["energy_usage_kwh"], strict=True)]
    return end.join([header, *body]) + end


def comma(value: float) -> str:
    return f"{value:.9f}".rstrip("0").rstrip(".").replace(".", ",")


def readings(file: Path, **choices: object) -> pd.DataFrame:
    """What the reader makes of a file, in the columns of `truth`."""
    frame = read_readings(file, Choices(**choices))[0].frame  # type: ignore[arg-type]
    return frame[["building_id", "measured_at", "energy_usage_kwh"]]


def assert_truth(actual: pd.DataFrame, expected: pd.DataFrame) -> None:
    columns = ["building_id", "measured_at", "energy_usage_kwh"]
    sort = ["building_id", "measured_at"]
    left, right = (frame[columns].sort_values(sort, ignore_index=True) for frame in (actual, expected))
    pd.testing.assert_frame_equal(left, right, check_dtype=False, rtol=1e-9, atol=1e-6)
