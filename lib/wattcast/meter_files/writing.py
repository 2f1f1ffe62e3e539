"""Files in the form of the contract: the readings, and the metadata that is known from them."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from wattcast.meter_files.mapping import CONTRACT_COLUMNS
from wattcast.meter_files.refusals import FileRefused

SCHEMA = pa.schema(
    {
        name: pa.timestamp("us", tz="UTC")
        if name == "measured_at"
        else pa.string()
        if name.endswith("_id")
        else pa.float64()
        for name in CONTRACT_COLUMNS
    }
)


def write_readings(file: Path, chunks: Iterable[pd.DataFrame]) -> int:
    """Write readings as Parquet, or as CSV if the name ends with .csv; returns how many. The file appears when it is complete.

    Raises:
        FileRefused: the name has another ending, or the folder does not exist.
    """
    if file.suffix not in (".parquet", ".csv"):
        raise FileRefused(f"{file} must end with .parquet or .csv.")
    if not file.parent.is_dir():
        raise FileRefused(f"There is no folder {file.parent}.")
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    rows = 0
    try:
        if file.suffix == ".csv":
            rows = _write_csv(unfinished, chunks)
        else:
            with pq.ParquetWriter(unfinished, SCHEMA) as writer:
                for chunk in chunks:
                    rows += len(chunk)
                    writer.write_table(_table(chunk))
        os.replace(unfinished, file)
    finally:
        unfinished.unlink(missing_ok=True)
    return rows


def _table(chunk: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(chunk.reindex(columns=list(CONTRACT_COLUMNS)), schema=SCHEMA, preserve_index=False)


def _write_csv(file: Path, chunks: Iterable[pd.DataFrame]) -> int:
    rows = 0
    with file.open("w", encoding="utf-8", newline="") as text:
        for chunk in chunks:
            times = chunk["measured_at"].dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ").str.replace(".000000Z", "Z", regex=False)
            whole = chunk.assign(measured_at=times).reindex(columns=list(CONTRACT_COLUMNS))
            whole.to_csv(text, index=False, header=rows == 0)
            rows += len(chunk)
    return rows


def write_metadata(file: Path, minutes: Mapping[str, int], timezone: str | None) -> None:
    """Write a file for `wattcast buildings import`: the zone of the local times, where they had one, and the intervals."""
    zone = timezone if timezone and "/" in timezone and not timezone.startswith("Etc/") else None
    intervals = [value if 60 % value == 0 else np.nan for value in minutes.values()]
    table = pd.DataFrame({"building_id": list(minutes), "timezone": zone, "country": None})
    table["reading_interval_minutes"] = pd.array(intervals, dtype="Int64")
    table.to_csv(file, index=False)
