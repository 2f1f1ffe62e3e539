"""Recorded readings and buildings, read from files into long hourly series."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
from numpy.typing import NDArray
from pyarrow import csv

from wattcast_models.features import CONTEXT_INPUTS

REQUIRED = ("timestamp", "building_id", "energy_usage_kwh")
METADATA = ("timezone", "country", "building_type", "closures")
WEATHER = CONTEXT_INPUTS[1:]


@dataclass(frozen=True)
class Building:
    """One building's hours from `start` on, without a hole: missing hours are NaN."""

    building_id: str
    start: int  # hours since 1970-01-01 UTC
    values: NDArray[np.float32]  # (hours, CONTEXT_INPUTS): kWh, deg C, %, people
    place: dict[str, str] = field(default_factory=dict)  # METADATA, "" where unknown

    @property
    def hours(self) -> int:
        return len(self.values)


def read_buildings(data: Path, metadata: Path | None = None) -> list[Building]:
    """The hourly series of a Parquet or CSV file, by building id; ValueError or OSError when it cannot be read.

    Of sub-hourly readings an hour is the sum of the energy and the mean of the rest; an hour with fewer readings than
    the building's hours usually have is missing. `metadata` is a CSV with building_id and any of METADATA.
    """
    hourly = _hourly([part for part in _partial_sums(data) if len(part)])
    if not len(hourly):
        raise ValueError(f"{data.name} holds no readings.")
    return _series(hourly, read_places(metadata) if metadata else {})


def buildings_of(readings: pd.DataFrame, places: Mapping[str, dict[str, str]]) -> list[Building]:
    """The hourly series of readings in memory, with the columns of a file, as `read_buildings` makes them."""
    return _series(_hourly([_sums(readings)]), places)


def _series(hourly: pd.DataFrame, places: Mapping[str, dict[str, str]]) -> list[Building]:
    buildings = []
    for building_id, rows in hourly.groupby("building_id", sort=True, observed=True):
        hours = rows["hour"].to_numpy()
        values = np.full((int(hours.max() - hours.min()) + 1, len(CONTEXT_INPUTS)), np.nan, np.float32)
        values[hours - hours.min()] = rows[list(CONTEXT_INPUTS)].to_numpy(np.float32)
        place = dict.fromkeys(METADATA, "") | places.get(str(building_id), {})
        buildings.append(Building(str(building_id), int(hours.min()), values, place))
    return buildings


def read_places(metadata: Path) -> dict[str, dict[str, str]]:
    """METADATA by building id, "" where the CSV says nothing."""
    table = pd.read_csv(metadata, dtype=str, keep_default_na=False)
    if "building_id" not in table:
        raise ValueError(f"{metadata.name} lacks the column building_id.")
    known = table.reindex(columns=list(METADATA), fill_value="")
    return dict(zip(table["building_id"], known.to_dict("records"), strict=True))


def building_ids(data: Path) -> set[str]:
    """The ids in a file of readings or in a CSV of buildings."""
    column = _dataset(data).to_table(columns=["building_id"])["building_id"]
    return {str(name) for name in column.unique().to_pylist()}


def _dataset(data: Path) -> ds.Dataset:
    if not data.exists():
        raise FileNotFoundError(f"{data} does not exist.")
    if ".csv" not in data.suffixes:
        return ds.dataset(data, format="parquet")
    types = {"building_id": pa.string(), **dict.fromkeys(CONTEXT_INPUTS, pa.float64())}
    return ds.dataset(data, format=ds.CsvFileFormat(convert_options=csv.ConvertOptions(column_types=types)))


def _hourly(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """One row per building and hour out of the partial sums of some batches."""
    keys = ["building_id", "hour"]
    if not parts:
        return pd.DataFrame(columns=[*keys, *CONTEXT_INPUTS])
    sums = pd.concat(parts).groupby(keys, sort=True, as_index=False).sum()
    usual = sums.groupby("building_id")["readings"].transform(lambda counts: counts[counts > 0].mode().max())
    hourly = sums[keys].copy()
    hourly["energy_usage_kwh"] = sums["energy_usage_kwh"].where((sums["readings"] > 0) & (sums["readings"] >= usual))
    for name in WEATHER:
        hourly[name] = sums[name] / sums[f"{name}_count"].where(sums[f"{name}_count"] > 0)
    return hourly


def _partial_sums(data: Path) -> Iterator[pd.DataFrame]:
    """Sums and counts per building and hour of each batch of the file."""
    dataset = _dataset(data)
    if lacking := [name for name in REQUIRED if name not in dataset.schema.names]:
        raise ValueError(f"{data.name} lacks the column{'s' * (len(lacking) > 1)} {', '.join(lacking)}.")
    columns = [name for name in (*REQUIRED, *WEATHER) if name in dataset.schema.names]
    for batch in dataset.to_batches(columns=columns, batch_size=500_000):
        yield _sums(pa.Table.from_batches([batch]).to_pandas())


def _sums(readings: pd.DataFrame) -> pd.DataFrame:
    keys = ["building_id", "timestamp"]
    readings = readings.dropna(subset=keys).drop_duplicates(keys, keep="last")
    measured_at = pd.to_datetime(readings["timestamp"], utc=True).astype("datetime64[s, UTC]")
    energy = readings["energy_usage_kwh"].astype(np.float64)
    sums = pd.DataFrame(
        {
            "building_id": readings["building_id"].astype(str),
            "hour": measured_at.astype(np.int64) // 3600,
            "readings": np.isfinite(energy).astype(np.int64),
            "energy_usage_kwh": energy.where(np.isfinite(energy), 0.0),
        }
    )
    for name in WEATHER:
        value = readings[name].astype(np.float64) if name in readings else pd.Series(np.nan, readings.index)
        sums[name], sums[f"{name}_count"] = value.fillna(0.0), value.notna().astype(np.int64)
    return sums.groupby(["building_id", "hour"], sort=False, as_index=False).sum()
