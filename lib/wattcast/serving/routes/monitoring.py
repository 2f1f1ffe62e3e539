"""What the monitor wrote: measurements and alerts."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from wattcast.serving.queries.measurements import HEALTH_ORDER, is_measurement, latest_measurements, measurements
from wattcast.serving.queries.selection import Order
from wattcast.serving.responses.cursors import decode_cursor
from wattcast.serving.responses.negotiated import ANY_FORMAT, list_response
from wattcast.serving.routes.dependencies import Lake, Name, Paging, Range, latest_of_range, next_cursor_of
from wattcast.serving.schemas.base import Page
from wattcast.serving.schemas.quality import Alert, Health

router = APIRouter(tags=["quality"])
HEALTH_DAYS = 30
ALERT_ORDER: Order = (("changed_at", datetime), ("alert_id", str))


@dataclass(frozen=True)
class MeasurementFilter:
    """Which measurements are listed."""

    measure: Name = None
    scope: Name = None
    subject: Name = None


@dataclass(frozen=True)
class Sampling:
    """By which clock the range is taken, and how many of its measurements are listed."""

    clock: Annotated[
        Literal["as_of", "measured_at"],
        Query(description="The clock of from and to: that of the readings, or that of the machine that measured"),
    ] = "as_of"
    latest: Annotated[bool, Query(description="Only the latest of each measure and subject")] = False
    every: Annotated[
        int | None,
        Query(ge=1, le=44_640, description="In minutes: only the newest of each measure and subject in each such span"),
    ] = None


@router.get(
    "/v1/health", response_model=Page[Health], responses=ANY_FORMAT, summary="Measurements of data and platform"
)
def health(
    request: Request,
    lake: Lake,
    subject: Annotated[MeasurementFilter, Depends()],
    sampling: Annotated[Sampling, Depends()],
    period: Range,
    paging: Paging,
) -> Response:
    """Of the last 30 days, or between `from` and `to`, newest first. `latest` covers all time unless a range is given: in a
    replay the progress of queries is later than the readings, which the other measures follow."""
    limit, values = paging.rows(lake), asdict(subject)
    types = [kind for _, kind in HEALTH_ORDER]
    after: list[Any] | None = decode_cursor("health", paging.cursor, types) if paging.cursor else None
    now = lake.now() if sampling.clock == "as_of" else datetime.now(UTC)
    start, end = period.resolve(lake, latest=latest_of_range(lake, now), days=HEALTH_DAYS)
    if sampling.latest:
        condition = is_measurement(start if period.has_bounds else None, end, values, sampling.clock)
        rows = latest_measurements(lake, condition, limit=limit + 1, after=after)
    else:
        condition = is_measurement(start, end, values, sampling.clock)
        every = timedelta(minutes=sampling.every) if sampling.every else None
        rows = measurements(lake, condition, limit=limit + 1, after=after, every=every)
    next_cursor = next_cursor_of("health", rows, limit, HEALTH_ORDER)
    return list_response(request, rows[:limit], Health, format_parameter=paging.form, next_cursor=next_cursor)


@router.get(
    "/v1/alerts", response_model=Page[Alert], responses=ANY_FORMAT, summary="Alerts that are firing or resolved"
)
def alerts(
    request: Request,
    lake: Lake,
    paging: Paging,
    state: Annotated[Literal["firing", "resolved", "all"], Query()] = "firing",
    subject: Name = None,
    severity: Name = None,
) -> Response:
    limit = paging.rows(lake)
    criteria = {"state": None if state == "all" else state, "subject": subject, "severity": severity}
    values = {name: value for name, value in criteria.items() if value is not None}
    rows = [row for row in lake.latest("alerts").all if all(row[name] == value for name, value in values.items())]
    rows = sorted(rows, key=lambda row: row["alert_id"])
    rows = sorted(rows, key=lambda row: row["changed_at"], reverse=True)
    if paging.cursor:
        at, alert_id = decode_cursor("alerts", paging.cursor, [datetime, str])
        rows = [
            row for row in rows if row["changed_at"] < at or (row["changed_at"] == at and row["alert_id"] > alert_id)
        ]
    next_cursor = next_cursor_of("alerts", rows, limit, ALERT_ORDER)
    return list_response(request, rows[:limit], Alert, format_parameter=paging.form, next_cursor=next_cursor)
