"""Data quality: devices and rejected readings."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from wattcast.serving.queries.rejected import REJECTED_ORDER, rejected_by_rule
from wattcast.serving.queries.rejected import rejected as rejected_rows
from wattcast.serving.responses.cursors import decode_cursor, encode_cursor
from wattcast.serving.responses.negotiated import ANY_FORMAT, FormatParameter, list_response
from wattcast.serving.routes.dependencies import Key, Lake, Name, Paging, Range, State, latest_of_range, next_cursor_of
from wattcast.serving.schemas.base import Page
from wattcast.serving.schemas.quality import Device, Rejected, RejectedByRule
from wattcast.serving.security.audit import log_payload_read

router = APIRouter(tags=["quality"])
REJECTED_DAYS = 30


@dataclass(frozen=True)
class RejectedFilter:
    """Whose rejected readings are listed."""

    building_id: Name = None
    device_id: Name = None


@router.get(
    "/v1/devices",
    response_model=Page[Device],
    responses=ANY_FORMAT,
    summary="Meters and sensors: state, last record, last rejection and its reasons",
)
def devices(
    request: Request,
    state: State,
    lake: Lake,
    paging: Paging,
    building_id: Name = None,
    device_state: Annotated[
        Literal["ok", "silent", "stuck", "noisy", "late", "rejected"] | None, Query(alias="state")
    ] = None,
) -> Response:
    """By the same rules as `wattcast devices`, computed at most every 30 seconds. Counts, gaps and shares cover 24 hours."""
    limit = paging.rows(lake)
    rows = [
        row
        for row in state.devices()
        if lake.has_building(row["building_id"])
        and building_id in (None, row["building_id"])
        and device_state in (None, row["state"])
    ]
    if paging.cursor:
        after = tuple(decode_cursor("devices", paging.cursor, [str, str]))
        rows = [row for row in rows if (row["device_id"], row["building_id"]) > after]
    next_cursor = None
    if len(rows) > limit:
        last = rows[limit - 1]
        next_cursor = encode_cursor("devices", [last["device_id"], last["building_id"]])
    return list_response(request, rows[:limit], Device, format_parameter=paging.form, next_cursor=next_cursor)


@router.get(
    "/v1/rejected",
    response_model=Page[Rejected],
    responses=ANY_FORMAT,
    summary="Rejected readings with every rule that they broke",
)
def rejected(
    request: Request,
    key: Key,
    lake: Lake,
    subject: Annotated[RejectedFilter, Depends()],
    period: Range,
    paging: Paging,
    rule: Name = None,
) -> Response:
    """Of the last 30 days, or those that arrived between `from` and `to`, newest first. Each read is written to the audit log."""
    limit = paging.rows(lake)
    first, last = period.resolve(lake, latest=latest_of_range(lake), days=REJECTED_DAYS)
    types = [kind for _, kind in REJECTED_ORDER]
    after: list[Any] | None = decode_cursor("rejected", paging.cursor, types) if paging.cursor else None
    rows = rejected_rows(lake, first, last, asdict(subject), rule, limit=limit + 1, after=after)
    next_cursor = next_cursor_of("rejected", rows, limit, REJECTED_ORDER)
    criteria = {**asdict(subject), "rule": rule, "from": first, "to": last}
    log_payload_read(request, key, criteria, rows=len(rows[:limit]))
    return list_response(request, rows[:limit], Rejected, format_parameter=paging.form, next_cursor=next_cursor)


@router.get(
    "/v1/rejected/summary",
    response_model=Page[RejectedByRule],
    responses=ANY_FORMAT,
    summary="The number of records that broke each rule",
)
def rejected_summary(request: Request, lake: Lake, period: Range, form: FormatParameter = None) -> Response:
    first, last = period.resolve(lake, latest=latest_of_range(lake), days=REJECTED_DAYS)
    return list_response(request, rejected_by_rule(lake, first, last), RejectedByRule, format_parameter=form)
