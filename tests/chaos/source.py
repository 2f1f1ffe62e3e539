"""The readings of a run of chaos: simulated buildings with cases that are hard for hourly usage, and faults in their replay."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd

from wattcast.local.replay.faults import Faults
from wattcast.local.replay.recordings import HOUR_MS, recording
from wattcast.local.replay.sequence import Record, records
from wattcast.local.simulation.simulator import write_simulation

FAULTS = Faults(disordered=0.05, delayed=0.05, duplicated=0.05, corrected=0.05, corrupted=0.05)
FIRST_DAY = date(2026, 3, 28)  # the day before clocks change in Europe
SENSOR_FAULTS = 0.1  # share of readings: missing ones (hours that wait), stuck meters, zeros


@dataclass(frozen=True)
class Source:
    """The records in order of arrival, in parts of one hour of arrival, and the file with the metadata of the buildings."""

    hours: list[list[Record]]
    metadata_file: Path

    @property
    def last_arrival_ms(self) -> int:
        return self.hours[-1][-1].arrival_ms


def simulated_source(folder: Path, *, buildings: int, days: int, seed: int) -> Source:
    """Buildings with readings every 5 to 60 minutes: the first has no metadata, the second an unknown interval, the third two
    devices."""
    simulated, metadata_file = folder / "simulated.parquet", folder / "simulated.buildings.csv"
    write_simulation(
        simulated,
        buildings=buildings,
        days=days,
        start=FIRST_DAY,
        interval_minutes=None,
        seed=seed,
        faults=SENSOR_FAULTS,
    )
    metadata = pd.read_csv(metadata_file)
    building_ids = metadata["building_id"].tolist()
    metadata["reading_interval_minutes"] = metadata["reading_interval_minutes"].astype("Int64")
    metadata.loc[1:1, "reading_interval_minutes"] = pd.NA
    metadata.drop(index=0).to_csv(metadata_file, index=False)
    readings = pd.read_parquet(simulated)
    file = folder / "readings.parquet"
    _with_two_devices(readings, building_ids[2 % len(building_ids)]).to_parquet(file, index=False)
    hours: dict[int, list[Record]] = defaultdict(list)
    for record in records(recording(file), FAULTS, seed):
        hours[record.arrival_ms // HOUR_MS].append(record)
    return Source([hours[hour] for hour in sorted(hours)], metadata_file)


def _with_two_devices(readings: pd.DataFrame, building_id: str) -> pd.DataFrame:
    """The readings, of which those of one building come from two devices."""
    of_building = readings["building_id"] == building_id
    readings = readings.assign(device_id=readings["building_id"].astype(str).where(of_building))
    second = readings[of_building].assign(device_id="solar")
    both = pd.concat([readings, second], ignore_index=True)
    return both.sort_values("timestamp", kind="stable", ignore_index=True)
