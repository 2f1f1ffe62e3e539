"""Simulated readings of buildings whose energy use follows weather, people and calendar; a seed gives the same bytes."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from wattcast.errors import REFUSED
from wattcast.local.simulation.fleet import Group, SimulatedBuilding, simulated_building
from wattcast.local.simulation.places import SITES, Weather
from wattcast.local.simulation.sensor_faults import FaultyMeters, planned_faults

READINGS = pa.schema(
    {
        "timestamp": pa.timestamp("ms", tz="UTC"),
        "building_id": pa.dictionary(pa.int32(), pa.string()),
        "temperature_c": pa.float32(),
        "humidity_pct": pa.float32(),
        "occupancy": pa.float32(),
        "energy_usage_kwh": pa.float32(),
    }
)
MAX_FAULTS = 0.5
FIRST, END = date(1970, 1, 1), date(2200, 1, 1)


class SimulationError(ValueError):
    """These options cannot be simulated; the message says why."""

    exit_status = REFUSED


class Simulation(NamedTuple):
    """Readings (one frame per UTC day, in time order), metadata of the buildings, and the planned sensor faults.

    Readings: timestamp (UTC, start of the interval), building_id, temperature_c, humidity_pct, occupancy (people),
    energy_usage_kwh (in the interval). Faults: building_id, kind, start, end (exclusive).
    """

    days: Iterator[pd.DataFrame]
    buildings: pd.DataFrame
    faults: pd.DataFrame


def simulate(
    *, buildings: int, days: int, start: date, interval_minutes: int | None = 60, seed: int = 0, faults: float = 0.0
) -> Simulation:
    """`days` UTC days of `buildings` from `start` on; without an interval each building has one of 5 to 60 minutes.

    `faults` is the share of readings with a sensor fault. A building does not depend on the number of others.
    """
    if buildings < 1 or days < 1:
        raise SimulationError("A simulation needs at least one building and one day.")
    if interval_minutes is not None and (not 1 <= interval_minutes <= 60 or 60 % interval_minutes):
        raise SimulationError(f"{interval_minutes} minutes do not divide an hour: use 5, 10, 15, 30 or 60.")
    if not 0 <= faults <= MAX_FAULTS:
        raise SimulationError(f"The share of faulty readings must lie between 0 and {MAX_FAULTS}.")
    if start < FIRST or days > (END - start).days:
        raise SimulationError(f"{days} days from {start} are not within the years 1970 to 2199.")
    fleet = [simulated_building(number, interval_minutes, seed) for number in range(buildings)]
    metadata = pd.DataFrame([building.metadata() for building in fleet])
    plan = planned_faults(metadata, start, days, faults, seed)
    return Simulation(_days(fleet, [start + timedelta(days=n) for n in range(days)], seed, plan), metadata, plan)


def _days(fleet: list[SimulatedBuilding], days: list[date], seed: int, plan: pd.DataFrame) -> Iterator[pd.DataFrame]:
    ids = [building.building_id for building in fleet]
    weather = [Weather(site, np.random.default_rng([seed, 2, number])) for number, site in enumerate(SITES)]
    by_interval: dict[int, list[int]] = {}
    for code, building in enumerate(fleet):
        by_interval.setdefault(building.interval_minutes, []).append(code)
    groups = [Group(codes, fleet) for codes in by_interval.values()]
    meters = FaultyMeters(plan, ids)
    for day in days:
        air = [site.next_day(day) for site in weather]
        true = pd.concat([group.next_day(day, air) for group in groups], ignore_index=True)
        frame = meters.readings(true.sort_values(["timestamp", "building"], kind="stable", ignore_index=True))
        names = pd.Categorical.from_codes(frame["building"].to_list(), categories=pd.Index(ids))
        yield frame.assign(building_id=names)[READINGS.names]


def write_simulation(
    out: Path,
    *,
    buildings: int,
    days: int,
    start: date,
    interval_minutes: int | None = 60,
    seed: int = 0,
    faults: float = 0.0,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Write the readings to `out` (Parquet, a row group per day); returns how many.

    The metadata is written beside it as `.buildings.csv` and, with faults, the fault log as `.faults.csv`. `progress` is called
    with the number of written days.
    """
    simulation = simulate(
        buildings=buildings, days=days, start=start, interval_minutes=interval_minutes, seed=seed, faults=faults
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    rows = 0
    with pq.ParquetWriter(out, READINGS) as writer:
        for number, frame in enumerate(simulation.days, start=1):
            writer.write_table(pa.Table.from_pandas(frame, READINGS, preserve_index=False), row_group_size=len(frame))
            rows += len(frame)
            if progress:
                progress(number)
    simulation.buildings.to_csv(out.with_suffix(".buildings.csv"), index=False)
    if faults > 0:
        simulation.faults.to_csv(out.with_suffix(".faults.csv"), index=False)
    return rows
