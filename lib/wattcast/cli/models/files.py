"""Files of readings and of buildings, as the strict reader of all commands gives them to the models."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from wattcast.ingest.buildings import buildings_from_csv
from wattcast.meter_files.reader import building_ids, checked_readings
from wattcast.meter_files.writing import write_readings
from wattcast_models.data.file_readers import FileReaders
from wattcast_models.data.readings import METADATA, Building, read_buildings


@dataclass(frozen=True)
class _Renamed:
    """Chunks of readings, with the name that the models have for the time."""

    chunks: Iterable[pd.DataFrame]

    def __iter__(self) -> Iterator[pd.DataFrame]:
        return (chunk.rename(columns={"measured_at": "timestamp"}) for chunk in self.chunks)


def readings(file: Path) -> Iterable[pd.DataFrame]:
    """The readings of a file in chunks, which may be iterated several times."""
    return _Renamed(checked_readings(file))


def metadata(file: Path) -> dict[str, dict[str, str]]:
    """METADATA by building id, of a file that `wattcast buildings import` accepts; "" where a value is missing."""
    buildings = buildings_from_csv(file)
    values = buildings[list(METADATA)].astype(object).where(buildings[list(METADATA)].notna(), "")
    return dict(zip(buildings["building_id"], values.to_dict("records"), strict=True))


STRICT_FILES = FileReaders(readings, metadata, building_ids)


def recorded_buildings(data: Path, buildings_file: Path | None, **options: Any) -> list[Building]:
    """The buildings of a file or table, as `read_buildings`, with files read by the strict reader."""
    return read_buildings(data, buildings_file, files=STRICT_FILES, **options)


def contract_copy(file: Path, folder: Path) -> Path:
    """A Parquet file in `folder` with the readings of a file, for a program that reads Parquet itself.

    Raises:
        FileNotFoundError, FileRefused: the file does not exist, or does not hold readings.
    """
    if not file.exists():
        raise FileNotFoundError(f"{file} does not exist.")
    copy = folder / "rows.parquet"
    write_readings(copy, checked_readings(file))
    return copy
