"""Forecasts as answers: the current ones from memory, those of the past from the table."""

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from wattcast.serving.formats import as_json
from wattcast.serving.newest import Newest
from wattcast.serving.problems import Problem
from wattcast.serving.snapshot import FORECAST_COLUMNS, LIVE, Snapshot

LEVELS = ("p10_kwh", "p50_kwh", "p90_kwh")
SEARCHED_BACK = timedelta(days=7)


class Current:
    """The current forecasts as prepared JSON, made when one is first asked for and kept until another takes its place."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._of: Newest | None = None
        self._made: dict[str, tuple[bytes, dict[str, Any]]] = {}

    def __call__(self, building_id: str) -> tuple[bytes, object]:
        """The body and what its ETag is made from.

        Raises:
            Problem: there is no such building, or no forecast of it; Unavailable where the table was never read.
        """
        newest = self._snapshot.part("forecasts")
        if newest is not self._of:
            self._of, self._made = newest, {}
        if building_id not in self._made:
            row = newest.item(building_id)
            if row is None:
                raise missing(self._snapshot, building_id)
            self._made[building_id] = (as_json(forecast(row))[:-1], row)
        made, row = self._made[building_id]
        age, is_stale = aged(self._snapshot, row)
        end = f',"age_seconds":{json.dumps(age)},"is_stale":{json.dumps(is_stale)}}}'.encode()
        return made + end, (row["forecast_id"], is_stale)


def missing(snapshot: Snapshot, building_id: str) -> Problem:
    if building_id in snapshot.state.building_ids:
        return Problem(404, f"The building {building_id} has no forecast of the last 30 days.")
    return Problem(404, f"There is no building {building_id}.")


def aged(snapshot: Snapshot, row: dict[str, Any]) -> tuple[int | None, bool]:
    return snapshot.age_seconds(row["issued_at"]), snapshot.is_stale(row["issued_at"])


def whole(snapshot: Snapshot, row: dict[str, Any]) -> dict[str, Any]:
    """A forecast with its age."""
    age, is_stale = aged(snapshot, row)
    return forecast(row) | {"age_seconds": age, "is_stale": is_stale}


def forecast(row: dict[str, Any]) -> dict[str, Any]:
    """A row of `forecasts` with its hours as objects."""
    about = {name: value for name, value in row.items() if name not in (*LEVELS, "target_hour", "purpose")}
    return about | {"hours": list(_hours(row))}


def flat(found: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row per hour of forecasts."""
    return [
        {name: value for name, value in each.items() if name != "hours"} | hour
        for each in found
        for hour in each["hours"]
    ]


def issued_by(snapshot: Snapshot, building_id: str, at: datetime) -> dict[str, Any]:
    """The newest live forecast of a building that had been issued by a time.

    Raises:
        Problem: there is none.
    """
    table, origin = snapshot.lake.table("forecasts"), ds.field("origin")
    wanted = (
        (ds.field("building_id") == building_id) & (ds.field("purpose") == LIVE) & (ds.field("issued_at") <= pa.scalar(at))
        & (origin >= pa.scalar(at - SEARCHED_BACK)) & (origin <= pa.scalar(at + timedelta(hours=1)))
    )  # fmt: skip
    rows = table.rows(FORECAST_COLUMNS, wanted)
    if not rows.num_rows:
        if building_id not in snapshot.state.building_ids:
            raise missing(snapshot, building_id)
        raise Problem(404, f"No forecast of {building_id} had been issued in the seven days before that time.")
    row: dict[str, Any] = (
        rows.sort_by([("origin", "descending"), ("created_at", "descending")]).slice(0, 1).to_pylist()[0]
    )
    return row


def _hours(row: dict[str, Any]) -> Iterable[dict[str, Any]]:
    columns = (row["target_hour"], *(row[level] for level in LEVELS))
    for lead, (hour, *levels) in enumerate(zip(*columns, strict=True), start=1):
        yield {"target_hour": hour, "lead_hours": lead, **dict(zip(LEVELS, levels, strict=True))}
