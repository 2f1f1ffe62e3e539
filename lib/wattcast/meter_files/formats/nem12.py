"""NEM12, the interval meter files of the Australian market: days of readings per meter, in the time of the market (UTC+10)."""

import csv
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from wattcast.meter_files.formats.encodings import encoding_of, open_binary
from wattcast.meter_files.mapping import UNITS_KWH, Evidence
from wattcast.meter_files.refusals import FileRefused
from wattcast.meter_files.table import Table

COLUMNS = ("building_id", "device_id", "measured_at", "energy_usage_kwh")
MARKET_TIME = "+10:00"  # National Electricity Market time: no summer time
USED, RETURNED = "E", "B"  # first letters of the suffix of a stream: from the grid, to the grid
MINUTES_OF_DAY = 1440
NO_VALUE = "N"  # quality of an interval without a value


def nem12_table(file: Path) -> Table:
    """The energy from the grid by NMI (as building) and stream (as device), at the start of each interval.

    Streams of energy to the grid and of reactive energy are left out.

    Raises:
        FileRefused: a record is not as the format says.
    """
    frames: list[pd.DataFrame] = []
    left_out: set[str] = set()
    intervals: set[int] = set()
    for line, stream, day in _days(file):
        if not stream.suffix.startswith(USED):
            left_out.add(stream.suffix)
            continue
        intervals.add(stream.minutes)
        frames.append(_day(file, line, stream, day))
    whole = pd.concat(frames) if frames else pd.DataFrame(columns=list(COLUMNS), dtype=object)
    evidence = [
        Evidence("unit", "kWh", "the unit of each stream"),
        Evidence("timezone", "UTC+10", "the time of the market"),
    ]
    if left_out:
        evidence.append(Evidence("left out", ", ".join(sorted(left_out)), "streams that are not energy from the grid"))
    return Table(file, "NEM12", COLUMNS, lambda: iter([whole] if len(whole) else []), evidence=tuple(evidence))


class _Stream:
    """A record 200: the meter and register that the following days belong to."""

    def __init__(self, file: Path, line: int, fields: list[str]) -> None:
        try:
            self.nmi, self.suffix, self.unit, self.minutes = fields[1], fields[4], fields[7].lower(), int(fields[8])
        except (IndexError, ValueError) as error:
            raise FileRefused(f"{file.name}, line {line} is no NEM12 record 200: {error}") from error
        units = {unit.lower(): factor for unit, factor in UNITS_KWH.items()}
        if self.suffix.startswith(USED) and self.unit not in units:
            raise FileRefused(f"{file.name}, line {line}: the unit {fields[7]} is not one of energy.")
        if self.minutes < 1 or MINUTES_OF_DAY % self.minutes:
            raise FileRefused(f"{file.name}, line {line}: an interval of {self.minutes} minutes does not divide a day.")
        self.factor = units.get(self.unit, np.nan)


def _days(file: Path) -> Iterator[tuple[int, _Stream, list[str]]]:
    """The records 300 with their line and stream."""
    stream: _Stream | None = None
    with open_binary(file) as content:
        text = content.read().decode(encoding_of(file).value, errors="replace")
    for line, fields in enumerate(csv.reader(text.splitlines()), start=1):
        match fields[:1]:
            case ["200"]:
                stream = _Stream(file, line, fields)
            case ["300"] if stream is None:
                raise FileRefused(f"{file.name}, line {line}: a record 300 comes before any record 200.")
            case ["300"] if stream is not None:
                yield line, stream, fields


def _day(file: Path, line: int, stream: _Stream, fields: list[str]) -> pd.DataFrame:
    count = MINUTES_OF_DAY // stream.minutes
    try:
        midnight = pd.Timestamp(datetime.strptime(fields[1], "%Y%m%d")).tz_localize(MARKET_TIME)
        values = np.array([float(value) if value.strip() else np.nan for value in fields[2 : 2 + count]])
    except (ValueError, IndexError) as error:
        raise FileRefused(f"{file.name}, line {line} is no NEM12 record 300: {error}") from error
    if len(values) != count or len(fields) <= 2 + count:
        raise FileRefused(f"{file.name}, line {line} has too few fields for {count} values of a day.")
    if fields[2 + count].startswith(NO_VALUE):
        values[:] = np.nan
    times = midnight + pd.to_timedelta(np.arange(count) * stream.minutes, unit="min")
    cells = {"building_id": stream.nmi, "device_id": stream.suffix, "measured_at": times.tz_convert("UTC")}
    return pd.DataFrame(cells | {"energy_usage_kwh": values * stream.factor}, index=[line] * count)
