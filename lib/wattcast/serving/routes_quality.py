"""Quality: devices, rejected records, measurements, alerts."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from wattcast.serving import cursors, queries
from wattcast.serving.asked import Cursor, From, Lake, Limit, Name, Server, To, page_rows
from wattcast.serving.formats import IN_ANY_FORMAT, Asked, items
from wattcast.serving.schemas import Alert, Device, Health, Page, Rejected, RejectedByRule
from wattcast.serving.snapshot import HEALTH_COLUMNS

router = APIRouter(tags=["quality"])


@router.get(
    "/v1/devices",
    response_model=Page[Device],
    responses=IN_ANY_FORMAT,
    summary="Meters and sensors: last seen, last rejected, and why",
)
def devices(
    request: Request,
    server: Server,
    building_id: Name = None,
    state: Annotated[Literal["ok", "silent", "stuck", "late", "rejected"] | None, Query()] = None,
    limit: Limit = None,
    cursor: Cursor = None,
    form: Asked = None,
) -> Response:
    rows = page_rows(limit, server.snapshot)
    found = [
        row for row in server.devices() if building_id in (None, row["building_id"]) and state in (None, row["state"])
    ]
    if cursor:
        after = tuple(cursors.read("devices", cursor, [str, str]))
        found = [row for row in found if (row["device_id"], row["building_id"] or "") > after]
    last = found[rows - 1] if len(found) > rows else None
    following = cursors.written("devices", [last["device_id"], last["building_id"] or ""]) if last else None
    return items(request, found[:rows], Device, asked=form, next_cursor=following)


@router.get(
    "/v1/rejected",
    response_model=Page[Rejected],
    responses=IN_ANY_FORMAT,
    summary="Rejected readings, with every rule that they broke",
)
def rejected(
    request: Request,
    lake: Lake,
    building_id: Name = None,
    device_id: Name = None,
    rule: Name = None,
    start: From = None,
    end: To = None,
    limit: Limit = None,
    cursor: Cursor = None,
    form: Asked = None,
) -> Response:
    """Of the last 30 days, or those that arrived between `from` and `to`, the newest first."""
    rows = page_rows(limit, lake)
    first, last = _range(lake, start, end)
    after = cursors.read("rejected", cursor, [kind for _, kind in queries.REJECTED_ORDER]) if cursor else None
    wanted = {"building_id": building_id, "device_id": device_id}
    found = queries.rejected(lake, first, last, wanted, rule, limit=rows + 1, after=after)
    following = _cursor("rejected", found, rows, queries.REJECTED_ORDER)
    return items(request, found[:rows], Rejected, asked=form, next_cursor=following)


@router.get(
    "/v1/rejected/summary",
    response_model=Page[RejectedByRule],
    responses=IN_ANY_FORMAT,
    summary="How many records broke which rule",
)
def rejected_summary(request: Request, lake: Lake, start: From = None, end: To = None, form: Asked = None) -> Response:
    return items(request, queries.rejected_by_rule(lake, *_range(lake, start, end)), RejectedByRule, asked=form)


@router.get(
    "/v1/health", response_model=Page[Health], responses=IN_ANY_FORMAT, summary="What was measured of the platform"
)
def health(
    request: Request,
    lake: Lake,
    measure: Name = None,
    scope: Name = None,
    subject: Name = None,
    start: From = None,
    end: To = None,
    latest: Annotated[bool, Query(description="Only the newest of each measure and subject")] = False,
    limit: Limit = None,
    cursor: Cursor = None,
    form: Asked = None,
) -> Response:
    """Of the last 30 days, or of the time between `from` and `to`, the newest first."""
    rows, order = page_rows(limit, lake), queries.HEALTH_ORDER
    first, last = _range(lake, start, end)
    after = cursors.read("health", cursor, [kind for _, kind in order]) if cursor else None
    wanted = {"measure": measure, "scope": scope, "subject": subject}
    if latest:
        found = _latest(lake, first, last, wanted, after)[: rows + 1]
    else:
        found = queries.health(lake, first, last, wanted, limit=rows + 1, after=after)
    return items(request, found[:rows], Health, asked=form, next_cursor=_cursor("health", found, rows, order))


@router.get(
    "/v1/alerts", response_model=Page[Alert], responses=IN_ANY_FORMAT, summary="Alerts that are firing, or were"
)
def alerts(
    request: Request,
    lake: Lake,
    state: Annotated[Literal["firing", "resolved", "all"], Query()] = "firing",
    subject: Name = None,
    limit: Limit = None,
    cursor: Cursor = None,
    form: Asked = None,
) -> Response:
    rows = page_rows(limit, lake)
    found = [
        row for row in lake.part("alerts").items if state in ("all", row["state"]) and subject in (None, row["subject"])
    ]
    found = sorted(found, key=lambda row: row["alert_id"])
    found = sorted(found, key=lambda row: row["changed_at"], reverse=True)
    if cursor:
        at, alert_id = cursors.read("alerts", cursor, [datetime, str])
        found = [
            row for row in found if row["changed_at"] < at or (row["changed_at"] == at and row["alert_id"] > alert_id)
        ]
    following = _cursor("alerts", found, rows, (("changed_at", datetime), ("alert_id", str)))
    return items(request, found[:rows], Alert, asked=form, next_cursor=following)


def _latest(
    lake: Lake, first: datetime, last: datetime, wanted: dict[str, str | None], after: list[object] | None
) -> list[dict[str, object]]:
    """The newest of each measure and subject, in the order of pages."""
    condition = queries.measured(first, last, wanted)
    if after:
        condition = condition & queries.behind(queries.HEALTH_ORDER, after)
    rows = lake.part("health").rows.select(list(HEALTH_COLUMNS)).filter(condition)
    ordered = rows.sort_by(
        [("as_of", "descending"), ("measure", "ascending"), ("scope", "ascending"), ("subject", "ascending")]
    )
    found: list[dict[str, object]] = ordered.slice(0, lake.settings.serving.max_page_rows + 1).to_pylist()
    return found


def _range(lake: Lake, start: datetime | None, end: datetime | None) -> tuple[datetime, datetime]:
    newest = max(lake.now(), lake.state.as_of or lake.now()) + queries.HOUR
    return queries.time_range(start, end, newest=newest, days=30, most=lake.settings.serving.max_history_days)


def _cursor(kind: str, found: list[dict[str, object]], rows: int, order: queries.Order) -> str | None:
    return cursors.written(kind, [found[rows - 1][name] for name, _ in order]) if len(found) > rows else None
