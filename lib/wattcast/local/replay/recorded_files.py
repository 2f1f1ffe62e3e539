"""Files of recorded readings as a replay needs them, read by the strict reader of all commands."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from wattcast.meter_files.mapping import Choices
from wattcast.meter_files.reader import reading_chunks

FEATURES = ["temperature_c", "humidity_pct", "occupancy", "energy_usage_kwh"]
NAIVE_HINT = {"timezone": "run `wattcast replay --naive-is-utc` to read them as UTC"}


def chunks(file: Path, naive_is_utc: bool, *, with_features: bool) -> Iterator[pd.DataFrame]:
    """The file in chunks: measured_ms, building_id and, with features, device_id (or empty) and the features (or null).

    Raises:
        FileRefused: the file does not hold readings, or holds them in a form that is in doubt.
    """
    choices = Choices(timezone="UTC" if naive_is_utc else None)
    for readings in reading_chunks(file, choices, other_options=NAIVE_HINT):
        head = pd.DataFrame(
            {
                "measured_ms": readings["measured_at"].dt.tz_localize(None).to_numpy("datetime64[ms]").astype(np.int64),
                "building_id": readings["building_id"],
            }
        )
        names = [name for name in ["device_id", *FEATURES] if name in readings] if with_features else []
        body = readings[names].reset_index(drop=True)
        if "device_id" in body:
            body["device_id"] = body["device_id"].fillna("").astype(str)
        yield pd.concat([head.reset_index(drop=True), body], axis="columns")
