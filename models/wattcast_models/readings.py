"""Buildings: their long hourly series, read from files of readings or from the lake, and what is known of their place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wattcast_models.series import EVER_US, HOUR_US, REVISED, Batches, Revisions, Span, revised, summed
from wattcast_models.sources import batches, dataset, is_table

REQUIRED = ("timestamp", "building_id", "energy_usage_kwh")
METADATA = ("timezone", "country", "building_type", "closures")
MAX_WAIT_US = 3 * HOUR_US  # after its origin a live forecast is issued at the latest: closing.max_wait_minutes


@dataclass(frozen=True)
class Building:
    """One building's hours from `start` on, without a hole: missing hours are NaN."""

    building_id: str
    start: int  # hours since 1970-01-01 UTC
    values: NDArray[np.float32]  # (hours, CONTEXT_INPUTS): kWh, deg C, %, people
    place: dict[str, str] = field(default_factory=dict)  # METADATA, "" where unknown
    revisions: Revisions | None = None  # what was known when; None: each hour was known as soon as it was over

    @property
    def hours(self) -> int:
        return len(self.values)

    def known(self, first: int, origin: int) -> NDArray[np.float32]:
        """(origin - first, CONTEXT_INPUTS): the hours from position `first` on as a live forecast for `origin` knew them.

        It is issued when the hour before the origin closes, MAX_WAIT_US after the origin at the latest. An hour is at its
        newest revision if that was known by then, else at its first if that was, else NaN; those between are not kept.
        """
        newest = self.values[first:origin]
        if self.revisions is None:
            return newest
        waited_us = (self.start + origin) * HOUR_US + MAX_WAIT_US
        issued_us = self.revisions.first_us[max(origin - 1, 0) : origin].min(initial=waited_us)
        then = self.revisions.of(slice(first, origin))
        is_later = then.newest_us > issued_us
        had_first = then.first_us[is_later, None] <= issued_us
        known = newest.copy()
        known[is_later] = np.where(had_first, then.first[is_later], np.float32(np.nan))
        return known


def late_share(buildings: Sequence[Building]) -> float:
    """The share of the hours that were first known more than MAX_WAIT_US after their end, so that the forecasts for the
    next hour could not have them; 0 without revisions."""
    late = there = 0
    for building in buildings:
        if building.revisions is not None:
            first_us = building.revisions.first_us
            end = building.start + 1 + np.arange(len(first_us))
            there += int((first_us < EVER_US).sum())
            late += int(((first_us < EVER_US) & (first_us > end * HOUR_US + MAX_WAIT_US)).sum())
    return late / max(there, 1)


def read_buildings(
    data: Path, metadata: Path | None = None, *, store: Path | None = None, version: int | None = None
) -> list[Building]:
    """The hourly series of a Parquet or CSV file, or of the lake's `hourly_usage` (the folder of the Delta table, at
    `version` or the newest), by building id; ValueError or OSError when it cannot be read.

    Of sub-hourly readings an hour is the sum of the energy and the mean of the rest; an hour with fewer readings than
    the building's hours usually have is missing. Of `hourly_usage` an hour is its newest revision, its energy missing
    when the hour is partial, and `revisions` says what was known before. `metadata` is a CSV with building_id and any
    of METADATA, or the lake's `buildings`. With a folder as `store` the hours are kept in it and not in memory, which
    then holds no more than a batch of rows and the hours of one building, however long the data are.
    """
    source = dataset(data, version)
    names = set(source.schema.names)
    is_revised = "timestamp" not in names and names.issuperset(REVISED)
    if lacking := [name for name in (REQUIRED[1:] if is_revised else REQUIRED) if name not in names]:
        raise ValueError(f"{data.name} lacks the column{'s' * (len(lacking) > 1)} {', '.join(lacking)}.")
    places = read_places(metadata) if metadata else {}
    if store:
        store.mkdir(parents=True, exist_ok=True)
    buildings = _buildings(partial(batches, source), places, store, is_revised=is_revised)
    if not buildings:
        raise ValueError(f"{data.name} holds no readings.")
    return buildings


def buildings_of(readings: pd.DataFrame, places: Mapping[str, dict[str, str]]) -> list[Building]:
    """The hourly series of readings in memory, with the columns of a file, as `read_buildings` makes them."""
    return _buildings(lambda columns: [readings], places)


def _buildings(
    rows: Batches, places: Mapping[str, dict[str, str]], store: Path | None = None, *, is_revised: bool = False
) -> list[Building]:
    span = Span.of(rows, "hour" if is_revised else "timestamp")
    values, revisions = revised(rows, span, store) if is_revised else (summed(rows, span, store), None)
    return [
        Building(name, int(start), values[own], dict.fromkeys(METADATA, "") | places.get(name, {}),
                 revisions.of(own) if revisions else None)
        for name, start, own in zip(span.names, span.start, span.slices, strict=True)
    ]  # fmt: skip


def read_places(metadata: Path) -> dict[str, dict[str, str]]:
    """METADATA by building id, "" where the CSV, or the Delta table at its newest version, says nothing."""
    if is_table(metadata):
        table = dataset(metadata).to_table().to_pandas()
    else:
        table = pd.read_csv(metadata, dtype=str, keep_default_na=False)
    if "building_id" not in table:
        raise ValueError(f"{metadata.name} lacks the column building_id.")
    known = table.reindex(columns=list(METADATA), fill_value="").fillna("")
    return dict(zip(table["building_id"], known.to_dict("records"), strict=True))


def building_ids(data: Path) -> set[str]:
    """The ids in a file of readings, in a Delta table, or in a CSV of buildings."""
    return {str(name) for rows in batches(dataset(data), ["building_id"]) for name in rows["building_id"].unique()}
