"""Buildings: their long hourly series, read from files of readings or from the lake, and their metadata."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wattcast_models.data.closing import ClosingRules
from wattcast_models.data.file_readers import FileReaders
from wattcast_models.data.series import (
    NEVER_US,
    REVISION_COLUMNS,
    Batches,
    Floats,
    HourLayout,
    Revisions,
    hourly_revisions,
    hourly_sums,
)
from wattcast_models.data.sources import batches, dataset, is_table
from wattcast_models.time_units import HOUR_US

REQUIRED = ("timestamp", "building_id", "energy_usage_kwh")
METADATA = ("timezone", "country", "building_type", "closures")


@dataclass(frozen=True)
class Building:
    """One building's consecutive hours from `start` on; missing hours are NaN."""

    building_id: str
    start: int  # hours since 1970-01-01 UTC
    values: NDArray[np.float32]  # (hours, CONTEXT_INPUTS): kWh, deg C, %, people
    metadata: dict[str, str] = field(default_factory=dict)  # METADATA, "" where unknown
    revisions: Revisions | None = None  # None: each hour was known as soon as it was over

    @property
    def hours(self) -> int:
        return len(self.values)

    def context_as_known(self, first: int, origin: int) -> NDArray[np.float32]:
        """(origin - first, CONTEXT_INPUTS): the hours from position `first` on, as a live forecast for `origin` knew them.

        The forecast is issued when the hour before the origin closes, at the latest `Revisions.max_wait_us` after the origin.
        An hour has its newest revision if that was available then, else its first revision if that was, else NaN.
        """
        newest = self.values[first:origin]
        if self.revisions is None:
            return newest
        latest_issue_us = (self.start + origin) * HOUR_US + self.revisions.max_wait_us
        issued_us = self.revisions.first_us[max(origin - 1, 0) : origin].min(initial=latest_issue_us)
        context = self.revisions.of(slice(first, origin))
        is_later = context.newest_us > issued_us
        had_first = context.first_us[is_later, None] <= issued_us
        values = newest.copy()
        values[is_later] = np.where(had_first, context.first[is_later], np.float32(np.nan))
        return values


def late_share(buildings: Sequence[Building]) -> float:
    """The share of hours that became known later than the maximum wait after their end; 0 without revisions.

    Forecasts for the next hour were issued without these hours.
    """
    late = total = 0
    for building in buildings:
        if building.revisions is not None:
            first_us, max_wait_us = building.revisions.first_us, building.revisions.max_wait_us
            end_us = (building.start + 1 + np.arange(len(first_us))) * HOUR_US
            has_revision = first_us < NEVER_US
            total += int(has_revision.sum())
            late += int((has_revision & (first_us > end_us + max_wait_us)).sum())
    return late / max(total, 1)


def read_buildings(
    data: Path,
    metadata: Path | None = None,
    *,
    store: Path | None = None,
    version: int | None = None,
    closing: ClosingRules | None = None,
    files: FileReaders | None = None,
) -> list[Building]:
    """The hourly series of a Parquet or CSV file of readings, or of the lake's `hourly_usage` (the folder of the Delta table, at
    `version` or the newest), by building id; ValueError or OSError if it cannot be read.

    From sub-hourly readings, and from those of several devices, an hour is the sum of the energy and the mean of the other
    inputs; an hour with fewer readings than the building's hours usually have is missing. From `hourly_usage` an hour is its
    newest revision, its energy missing if the hour is partial or unusable, and `revisions` holds what was known before; this
    needs `closing`, the rules under which forecasts are issued. `metadata` is a CSV with building_id and any of METADATA, or the
    lake's `buildings`. With a folder as `store` the hours are kept in files there, and memory holds one batch of rows and the
    hours of one building, however long the data are.
    `files` reads what is not a Delta table; without it pyarrow does, and takes times without a zone as UTC.
    """
    by_building = metadata_of(metadata, files) if metadata else {}
    if store:
        store.mkdir(parents=True, exist_ok=True)
    if files and version is None and data.exists() and not is_table(data):
        rows: Batches = files.batches(data)
        has_revisions = False
    else:
        rows, has_revisions = _arrow_rows(data, version)
    if has_revisions and closing is None:
        raise ValueError(f"{data.name} has revisions: reading it needs the closing rules.")
    buildings = _buildings(rows, by_building, store, closing if has_revisions else None)
    if not buildings:
        raise ValueError(f"{data.name} has no readings.")
    return buildings


def _arrow_rows(data: Path, version: int | None) -> tuple[Batches, bool]:
    """The rows of a file or Delta table, and whether they are revisions of `hourly_usage`."""
    source = dataset(data, version)
    names = set(source.schema.names)
    has_revisions = "timestamp" not in names and names.issuperset(REVISION_COLUMNS)
    if missing := [name for name in (REQUIRED[1:] if has_revisions else REQUIRED) if name not in names]:
        raise ValueError(f"{data.name} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}.")
    return partial(batches, source), has_revisions


def metadata_of(file: Path, files: FileReaders | None = None) -> Mapping[str, dict[str, str]]:
    """METADATA by building id, from a file by `files` if given, or from a Delta table."""
    return files.metadata(file) if files and not is_table(file) else read_metadata(file)


def buildings_from_readings(readings: pd.DataFrame, metadata: Mapping[str, dict[str, str]]) -> list[Building]:
    """The hourly series of readings in memory that have the columns of a file, as `read_buildings` returns them."""
    return _buildings(lambda columns: [readings], metadata)


def _buildings(
    rows: Batches,
    metadata: Mapping[str, dict[str, str]],
    store: Path | None = None,
    closing: ClosingRules | None = None,
) -> list[Building]:
    """The buildings of readings, or with `closing` those of rows of `hourly_usage`."""
    values: Floats
    revisions: Revisions | None
    if closing:
        layout = HourLayout.of(rows, "hour")
        values, revisions = hourly_revisions(rows, layout, store, max_wait_us=closing.max_wait_us)
    else:
        layout = HourLayout.of(rows, "timestamp")
        values, revisions = hourly_sums(rows, layout, store), None
    return [
        Building(
            building_id=name,
            start=int(start),
            values=values[hours],
            metadata=dict.fromkeys(METADATA, "") | metadata.get(name, {}),
            revisions=revisions.of(hours) if revisions else None,
        )
        for name, start, hours in zip(layout.names, layout.start, layout.slices, strict=True)
    ]


def read_metadata(file: Path) -> dict[str, dict[str, str]]:
    """METADATA by building id, from a CSV or the newest version of a Delta table; "" where a value or a column is missing."""
    is_csv = not is_table(file)
    table = pd.read_csv(file, dtype=str, keep_default_na=False) if is_csv else dataset(file).to_table().to_pandas()
    if "building_id" not in table:
        raise ValueError(f"{file.name} lacks the column building_id.")
    values = table.reindex(columns=list(METADATA), fill_value="").fillna("")
    return dict(zip(table["building_id"], values.to_dict("records"), strict=True))


def building_ids(data: Path, files: FileReaders | None = None) -> set[str]:
    """The ids in a file of readings, a Delta table or a CSV of buildings."""
    if files and data.exists() and not is_table(data):
        return files.building_ids(data)
    return {str(name) for rows in batches(dataset(data), ["building_id"]) for name in rows["building_id"].unique()}
