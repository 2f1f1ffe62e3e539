"""The records of devices in the last days, read from the Delta tables with Arrow: no Spark, and in bounded memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pyarrow.acero import AggregateNodeOptions, Declaration, FilterNodeOptions, ProjectNodeOptions, ScanNodeOptions

DAY = timedelta(hours=24)
LOOKBACK = timedelta(hours=48)  # the longest time over which a constant value is looked for
DEVICE = ["building_id", "device_id"]

Aggregate = tuple[str, str, None, str]  # column, Arrow's function, its options, name of the result


@dataclass(frozen=True)
class DeviceRecords:
    """`last_seen`: last_seen_at and last_measured_at by DEVICE. `accepted`: records of LOOKBACK, `rejected`: records of DAY, both
    in the order of their arrival. `interval_minutes` by building. `without_device`: rejected records that name no device."""

    last_seen: pd.DataFrame
    accepted: pd.DataFrame
    rejected: pd.DataFrame
    interval_minutes: Mapping[str, float]
    without_device: int


def device_records(
    received: ds.Dataset, buildings: ds.Dataset, *, at: datetime, building_id: str | None, heard_within_days: int
) -> DeviceRecords:
    """The records that arrived until `at`, of one building or of all."""
    is_selected = pc.scalar(True) if building_id is None else ds.field("building_id") == building_id
    arrived_at = ds.field("kafka_timestamp")
    has_arrived = is_selected & (arrived_at <= at)
    last_seen = _last_seen(received, has_arrived & (arrived_at > at - timedelta(days=heard_within_days)))
    accepted = received.to_table(
        [*DEVICE, "measured_at", "energy_usage_kwh", "kafka_timestamp", "kafka_offset"],
        filter=has_arrived & ds.field("accepted") & (arrived_at > at - LOOKBACK),
    )
    rejected = received.to_table(
        [*DEVICE, "rejected_for", "kafka_timestamp", "kafka_offset"],
        filter=has_arrived & ~ds.field("accepted") & (arrived_at > at - DAY),
    )
    without_device = pc.sum(pc.or_(rejected["building_id"].is_null(), rejected["device_id"].is_null())).as_py()
    metadata = buildings.to_table(["building_id", "reading_interval_minutes"], filter=is_selected).to_pandas()
    interval = metadata.set_index("building_id")["reading_interval_minutes"].astype(float).to_dict()
    return DeviceRecords(
        last_seen, _in_arrival_order(accepted), _in_arrival_order(rejected), interval, int(without_device or 0)
    )


def newest_arrival(received: ds.Dataset) -> datetime | None:
    """The arrival of the newest record; None while nothing has arrived."""
    newest = _aggregated(received, pc.scalar(True), [], [("kafka_timestamp", "max", None, "newest")], {})
    arrived_at: datetime | None = newest["newest"][0].as_py()
    return arrived_at


def _last_seen(received: ds.Dataset, condition: pc.Expression) -> pd.DataFrame:
    """By device, the arrival of its last record and the newest interval that it measured."""
    measured_at = pc.if_else(ds.field("accepted"), ds.field("measured_at"), pa.scalar(None, pa.timestamp("us", "UTC")))
    names_a_device = ds.field("building_id").is_valid() & ds.field("device_id").is_valid()
    aggregates: list[Aggregate] = [
        ("kafka_timestamp", "hash_max", None, "last_seen_at"),
        ("measured_at", "hash_max", None, "last_measured_at"),
    ]
    last_seen = _aggregated(received, condition & names_a_device, DEVICE, aggregates, {"measured_at": measured_at})
    by_device: pd.DataFrame = last_seen.to_pandas().set_index(DEVICE).sort_index()
    return by_device


def _aggregated(
    rows: ds.Dataset,
    condition: pc.Expression,
    keys: Sequence[str],
    aggregates: Sequence[Aggregate],
    computed: Mapping[str, pc.Expression],
) -> pa.Table:
    """Aggregate batch by batch, so that the rows need not fit into memory."""
    columns = {name: ds.field(name) for name in [*keys, "kafka_timestamp"]} | dict(computed)
    plan = [
        Declaration("scan", ScanNodeOptions(rows, filter=condition)),
        Declaration("filter", FilterNodeOptions(condition)),
        Declaration("project", ProjectNodeOptions(list(columns.values()), list(columns))),
        Declaration("aggregate", AggregateNodeOptions(list(aggregates), keys=list(keys))),
    ]
    return Declaration.from_sequence(plan).to_table()


def _in_arrival_order(rows: pa.Table) -> pd.DataFrame:
    """The records that name a device."""
    records: pd.DataFrame = rows.to_pandas().dropna(subset=DEVICE)
    return records.sort_values(["kafka_timestamp", "kafka_offset"])
