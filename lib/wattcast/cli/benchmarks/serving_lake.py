"""The lake of `wattcast benchmark-serving`: every table that the API reads, and the commits of a pipeline every 10 seconds."""

import multiprocessing
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from deltalake import write_deltalake

from wattcast.contracts import contract
from wattcast.forecast.quantiles import QUANTILE_COLUMNS
from wattcast.times import HOUR

LEADS, COMMIT_SECONDS, REJECTED_EVERY = 24, 10, 500
STAMP = pa.timestamp("us", "UTC")
TYPES = {
    "STRING": pa.string(), "TIMESTAMP": STAMP, "DOUBLE": pa.float64(), "INT": pa.int32(), "BIGINT": pa.int64(),
    "BOOLEAN": pa.bool_(), "BINARY": pa.binary(), "DATE": pa.date32(), "ARRAY<STRING>": pa.list_(pa.string()),
    "ARRAY<DOUBLE>": pa.list_(pa.float64()), "ARRAY<TIMESTAMP>": pa.list_(STAMP),
}  # fmt: skip
MODEL = {"method": "model", "model_name": "m", "model_version": "1"}
QUERIES = ("ingest", "aggregate", "forecast", "publish")


def names_of(buildings: int) -> list[str]:
    return [f"building-{number:06}" for number in range(buildings)]


def write_lake(lake: Path, names: list[str], begin: datetime, hours: int) -> None:
    """Write all tables, with this many hours in one commit each."""
    append(lake, "buildings", len(names), building_id=names, site="site", timezone="UTC", allows_negative_energy=False)
    meters = [f"meter-{name}" for name in names]
    for measure, scope, subjects in (("completeness", "building", names), ("meter_late_share", "device", meters)):
        append(
            lake, "health", len(names), as_of=begin, measure=measure, scope=scope, subject=subjects, value=1.0, samples=24,
            measured_at=begin,
        )  # fmt: skip
    for number in range(hours):
        commit(lake, names, begin + number * HOUR)


def commit(lake: Path, names: list[str], origin: datetime) -> None:
    """Append what the jobs append after an hour: a row of every building in each table, and a forecast from `origin`."""
    rows, rng, before = len(names), np.random.default_rng(int(origin.timestamp())), origin - HOUR
    kwh, number = rng.uniform(1, 60, rows).round(4), int(origin.timestamp())
    arrived, is_rejected = origin + timedelta(minutes=1), np.arange(rows) % REJECTED_EVERY == 0
    append(
        lake, "received_readings", rows, building_id=names, device_id=[f"meter-{name}" for name in names], measured_at=before,
        energy_usage_kwh=kwh, accepted=~is_rejected, rejected_for=[["not_json"] if rejected else [] for rejected in is_rejected],
        kafka_topic="readings", kafka_partition=0, kafka_offset=np.arange(rows) + number, kafka_timestamp=arrived,
        payload_bytes=140, schema_version=1,
    )  # fmt: skip
    append(
        lake, "hourly_usage", rows, building_id=names, hour=before, available_at=arrived, energy_usage_kwh=kwh, revision=1,
        readings_seen=1, readings_expected=1, coverage=1.0, as_of=arrived, quality_flags=[[]] * rows,
    )  # fmt: skip
    append_forecasts(lake, names, origin, rng)
    append(
        lake, "forecast_scores", rows, forecast_id=_ids(rows, number - 3600), lead_hours=1, available_at=arrived,
        building_id=names, origin=before, purpose="live", issued_at=before, target_hour=before, local_hour=before.hour,
        actual_kwh=kwh, p10_kwh=kwh - 1, p50_kwh=kwh, p90_kwh=kwh + 1, error_kwh=0.1, pinball_kwh=0.1, in_interval=True,
        last_day_kwh=kwh, last_week_kwh=kwh, scored_at=arrived, **MODEL,
    )  # fmt: skip
    append(
        lake, "health", len(QUERIES), as_of=arrived, measure="batch_seconds", scope="query", subject=list(QUERIES), value=1.0,
        samples=1, measured_at=arrived,
    )  # fmt: skip
    subject = names[number // 3600 % rows]
    append(
        lake, "alerts", 1, alert_id=f"{number:032x}", rule="no_reading", severity="warning", scope="building", subject=subject,
        state="firing", started_at=arrived, changed_at=arrived, created_at=arrived, message=f"{subject} has sent nothing.",
    )  # fmt: skip


def append_forecasts(lake: Path, names: list[str], origin: datetime, rng: np.random.Generator) -> None:
    rows = len(names)
    p50 = rng.uniform(1, 60, rows * LEADS).round(4)
    offsets = pa.array(np.arange(0, rows * LEADS + 1, LEADS), pa.int32())
    targets = pa.array([origin + lead * HOUR for lead in range(LEADS)] * rows, STAMP)
    levels = zip(QUANTILE_COLUMNS, (-1.0, 0.0, 1.0), strict=True)
    append(
        lake, "forecasts", rows, forecast_id=_ids(rows, int(origin.timestamp())), building_id=names, origin=origin,
        purpose="live", issued_at=origin + timedelta(minutes=5), target_hour=pa.ListArray.from_arrays(offsets, targets),
        warnings=[[]] * rows, created_at=datetime.now(UTC), **MODEL,
        **{name: pa.ListArray.from_arrays(offsets, pa.array(p50 + off)) for name, off in levels},
    )  # fmt: skip


def append(lake: Path, table: str, rows: int, **values: Any) -> None:
    """Append rows in one commit. A value of a column is for all rows or one per row; a column without a value is null."""
    declared = contract(table)
    columns = {
        column.name: _column(values.get(column.name), TYPES[column.physical_type], rows) for column in declared.columns
    }
    write_deltalake(
        str(lake / table), pa.table(columns), mode="append", partition_by=list(declared.partitioned_by) or None
    )


def commit_hourly(lake: Path, names: list[str], origin: datetime, seconds: float) -> None:
    """Commit one more hour every 10 seconds, as a pipeline with that trigger does."""
    end, pause = time.monotonic() + seconds, multiprocessing.Event()
    while time.monotonic() < end:
        start = time.monotonic()
        commit(lake, names, origin)
        origin += HOUR
        pause.wait(max(0.0, COMMIT_SECONDS - (time.monotonic() - start)))


def _ids(rows: int, number: int) -> list[str]:
    return [f"{row:016x}{number:016x}" for row in range(rows)]


def _column(value: Any, kind: pa.DataType, rows: int) -> pa.Array:
    if isinstance(value, list | np.ndarray | pa.Array):
        return pa.array(value, kind) if not isinstance(value, pa.Array) else value.cast(kind)
    return pa.array([value] * rows, kind)
