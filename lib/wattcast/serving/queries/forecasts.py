"""Forecasts as response rows: the current ones from memory, past ones from the table."""

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from wattcast.forecast.quantiles import QUANTILE_COLUMNS
from wattcast.serving.problems import Problem
from wattcast.serving.responses.encodings import to_json
from wattcast.serving.tables.columns import FORECAST_COLUMNS, LIVE
from wattcast.serving.tables.latest_rows import LatestRows
from wattcast.serving.tables.snapshot import Snapshot
from wattcast.serving.tables.view import LakeView
from wattcast.times import HOUR

SEARCH_BACK = timedelta(days=7)


class CurrentForecasts:
    """The current forecasts as JSON, encoded at the first request and reused until a newer forecast arrives."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._latest: LatestRows | None = None
        self._encoded: dict[str, tuple[bytes, dict[str, Any]]] = {}

    def json(self, lake: LakeView, building_id: str) -> tuple[bytes, object]:
        """The JSON of a building's forecast with its age, and the value that its ETag is made from.

        Raises:
            Problem: the building or its forecast does not exist; Unavailable if the table was never read.
        """
        if building_id not in lake.latest("forecasts").index:
            raise not_found(lake, building_id)
        latest = self._snapshot.view.latest("forecasts")
        if latest is not self._latest:
            self._latest, self._encoded = latest, {}
        if building_id not in self._encoded:
            row = latest.get(building_id)
            if row is None:
                raise not_found(lake, building_id)
            self._encoded[building_id] = (to_json(_forecast(row))[:-1], row)
        encoded, row = self._encoded[building_id]
        age, is_stale = _age_seconds(lake, row), lake.is_stale(row["issued_at"])
        end = f',"age_seconds":{json.dumps(age)},"is_stale":{json.dumps(is_stale)}}}'.encode()
        return encoded + end, (row["forecast_id"], is_stale)


def not_found(lake: LakeView, building_id: str) -> Problem:
    """The problem of a building without a current forecast, or of an unknown building."""
    if building_id in lake.state.building_ids:
        return Problem(404, f"The building {building_id} has no forecast from the last 30 days.")
    return Problem(404, f"There is no building {building_id}.")


def with_age(lake: LakeView, row: dict[str, Any]) -> dict[str, Any]:
    """A row of `forecasts` as a response, with its age."""
    age = {"age_seconds": _age_seconds(lake, row), "is_stale": lake.is_stale(row["issued_at"])}
    return _forecast(row) | age


def row_per_hour(forecasts: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Forecasts as one row per hour, for CSV and Arrow."""
    return [
        {name: value for name, value in forecast.items() if name != "hours"} | hour
        for forecast in forecasts
        for hour in forecast["hours"]
    ]


def forecast_issued_by(lake: LakeView, building_id: str, at: datetime) -> dict[str, Any]:
    """The newest live forecast of a building that was issued at or before a time.

    Raises:
        Problem: no forecast was issued in the seven days before.
    """
    origin = ds.field("origin")
    condition = (
        (ds.field("building_id") == building_id) & (ds.field("purpose") == LIVE) & (ds.field("issued_at") <= pa.scalar(at))
        & (origin >= pa.scalar(at - SEARCH_BACK)) & (origin <= pa.scalar(at + HOUR))
    )  # fmt: skip
    rows = lake.table("forecasts").rows(FORECAST_COLUMNS, condition)
    if not rows.num_rows:
        if building_id not in lake.state.building_ids:
            raise not_found(lake, building_id)
        raise Problem(404, f"No forecast of {building_id} was issued in the seven days before that time.")
    newest_first = rows.sort_by([("origin", "descending"), ("created_at", "descending")])
    row: dict[str, Any] = newest_first.slice(0, 1).to_pylist()[0]
    return row


def _age_seconds(lake: LakeView, row: dict[str, Any]) -> int | None:
    return lake.age_seconds(row["issued_at"])


def _forecast(row: dict[str, Any]) -> dict[str, Any]:
    """A row of `forecasts` with its hours as objects."""
    header = {name: value for name, value in row.items() if name not in (*QUANTILE_COLUMNS, "target_hour", "purpose")}
    return header | {"hours": list(_hours(row))}


def _hours(row: dict[str, Any]) -> Iterable[dict[str, Any]]:
    columns = (row["target_hour"], *(row[level] for level in QUANTILE_COLUMNS))
    for lead, (hour, *levels) in enumerate(zip(*columns, strict=True), start=1):
        yield {"target_hour": hour, "lead_hours": lead, **dict(zip(QUANTILE_COLUMNS, levels, strict=True))}
