"""The part of the lake that the API holds in memory, tied to Delta versions. One thread keeps it current, and requests never wait
for that thread. Its size is bounded by the number of buildings, devices, alerts and measured subjects."""

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from wattcast.serving.events import Event, EventFeed
from wattcast.serving.problems import Unavailable
from wattcast.serving.tables.columns import ALERT_COLUMNS, LATEST, METADATA_COLUMNS, TABLES
from wattcast.serving.tables.pinned import PinnedTable, readable
from wattcast.serving.tables.store import TableStore
from wattcast.serving.tables.view import LakeView, SnapshotState
from wattcast.settings import Settings

log = logging.getLogger("wattcast.serving")

EVENT_BATCH_ROWS = 500  # converted to Python at a time, so that requests get the interpreter in between
OVERDUE_SECONDS = 30  # for one refresh of all tables
STOP_SECONDS = 20


class Snapshot:
    """The newest `SnapshotState`, and the thread that refreshes it."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.tables = settings, TableStore(settings.lake_uri)
        self.events, self.state = EventFeed(), SnapshotState()
        self._refreshed_at = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="snapshot", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=STOP_SECONDS)

    def refresh(self) -> None:
        """Read every table once. A table that cannot be read keeps its last state, and `tables.problems` has the reason."""
        previous = self.state
        unreadable = [name for name in TABLES if not self._refresh_table(name)]
        if _has_removed_rows(previous, self.state):
            self.events.clear()
        if not unreadable:
            self.state = replace(self.state, read_at=datetime.now(UTC))
        self.events.publish(_new_events(previous, self.state))
        self._refreshed_at = time.monotonic()

    @property
    def has_died(self) -> bool:
        """Whether the thread ended although nobody stopped it; the log has the error."""
        return self._thread.ident is not None and not self._thread.is_alive() and not self._stop.is_set()

    def overdue_seconds(self) -> float | None:
        """The seconds since the last refresh if the next one should have ended by now, else None."""
        elapsed = time.monotonic() - self._refreshed_at
        return elapsed if elapsed > OVERDUE_SECONDS + self.settings.serving.refresh_seconds else None

    @property
    def view(self) -> LakeView:
        """All buildings as they were last read."""
        return LakeView(self.settings, self.tables, self.state)

    def _run(self) -> None:
        while not self._stop.is_set():
            self.refresh()
            self._stop.wait(self.settings.serving.refresh_seconds)

    def _refresh_table(self, name: str) -> bool:
        """Whether the table, and the state that is derived from it, is now at the newest version."""
        try:
            table = self.tables.open_latest(name)
            with readable(name):
                self._update_state(table)
        except Unavailable as error:
            if self.tables.problems.get(name) != error.detail:
                log.warning("%s", error.detail)
            self.tables.mark_unreadable(name, error.detail)
            return False
        self.tables.publish(table)
        return True

    def _update_state(self, table: PinnedTable) -> None:
        """Derive the state from this version.

        Raises:
            Unavailable: a part of it cannot be read; the state stays as it was.
        """
        previous, published = self.state, self.tables.published(table.name)
        if table is published:
            return
        if published:
            table.check_files_since(published)
        specs = {name: spec for name, spec in LATEST.items() if spec.table == table.name}
        latest = {name: spec.latest(table, previous.latest.get(name)) for name, spec in specs.items()}
        for rows in latest.values():
            _ = rows.index  # computed by this thread, so that no request waits for it
        state = replace(previous, latest=previous.latest | latest)
        if table.name == "buildings":
            metadata = table.rows(METADATA_COLUMNS).to_pylist()
            state = replace(state, metadata={row["building_id"]: row for row in metadata})
        if table.name == "received_readings":
            as_of = table.latest_time("kafka_timestamp")
            if as_of != previous.as_of:  # a commit of maintenance adds no records and must not change their age
                state = replace(state, as_of=as_of, as_of_committed_at=table.written_at)
        self.state = state


def _has_removed_rows(previous: SnapshotState, state: SnapshotState) -> bool:
    """Whether rows of which there are events were removed from a table."""
    pairs = [(previous.latest.get(name), state.latest.get(name)) for name in ("forecasts", "alerts")]
    return any(before and after and before.table.lineage != after.table.lineage for before, after in pairs)


def _new_events(previous: SnapshotState, state: SnapshotState) -> Iterator[Event]:
    """Every new forecast and one event for all of them, every change of an alert, and the newest arrival."""
    forecasts = list(_new_rows(previous, state, "forecasts", ("forecast_id",), ("building_id", "origin", "method")))
    for row in forecasts:
        yield Event("forecast", row["building_id"], row)
    if forecasts:
        data = {"forecasts": len(forecasts), "origin": max(row["origin"] for row in forecasts)}
        yield Event("forecasts", None, data)
    for row in _new_rows(previous, state, "alerts", ("alert_id", "changed_at", "state"), ALERT_COLUMNS):
        yield Event("alert", None, row)
    if state.as_of and state.as_of != previous.as_of:
        yield Event("as_of", None, {"as_of": state.as_of})


def _new_rows(
    previous: SnapshotState, state: SnapshotState, name: str, key: tuple[str, ...], columns: tuple[str, ...]
) -> Iterator[dict[str, Any]]:
    """The latest rows whose key was not among the latest rows before."""
    before, after = previous.latest.get(name), state.latest.get(name)
    if before is None or after is None or before is after:
        return
    is_old = pc.is_in(_key_texts(after.rows, key), value_set=_key_texts(before.rows, key))
    new = after.rows.select(list(columns)).filter(pc.invert(is_old))
    for batch in new.to_batches(max_chunksize=EVENT_BATCH_ROWS):
        yield from batch.to_pylist()


def _key_texts(rows: pa.Table, key: tuple[str, ...]) -> pa.ChunkedArray:
    """The key of each row as one text."""
    return pc.binary_join_element_wise(*(pc.cast(rows[name], pa.string()) for name in key), "\n")
