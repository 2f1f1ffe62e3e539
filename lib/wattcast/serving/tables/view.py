"""What one request reads: the lake as it was last read, of all buildings or of those that its API key may see."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from wattcast.serving.problems import Unavailable
from wattcast.serving.tables.columns import LATEST
from wattcast.serving.tables.latest_rows import LatestRows
from wattcast.serving.tables.pinned import PinnedTable
from wattcast.serving.tables.store import TableStore
from wattcast.serving.tables.visible import VisibleBuildings
from wattcast.settings import Settings


@dataclass(frozen=True)
class SnapshotState:
    """The lake as it was last read."""

    latest: dict[str, LatestRows] = field(default_factory=dict)
    metadata: dict[str, dict[str, Any]] = field(default_factory=dict)
    as_of: datetime | None = None  # arrival of the newest record
    as_of_committed_at: datetime | None = None
    read_at: datetime | None = None  # when all tables were last read without a problem

    @cached_property
    def building_ids(self) -> list[str]:
        """Every building with metadata, a current forecast or a reading, sorted."""
        forecasts = self.latest["forecasts"].index if "forecasts" in self.latest else {}
        devices = self.latest["devices"].index if "devices" in self.latest else {}
        return sorted({*self.metadata, *forecasts, *(building_id for building_id, _ in devices if building_id)})


@dataclass(frozen=True)
class LakeView:
    """The rows in memory and the tables; where `buildings` is set, only the rows of these buildings."""

    settings: Settings
    store: TableStore
    state: SnapshotState
    buildings: VisibleBuildings | None = None

    def has_building(self, building_id: str | None) -> bool:
        """Whether rows of a building are visible."""
        return self.buildings is None or building_id in self.buildings.ids

    def table(self, name: str) -> PinnedTable:
        """The published version of a table.

        Raises:
            Unavailable: no version was published yet.
        """
        table = self.store.table(name)
        return table.matching(self.buildings.condition(name)) if self.buildings else table

    def now(self) -> datetime:
        """The current time from which ages are computed: the machine's, or, with the arrival clock (a replay), the newest
        arrival plus the time since its commit."""
        machine, state = datetime.now(UTC), self.state
        if self.settings.forecasting.clock == "wall" or not state.as_of or not state.as_of_committed_at:
            return machine
        return state.as_of + max(machine - state.as_of_committed_at, timedelta(0))

    def age_seconds(self, time: datetime | None) -> int | None:
        return None if time is None else max(0, int((self.now() - time).total_seconds()))

    def is_stale(self, issued_at: datetime) -> bool:
        return self.now() - issued_at > timedelta(minutes=self.settings.serving.stale_after_minutes)

    def latest(self, name: str) -> LatestRows:
        """The latest rows of one of the specs in LATEST.

        Raises:
            Unavailable: their table has not been read.
        """
        if name not in self.state.latest:
            table = LATEST[name].table
            reason = self.store.problems.get(table)
            raise Unavailable(reason or f"The table {table} has not been read yet: try again in a few seconds.")
        return self.state.latest[name]

    def latest_or_none(self, name: str) -> LatestRows | None:
        return self.state.latest.get(name)
