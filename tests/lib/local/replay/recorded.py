"""A small file of recorded readings, and the records of its replay."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from wattcast.local.replay.faults import Faults
from wattcast.local.replay.recordings import recording
from wattcast.local.replay.sequence import Record, records

ALL_FAULTS = Faults(disordered=0.1, delayed=0.1, duplicated=0.1, corrected=0.1, corrupted=0.1)


def frame(*, buildings: int = 3, days: int = 4, minutes: int = 30, seed: int = 0) -> pd.DataFrame:
    """Readings sorted by building, with occupancy unmeasured."""
    times = pd.date_range("2024-03-30", periods=days * 24 * 60 // minutes, freq=f"{minutes}min", tz="UTC")
    rng = np.random.default_rng(seed)
    rows = len(times) * buildings
    return pd.DataFrame(
        {
            "timestamp": np.tile(times.to_numpy("datetime64[ms]"), buildings),
            "building_id": np.repeat([f"b{number}" for number in range(buildings)], len(times)),
            "temperature_c": rng.normal(10, 5, rows).round(1).astype(np.float32),
            "humidity_pct": rng.uniform(30, 90, rows).round(1).astype(np.float32),
            "occupancy": np.full(rows, np.nan, np.float32),
            "energy_usage_kwh": rng.uniform(0, 200, rows).round(1).astype(np.float32),
        }
    ).assign(timestamp=lambda rows: rows["timestamp"].dt.tz_localize("UTC"))


def written(readings: pd.DataFrame, path: Path) -> Path:
    readings.to_parquet(path) if path.suffix == ".parquet" else readings.to_csv(path, index=False)
    return path


def sequence(file: Path, faults: Faults = ALL_FAULTS, seed: int = 7, **selection) -> list[Record]:
    return list(records(recording(file, **selection), faults, seed))


def newest_of(sent: list[Record]) -> pd.DataFrame:
    """Hours of the newest accepted value per reading, worked out from the messages alone."""
    newest: dict[tuple[str, str], dict] = {}
    for record in sent:
        if not record.rejected_for:
            message = json.loads(record.value)
            newest[message["building_id"], message["measured_at"]] = message
    rows = pd.DataFrame(newest.values())
    rows["hour"] = pd.to_datetime(rows["measured_at"]).dt.floor("h")
    hours = rows.groupby(["building_id", "hour"])["energy_usage_kwh"].agg(["sum", "size"])
    return hours[hours["size"] == hours["size"].max()].reset_index()
