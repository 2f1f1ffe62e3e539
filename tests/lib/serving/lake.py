"""A lake without Spark: every table with the columns of its contract, written by delta-rs, reproducible by seed.

The buildings differ: the first has a rejected reading per day, the forecasts of the second use a fallback, the third has a stuck
meter, and the last has been silent for five hours.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from deltalake import write_deltalake
from tests.lib.serving.lake_monitoring import alert_rows, health_rows
from tests.lib.serving.lake_rows import (
    LEADS,
    MODEL,
    building_rows,
    forecast_rows,
    hourly_rows,
    received_rows,
    row_id,
    score_rows,
    usage_kwh,
    weather_rows,
)

from wattcast.contracts import contract

END = datetime(2026, 3, 15, tzinfo=UTC)
TYPES = {
    "STRING": pa.string(), "TIMESTAMP": pa.timestamp("us", "UTC"), "DOUBLE": pa.float64(), "INT": pa.int32(),
    "BIGINT": pa.int64(), "BOOLEAN": pa.bool_(), "BINARY": pa.binary(), "ARRAY<STRING>": pa.list_(pa.string()),
    "ARRAY<DOUBLE>": pa.list_(pa.float64()), "ARRAY<TIMESTAMP>": pa.list_(pa.timestamp("us", "UTC")),
}  # fmt: skip


def schema(table: str) -> pa.Schema:
    """The columns of a contract as Arrow types."""
    columns = contract(table).columns
    return pa.schema([pa.field(column.name, TYPES[column.physical_type], not column.required) for column in columns])


def append(folder: Path, table: str, rows: pd.DataFrame | list[dict[str, Any]]) -> None:
    """One commit to a table, which is created if it does not exist; a column that is missing in `rows` is null."""
    table_schema = schema(table)
    if isinstance(rows, list):
        data = pa.Table.from_pylist(rows, schema=table_schema)
    else:
        data = pa.Table.from_pandas(rows.reindex(columns=table_schema.names), schema=table_schema, preserve_index=False)
    only_append = contract(table).properties.get("appendOnly", True)
    write_deltalake(
        str(folder / table), data, mode="append", partition_by=list(contract(table).partitioned_by) or None,
        configuration={"delta.appendOnly": "true"} if only_append else None,
    )  # fmt: skip


def write_lake(
    folder: Path,
    *,
    buildings: int = 5,
    days: int = 14,
    seed: int = 0,
    end: datetime = END,
    origins_every_hours: int = 1,
    names: list[str] | None = None,
) -> list[str]:
    """All tables of `buildings` over `days` until `end`; the ids of the buildings."""
    rng = np.random.default_rng(seed)
    names = names or [f"building-{number:0{len(str(buildings - 1))}d}" for number in range(buildings)]
    buildings = len(names)
    hours = days * 24
    start = end - timedelta(hours=hours)
    usage = usage_kwh(rng, buildings, hours + LEADS, start)
    append(folder, "buildings", building_rows(names))
    append(folder, "hourly_usage", hourly_rows(names, usage[:, :hours], start, end))
    forecasts = forecast_rows(rng, names, usage, start, hours, origins_every_hours)
    append(folder, "forecasts", forecasts)
    append(folder, "forecast_scores", score_rows(forecasts, usage, names, start, hours))
    append(folder, "received_readings", received_rows(names, usage[:, :hours], start, end))
    append(folder, "received_weather_forecasts", weather_rows(start, hours + LEADS))
    append(folder, "health", health_rows(rng, names, end, days))
    append(folder, "alerts", alert_rows(names, end))
    return names


def forecasts_of(names: list[str], origin: datetime, *, kwh: float = 10.0) -> pd.DataFrame:
    """A live forecast of each building from `origin`, flat at `kwh`: what a batch of the pipeline appends."""
    targets = list(pd.date_range(origin, periods=LEADS, freq="h"))
    row = {
        "origin": origin, "purpose": "live", "issued_at": origin + timedelta(minutes=6), "target_hour": targets,
        "p10_kwh": [kwh - 1] * LEADS, "p50_kwh": [kwh] * LEADS, "p90_kwh": [kwh + 1] * LEADS, "method": "model",
        "model_name": MODEL[0], "model_version": MODEL[1], "warnings": [], "created_at": origin + timedelta(minutes=7),
    }  # fmt: skip
    return pd.DataFrame([row | {"building_id": name, "forecast_id": row_id(name, origin)} for name in names])
