"""Forecasts and history."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from wattcast.serving import cursors
from wattcast.serving.asked import (
    BuildingId,
    Cursor,
    From,
    Instant,
    Lake,
    Limit,
    Name,
    Server,
    Text,
    To,
    page_rows,
)
from wattcast.serving.forecasts import flat, issued_by, missing, whole
from wattcast.serving.formats import IN_ANY_FORMAT, Asked, as_json, format_of, items, tagged
from wattcast.serving.problems import Problem
from wattcast.serving.queries import history as hours_of
from wattcast.serving.queries import time_range
from wattcast.serving.schemas import Forecast, ForecastRow, HistoryHour, Page

router = APIRouter(tags=["forecasts"])


@router.get(
    "/v1/buildings/{building_id:path}/forecast",
    response_model=Forecast,
    responses=IN_ANY_FORMAT,
    summary="The forecast of a building",
)
async def forecast(
    request: Request,
    server: Server,
    building_id: BuildingId,
    as_of: Annotated[
        Instant | None, Query(description="The one that had been issued by then; default: the current one")
    ] = None,
    form: Asked = None,
) -> Response:
    if as_of is None and format_of(request, form) == "json":
        body, tag = server.current(building_id)
        return tagged(request, body, "application/json", tag=tag)
    return await _of_the_past(request, server, building_id, as_of, form)


async def _of_the_past(request: Request, server: Any, building_id: str, as_of: Any, form: Any) -> Response:
    from starlette.concurrency import run_in_threadpool

    if as_of is not None:
        row = await run_in_threadpool(issued_by, server.snapshot, building_id, as_of)
    else:
        row = server.snapshot.part("forecasts").item(building_id)
        if row is None:
            raise missing(server.snapshot, building_id)
    found = whole(server.snapshot, row)
    tag = (found["forecast_id"], found["is_stale"])
    if format_of(request, form) != "json":
        return items(request, flat([found]), ForecastRow, asked=form, tag=tag)
    return tagged(request, as_json(found), "application/json", tag=tag)


@router.get(
    "/v1/forecasts",
    response_model=Page[Forecast],
    responses=IN_ANY_FORMAT,
    summary="The current forecasts of many buildings",
)
def forecasts(
    request: Request,
    lake: Lake,
    building_id: Annotated[
        list[Text] | None, Query(description="As often as buildings are wanted; default: all")
    ] = None,
    site: Name = None,
    limit: Limit = None,
    cursor: Cursor = None,
    form: Asked = None,
) -> Response:
    most = lake.settings.serving.max_ids
    if building_id and len(building_id) > most:
        raise Problem(
            422, f"At most {most} building_id can be asked for at once, not {len(building_id)}: use a site or pages."
        )
    newest, rows = lake.part("forecasts"), page_rows(limit, lake)
    names = sorted(name for name in set(building_id) if name in newest.index) if building_id else sorted(newest.index)
    if site is not None:
        names = [name for name in names if lake.state.metadata.get(name, {}).get("site") == site]
    if cursor:
        (last,) = cursors.read("forecasts", cursor, [str])
        names = [name for name in names if name > last]
    page = [whole(lake, found) for name in names[:rows] if (found := newest.item(name))]
    following = cursors.written("forecasts", [names[rows - 1]]) if len(names) > rows else None
    tag = (following, [(each["forecast_id"], each["is_stale"]) for each in page])
    if format_of(request, form) != "json":
        return items(request, flat(page), ForecastRow, asked=form, next_cursor=following, tag=tag)
    return items(request, page, Forecast, asked=form, next_cursor=following, tag=tag)


@router.get(
    "/v1/buildings/{building_id:path}/history",
    response_model=Page[HistoryHour],
    responses=IN_ANY_FORMAT,
    summary="What a building used, and what was forecast",
)
def history(
    request: Request,
    lake: Lake,
    building_id: BuildingId,
    start: From = None,
    end: To = None,
    lead_hours: Annotated[
        int | None, Query(ge=1, le=168, description="Of forecasts; default: the newest of each hour")
    ] = None,
    form: Asked = None,
) -> Response:
    """Hours of the last seven days, or between `from` and `to`."""
    most = lake.settings.serving.max_history_days
    first, last = time_range(start, end, newest=lake.now(), days=7, most=most)
    found = hours_of(lake, building_id, first, last, lead_hours)
    if not found and building_id not in lake.state.building_ids:
        raise missing(lake, building_id)
    return items(request, found, HistoryHour, asked=form)
