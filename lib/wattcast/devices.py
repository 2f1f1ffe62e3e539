"""What each device did of late, and what state that puts it in: read from the Delta tables without Spark."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pyarrow.acero import AggregateNodeOptions, Declaration, FilterNodeOptions, ProjectNodeOptions, ScanNodeOptions

from wattcast.alerts import alert_rules
from wattcast.tables import table
from wattcast.vitals import first_arrivals, noise, stuck_hours, with_ends

State = Literal["ok", "silent", "rejected", "stuck", "noisy", "late"]
STATES: tuple[State, ...] = ("silent", "rejected", "stuck", "noisy", "late", "ok")  # the first that holds is the state

DAY = timedelta(hours=24)
LOOKED_BACK = timedelta(hours=48)  # for values that do not change
DEVICE = ["building_id", "device_id"]


@dataclass(frozen=True)
class Limits:
    """Beyond which a device is not well: by default where the rules of conf/alerts.yaml raise an alert."""

    silent_minutes: float
    rejected_share: float
    stuck_hours: float
    noise: float
    late_share: float

    @classmethod
    def of_alerts(cls) -> Self:
        limits = {rule.name: rule.threshold for rule in alert_rules()}
        return cls(*(limits.get(f"meter_{state}", float("inf")) for state in STATES[:-1]))


@dataclass(frozen=True)
class Device:
    """A device at one time. `last_seen_at` is the arrival of its last record, accepted or not, `last_measured_at` the start of
    the newest interval that it measured. Counts, gaps and shares are of the last 24 hours by arrival; `stuck_hours` are its last
    hours with one and the same energy, 48 at most, and `noise` is that of `vitals.noise` over those 48. Null is what cannot be
    known as nothing was accepted."""

    device_id: str
    building_id: str
    last_seen_at: datetime
    last_measured_at: datetime | None
    readings_24h: int
    rejected_24h: int
    last_rejected_for: tuple[str, ...]
    late_share: float | None
    stuck_hours: float | None
    noise: float | None
    gaps_24h: int
    longest_gap_minutes: float | None
    state: State


@dataclass(frozen=True)
class Devices:
    """All devices that were heard, by building and name, and how many records of the last 24 hours name none."""

    as_of: datetime | None
    items: tuple[Device, ...]
    without_device_24h: int


def devices(
    lake_uri: str,
    *,
    as_of: datetime | None = None,
    building_id: str | None = None,
    grace_minutes: int = 5,
    heard_within_days: int = 30,
    limits: Limits | None = None,
) -> Devices:
    """The devices heard in the days before `as_of`, which is by default the newest arrival in the lake, of whatever building.

    A reading is late if it first arrived more than `grace_minutes` after the end of its interval. ValueError where the lake
    cannot be read.
    """
    received, buildings = (table(lake_uri, name) for name in ("received_readings", "buildings"))
    return devices_in(
        received, buildings, as_of=as_of, building_id=building_id, grace_minutes=grace_minutes,
        heard_within_days=heard_within_days, limits=limits,
    )  # fmt: skip


def devices_in(
    received: ds.Dataset,
    buildings: ds.Dataset,
    *,
    as_of: datetime | None = None,
    building_id: str | None = None,
    grace_minutes: int = 5,
    heard_within_days: int = 30,
    limits: Limits | None = None,
) -> Devices:
    """The same of tables that are open already."""
    is_meant = pc.scalar(True) if building_id is None else ds.field("building_id") == building_id
    at = as_of or _newest_arrival(received)
    if at is None:
        return Devices(None, (), 0)
    at = at.astimezone(UTC)
    arrived = ds.field("kafka_timestamp")
    known = is_meant & (arrived <= at)
    last = _last(received, known & (arrived > at - timedelta(days=heard_within_days)))
    detail = received.to_table(
        [*DEVICE, "measured_at", "energy_usage_kwh", "kafka_timestamp", "kafka_offset"],
        filter=known & ds.field("accepted") & (arrived > at - LOOKED_BACK),
    )
    rejected = received.to_table(
        [*DEVICE, "rejected_for", "kafka_timestamp", "kafka_offset"],
        filter=known & ~ds.field("accepted") & (arrived > at - DAY),
    )
    metadata = buildings.to_table(["building_id", "reading_interval_minutes"], filter=is_meant)
    found = _told(last, _frame(detail), _frame(rejected), metadata.to_pandas(), at, grace_minutes)
    nameless = int(pc.sum(pc.or_(rejected["building_id"].is_null(), rejected["device_id"].is_null())).as_py() or 0)
    return Devices(at, tuple(_devices(found, at, limits or Limits.of_alerts())), nameless)


def _newest_arrival(received: ds.Dataset) -> datetime | None:
    newest = _aggregated(received, pc.scalar(True), [], [("kafka_timestamp", "max", None, "newest")])
    value: datetime | None = newest["newest"][0].as_py()
    return value


def _last(received: ds.Dataset, wanted: pc.Expression) -> pd.DataFrame:
    """By device, when it was heard last, and the newest interval that it measured; made batch by batch, in bounded memory."""
    measured = pc.if_else(ds.field("accepted"), ds.field("measured_at"), pa.scalar(None, pa.timestamp("us", "UTC")))
    last = _aggregated(
        received, wanted & ds.field("building_id").is_valid() & ds.field("device_id").is_valid(), DEVICE,
        [("kafka_timestamp", "hash_max", None, "last_seen_at"), ("measured_at", "hash_max", None, "last_measured_at")],
        measured_at=measured,
    )  # fmt: skip
    by_device: pd.DataFrame = last.to_pandas().set_index(DEVICE).sort_index()
    return by_device


def _aggregated(
    rows: ds.Dataset, wanted: pc.Expression, keys: Sequence[str], aggregates: Sequence[tuple[str, str, None, str]],
    **made: pc.Expression,
) -> pa.Table:  # fmt: skip
    columns = {name: ds.field(name) for name in [*keys, "kafka_timestamp"]} | made
    plan = [
        Declaration("scan", ScanNodeOptions(rows, filter=wanted)),
        Declaration("filter", FilterNodeOptions(wanted)),
        Declaration("project", ProjectNodeOptions(list(columns.values()), list(columns))),
        Declaration("aggregate", AggregateNodeOptions(list(aggregates), keys=list(keys))),
    ]
    return Declaration.from_sequence(plan).to_table()


def _frame(rows: pa.Table) -> pd.DataFrame:
    """Records of devices in the order of their arrival."""
    known: pd.DataFrame = rows.to_pandas().dropna(subset=DEVICE)
    return known.sort_values(["kafka_timestamp", "kafka_offset"])


def _told(
    last: pd.DataFrame, detail: pd.DataFrame, rejected: pd.DataFrame, buildings: pd.DataFrame, at: datetime, grace: int
) -> pd.DataFrame:
    """`last` with all else that is told of a device."""
    declared = buildings.set_index("building_id")["reading_interval_minutes"].astype(float).to_dict()
    detail = with_ends(detail.assign(interval_minutes=detail["building_id"].map(declared)), DEVICE)
    first = first_arrivals(detail, DEVICE, after=at - DAY, grace_minutes=grace)
    newest = detail.drop_duplicates([*DEVICE, "measured_at"], keep="last").sort_values([*DEVICE, "measured_at"])
    newest["missing"] = newest.groupby(DEVICE)["measured_at"].diff().dt.total_seconds() / 60 - newest.minutes
    gaps = newest[(newest.missing > 0) & (newest.kafka_timestamp > at - DAY)].groupby(DEVICE)["missing"]
    refused = rejected.groupby(DEVICE)
    return last.assign(
        readings_24h=detail[detail.kafka_timestamp > at - DAY].groupby(DEVICE).size(),
        rejected_24h=refused.size(),
        last_rejected_for=refused["rejected_for"].last(),
        late_share=first.groupby(DEVICE)["is_late"].mean(),
        stuck_hours=stuck_hours(newest, DEVICE),
        noise=noise(newest, DEVICE),
        gaps_24h=gaps.size(),
        longest_gap_minutes=gaps.max(),
    )


def _devices(told: pd.DataFrame, at: datetime, limits: Limits) -> Iterator[Device]:
    counts = ["readings_24h", "rejected_24h", "gaps_24h"]
    told[counts] = told[counts].fillna(0).astype(int)
    silent_minutes = (at - told.last_seen_at).dt.total_seconds() / 60
    share = told.rejected_24h / (told.readings_24h + told.rejected_24h).where(lambda total: total > 0, 1)
    holds = [
        silent_minutes > limits.silent_minutes,
        share > limits.rejected_share,
        told.stuck_hours > limits.stuck_hours,
        told.noise > limits.noise,
        told.late_share > limits.late_share,
    ]
    told["state"] = np.select([each.to_numpy(bool) for each in holds], list(STATES[:-1]), STATES[-1])
    for (building_id, device_id), row in zip(told.index, told.to_dict("records"), strict=True):
        rules = row.pop("last_rejected_for")
        known = {str(name): _plain(value) for name, value in row.items()}
        yield Device(
            building_id=building_id, device_id=device_id,
            last_rejected_for=() if isinstance(rules, float) else tuple(rules), **known,
        )  # fmt: skip


def _plain(value: Any) -> Any:
    """As Python has it; None for what is missing."""
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    return None if value is pd.NaT or (isinstance(value, float) and np.isnan(value)) else value
