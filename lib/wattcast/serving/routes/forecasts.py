"""Current and past forecasts, and the history of a building."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from wattcast.serving.problems import Problem
from wattcast.serving.queries.forecasts import forecast_issued_by, not_found, row_per_hour, with_age
from wattcast.serving.queries.history import MAX_LEAD_HOURS
from wattcast.serving.queries.history import history as history_hours
from wattcast.serving.responses.cursors import decode_cursor, encode_cursor
from wattcast.serving.responses.encodings import to_json
from wattcast.serving.responses.negotiated import (
    ANY_FORMAT,
    Format,
    FormatParameter,
    etag_response,
    list_response,
    negotiated_format,
)
from wattcast.serving.routes.dependencies import BuildingId, Lake, Name, Paging, Range, State
from wattcast.serving.schemas.base import Page
from wattcast.serving.schemas.forecasts import Forecast, ForecastRow, HistoryHour
from wattcast.serving.schemas.parameters import Instant, Text
from wattcast.serving.tables.view import LakeView

router = APIRouter(tags=["forecasts"])
HISTORY_DAYS = 7


@router.get(
    "/v1/buildings/{building_id:path}/forecast",
    response_model=Forecast,
    responses=ANY_FORMAT,
    summary="The forecast of a building",
)
async def forecast(
    request: Request,
    state: State,
    lake: Lake,
    building_id: BuildingId,
    as_of: Annotated[
        Instant | None, Query(description="The newest forecast issued by this time; default: the current one")
    ] = None,
    form: FormatParameter = None,
) -> Response:
    if as_of is None and negotiated_format(request, form) == "json":
        body, tag = state.current_forecasts.json(lake, building_id)
        return etag_response(request, body, tag=tag)
    return await _encoded_forecast(request, lake, building_id, as_of, form)


async def _encoded_forecast(
    request: Request, lake: LakeView, building_id: str, as_of: datetime | None, form: Format | None
) -> Response:
    if as_of is not None:
        row = await run_in_threadpool(forecast_issued_by, lake, building_id, as_of)
    elif (current := lake.latest("forecasts").get(building_id)) is not None:
        row = current
    else:
        raise not_found(lake, building_id)
    body = with_age(lake, row)
    tag = (body["forecast_id"], body["is_stale"])
    if negotiated_format(request, form) != "json":
        return list_response(request, row_per_hour([body]), ForecastRow, format_parameter=form, tag=tag)
    return etag_response(request, to_json(body), tag=tag)


@router.get(
    "/v1/forecasts",
    response_model=Page[Forecast],
    responses=ANY_FORMAT,
    summary="The current forecasts of many buildings",
)
def forecasts(
    request: Request,
    lake: Lake,
    building_id: Annotated[list[Text] | None, Query(description="May be repeated; default: all buildings")] = None,
    site: Name = None,
    *,
    paging: Paging,
) -> Response:
    building_ids = _selected_buildings(lake, building_id, site)
    rows, latest, form = paging.rows(lake), lake.latest("forecasts"), paging.form
    if paging.cursor:
        (last,) = decode_cursor("forecasts", paging.cursor, [str])
        building_ids = [name for name in building_ids if name > last]
    page = [with_age(lake, row) for name in building_ids[:rows] if (row := latest.get(name))]
    next_cursor = encode_cursor("forecasts", [building_ids[rows - 1]]) if len(building_ids) > rows else None
    tag = (next_cursor, [(item["forecast_id"], item["is_stale"]) for item in page])
    if negotiated_format(request, form) != "json":
        hours = row_per_hour(page)
        return list_response(request, hours, ForecastRow, format_parameter=form, next_cursor=next_cursor, tag=tag)
    return list_response(request, page, Forecast, format_parameter=form, next_cursor=next_cursor, tag=tag)


def _selected_buildings(lake: LakeView, building_id: list[str] | None, site: str | None) -> list[str]:
    """The sorted ids of the buildings with a current forecast that were requested."""
    max_ids = lake.settings.serving.max_ids
    if building_id and len(building_id) > max_ids:
        raise Problem(
            422,
            f"A request can name at most {max_ids} building_id, not {len(building_id)}: select by site, or read all pages.",
        )
    index = lake.latest("forecasts").index
    names = sorted(name for name in set(building_id) if name in index) if building_id else sorted(index)
    if site is None:
        return names
    return [name for name in names if lake.state.metadata.get(name, {}).get("site") == site]


@router.get(
    "/v1/buildings/{building_id:path}/history",
    response_model=Page[HistoryHour],
    responses=ANY_FORMAT,
    summary="The actual energy of a building beside its forecasts",
)
def history(
    request: Request,
    lake: Lake,
    building_id: BuildingId,
    period: Range,
    lead_hours: Annotated[
        int | None, Query(ge=1, le=MAX_LEAD_HOURS, description="Of the forecasts; default: the newest of each hour")
    ] = None,
    form: FormatParameter = None,
) -> Response:
    """Hours of the last seven days, or between `from` and `to`."""
    first, last = period.resolve(lake, latest=lake.now(), days=HISTORY_DAYS)
    hours = history_hours(lake, building_id, first, last, lead_hours)
    if not hours and building_id not in lake.state.building_ids:
        raise not_found(lake, building_id)
    return list_response(request, hours, HistoryHour, format_parameter=form)
