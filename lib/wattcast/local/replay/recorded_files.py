"""Files of recorded readings, Parquet or CSV, read in chunks and validated."""

from collections.abc import Hashable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from wattcast.errors import REFUSED

FEATURES = ["temperature_c", "humidity_pct", "occupancy", "energy_usage_kwh"]
ROWS_PER_CHUNK = 65_536
HAS_ZONE = r"(?:[zZ]|[+-]\d\d(?::?\d\d)?)$"
UNREADABLE = (pa.ArrowInvalid, pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError, OSError)
TIME_COLUMNS = ("measured_at", "timestamp")


class RecordingError(ValueError):
    """The file does not hold recorded readings; the message says why in one sentence."""

    exit_status = REFUSED


def chunks(file: Path, naive_is_utc: bool, *, with_features: bool) -> Iterator[pd.DataFrame]:
    """The file in chunks: measured_ms, building_id and, with features, device_id (or empty) and the features (or null)."""
    names = _columns(file)
    time = next((name for name in TIME_COLUMNS if name in names), None)
    if time is None or "building_id" not in names or "energy_usage_kwh" not in names:
        required = "measured_at (or timestamp), building_id and energy_usage_kwh"
        raise RecordingError(f"{file.name} needs the columns {required}; it has {', '.join(names)}.")
    optional = [name for name in ["device_id", *FEATURES] if name in names] if with_features else []
    for raw in _raw_chunks(file, [time, "building_id", *optional]):
        if raw.empty:
            continue
        if raw[[time, "building_id"]].isna().any(axis=None):
            raise RecordingError(f"{file.name} has rows without {time} or building_id.")
        head = {
            "measured_ms": _measured_ms(raw[time], file, naive_is_utc),
            "building_id": raw["building_id"].astype(str),
        }
        body = {
            name: raw[name].astype(object).fillna("").astype(str) if name == "device_id" else _numbers(raw[name], file)
            for name in optional
        }
        absent = {
            name: np.full(len(raw), np.nan, np.float32) for name in FEATURES if with_features and name not in names
        }
        yield pd.DataFrame(head | body | absent)


def _columns(file: Path) -> list[str]:
    try:
        if file.suffix == ".csv":
            return list(pd.read_csv(file, nrows=0).columns)
        return list(pq.read_schema(file).names)
    except UNREADABLE as error:
        raise RecordingError(f"{file.name} cannot be read as {file.suffix or 'Parquet'}: {error}") from error


def _raw_chunks(file: Path, columns: list[str]) -> Iterator[pd.DataFrame]:
    try:
        if file.suffix == ".csv":
            texts: dict[Hashable, type[str]] = {name: str for name in columns if name not in FEATURES}
            for chunk in pd.read_csv(file, dtype=texts, chunksize=ROWS_PER_CHUNK):
                yield chunk[columns]
            return
        with pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(ROWS_PER_CHUNK, columns=columns):
                yield batch.to_pandas()
    except UNREADABLE as error:
        raise RecordingError(f"{file.name} cannot be read to its end: {error}") from error


def _measured_ms(times: pd.Series, file: Path, naive_is_utc: bool) -> npt.NDArray[np.int64]:
    is_text = not isinstance(times.dtype, pd.DatetimeTZDtype) and times.dtype.kind != "M"
    if is_text and not pd.api.types.is_string_dtype(times.dtype):
        raise RecordingError(f"{file.name}: {times.name} must be timestamps or text, but is {times.dtype}.")
    is_naive = not times.str.contains(HAS_ZONE).all() if is_text else times.dtype.kind == "M" and times.dt.tz is None
    if is_text:
        try:
            times = pd.to_datetime(times, utc=True, format="ISO8601")
        except ValueError as error:
            raise RecordingError(f"{file.name}: {times.name} contains text that is not a time: {error}") from error
    if is_naive and not naive_is_utc:
        raise RecordingError(
            f"{file.name}: {times.name} has times without a zone: add the zone, or run `wattcast replay --naive-is-utc` to "
            "read them as UTC."
        )
    utc = times if is_naive and not is_text else times.dt.tz_convert("UTC").dt.tz_localize(None)
    return utc.to_numpy("datetime64[ms]").astype(np.int64)


def _numbers(values: pd.Series, file: Path) -> npt.NDArray[np.floating]:
    try:
        numbers = values.to_numpy(np.float32 if values.dtype == np.float32 else np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise RecordingError(f"{file.name}: {values.name} contains a value that is not a number: {error}") from error
    if np.isinf(numbers).any():
        raise RecordingError(f"{file.name}: {values.name} contains an infinite number.")
    return numbers
