"""What the API holds in memory of the lake, each part tied to a Delta version: one thread brings it up to date, and requests
never wait for that. What is held is bounded by the number of buildings, devices, alerts and measured subjects."""

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from wattcast.serving.feed import Event, Feed
from wattcast.serving.newest import Kept, Newest
from wattcast.serving.problems import Unavailable
from wattcast.serving.tables import Lake, Table, readable
from wattcast.settings import Settings

log = logging.getLogger("wattcast.serving")

LIVE = "live"
FORECAST_COLUMNS = (
    "forecast_id", "building_id", "origin", "issued_at", "created_at", "target_hour", "p10_kwh", "p50_kwh", "p90_kwh",
    "method", "model_name", "model_version", "warnings",
)  # fmt: skip
ALERT_COLUMNS = (
    "alert_id", "rule", "severity", "scope", "subject", "state", "started_at", "changed_at", "value", "threshold", "message",
)  # fmt: skip
HEALTH_COLUMNS = ("as_of", "measured_at", "measure", "scope", "subject", "value", "samples", "details")
METADATA_COLUMNS = ("building_id", "site", "timezone", "country", "building_type", "closures")
DEVICE_COLUMNS = ("building_id", "device_id", "kafka_timestamp", "measured_at", "kafka_partition", "kafka_offset")
MONTH = timedelta(days=30)
ALERTS_FOR = timedelta(days=365)  # how long an alert may be firing
PARTS = {
    "forecasts": Kept(
        "forecasts", ("building_id",), ("origin", "created_at"), FORECAST_COLUMNS, MONTH, ds.field("purpose") == LIVE
    ),
    "alerts": Kept("alerts", ("alert_id",), ("changed_at", "state"), ALERT_COLUMNS, ALERTS_FOR),
    # by when they were measured: in a replay some speak of the time of the readings and some of the machine's
    "health": Kept("health", ("measure", "scope", "subject"), ("measured_at", "as_of"), HEALTH_COLUMNS, MONTH),
    "devices": Kept(
        "received_readings", ("building_id", "device_id"), ("kafka_timestamp", "kafka_partition", "kafka_offset"),
        DEVICE_COLUMNS, MONTH, ds.field("accepted"),
    ),
}  # fmt: skip
TABLES = ("forecasts", "buildings", "alerts", "health", "received_readings", "hourly_usage", "forecast_scores")
ROWS_AT_ONCE = 500  # of what is new, so that requests have their turn in between
OVERDUE_SECONDS = 30  # of a look at all tables


@dataclass(frozen=True)
class State:
    """The lake as it was last read."""

    parts: dict[str, Newest] = field(default_factory=dict)
    metadata: dict[str, dict[str, Any]] = field(default_factory=dict)
    as_of: datetime | None = None
    heard_at: datetime | None = None  # when that was committed
    looked_at: datetime | None = None  # when all of it was last looked at without a problem

    @cached_property
    def building_ids(self) -> list[str]:
        """Every building with metadata, a current forecast or a reading, in order."""
        forecast = self.parts["forecasts"].index if "forecasts" in self.parts else {}
        heard = {key[0] for key in self.parts["devices"].index if key[0]} if "devices" in self.parts else set()
        return sorted({*self.metadata, *forecast, *heard})


class Snapshot:
    """The newest `State`, and whose thread keeps it so."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.lake, self.feed, self.state = settings, Lake(settings.lake_uri), Feed(), State()
        self._looked = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="snapshot", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=20)

    def refresh(self) -> None:
        """Look at every table once; what cannot be read stays as it was, and `lake.problems` says why."""
        before = self.state
        unread = [name for name in TABLES if not self._is_read(name)]
        if not unread:
            self.state = replace(self.state, looked_at=datetime.now(UTC))
        self.feed.publish(_events(before, self.state))
        self._looked = time.monotonic()

    @property
    def has_died(self) -> bool:
        """Whether the thread has ended of itself, by a fault that is in the log."""
        return self._thread.ident is not None and not self._thread.is_alive() and not self._stop.is_set()

    def overdue_seconds(self) -> float | None:
        """How long ago the last look ended, where another should have by now."""
        since = time.monotonic() - self._looked
        return since if since > OVERDUE_SECONDS + self.settings.serving.refresh_seconds else None

    def now(self) -> datetime:
        """The time by which ages are told: this machine's, or, where readings are replayed, that of their arrival and what has
        passed since the newest was written."""
        machine, state = datetime.now(UTC), self.state
        if self.settings.forecasting.clock == "wall" or not state.as_of or not state.heard_at:
            return machine
        return state.as_of + max(machine - state.heard_at, timedelta(0))

    def age_seconds(self, time: datetime | None) -> int | None:
        return None if time is None else max(0, int((self.now() - time).total_seconds()))

    def is_stale(self, issued_at: datetime) -> bool:
        return self.now() - issued_at > timedelta(minutes=self.settings.serving.stale_after_minutes)

    def part(self, name: str) -> Newest:
        """The newest rows of a table.

        Raises:
            Unavailable: it has not been read.
        """
        if name not in self.state.parts:
            table = PARTS[name].table
            raise Unavailable(
                self.lake.problems.get(table) or f"The table {table} has not been read yet: ask again soon."
            )
        return self.state.parts[name]

    def _follow(self) -> None:
        while not self._stop.is_set():
            self.refresh()
            self._stop.wait(self.settings.serving.refresh_seconds)

    def _is_read(self, name: str) -> bool:
        """Whether a table is at its newest version now, and all that is held of it; if not, `lake.problems` says why."""
        try:
            table = self.lake.look(name)
            with readable(name):
                self._take(table)
        except Unavailable as error:
            if self.lake.problems.get(name) != error.detail:
                log.warning("%s", error.detail)
            self.lake.failed(name, error.detail)
            return False
        self.lake.publish(table)
        return True

    def _take(self, table: Table) -> None:
        """Hold what is to be held of this version.

        Raises:
            Unavailable: some of it cannot be read; then all stays as it was.
        """
        before, known = self.state, self.lake.known(table.name)
        if table is known:
            return
        if known:
            table.check_since(known)
        kinds = {name: kept for name, kept in PARTS.items() if kept.table == table.name}
        parts = {name: kept.newest(table, before.parts.get(name)) for name, kept in kinds.items()}
        for part in parts.values():
            _ = part.index  # made here and not when a request first asks
        after = replace(before, parts=before.parts | parts)
        if table.name == "buildings":
            rows = table.rows(METADATA_COLUMNS).to_pylist()
            after = replace(after, metadata={row["building_id"]: row for row in rows})
        if table.name == "received_readings":
            as_of = table.newest("kafka_timestamp")
            if as_of != before.as_of:  # upkeep makes nothing younger
                after = replace(after, as_of=as_of, heard_at=table.written_at)
        self.state = after


def _events(before: State, after: State) -> Iterator[Event]:
    """What a reader should hear of: every new forecast and all of them in one, every change of an alert, the newest arrival."""
    made = list(_new(before, after, "forecasts", ("forecast_id",), ("building_id", "origin", "method")))
    for row in made:
        yield Event("forecast", row["building_id"], row)
    if made:
        yield Event("forecasts", None, {"forecasts": len(made), "origin": max(row["origin"] for row in made)})
    for row in _new(before, after, "alerts", ("alert_id", "changed_at", "state"), ALERT_COLUMNS):
        yield Event("alert", None, row)
    if after.as_of and after.as_of != before.as_of:
        yield Event("as_of", None, {"as_of": after.as_of})


def _new(
    before: State, after: State, part: str, by: tuple[str, ...], columns: tuple[str, ...]
) -> Iterator[dict[str, Any]]:
    """The rows of a part that were not there before, told by some columns."""
    was, now = before.parts.get(part), after.parts.get(part)
    if was is None or now is None or was is now:
        return
    is_known = pc.is_in(_keys(now.rows, by), value_set=_keys(was.rows, by))
    fresh = now.rows.select(list(columns)).filter(pc.invert(is_known))
    for some in fresh.to_batches(max_chunksize=ROWS_AT_ONCE):
        yield from some.to_pylist()


def _keys(rows: pa.Table, by: tuple[str, ...]) -> pa.ChunkedArray:
    """A text for each row that says what it is by some columns."""
    return pc.binary_join_element_wise(*(pc.cast(rows[name], pa.string()) for name in by), "\n")
