"""The overview, buildings, models and accuracy."""

import asyncio
from dataclasses import asdict, dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from wattcast.serving.queries import buildings as building_queries
from wattcast.serving.queries.accuracy import accuracy as accuracy_rows
from wattcast.serving.queries.forecasts import not_found
from wattcast.serving.queries.models import models as model_rows
from wattcast.serving.queries.overview import overview as overview_body
from wattcast.serving.responses.cursors import decode_cursor, encode_cursor
from wattcast.serving.responses.encodings import to_json
from wattcast.serving.responses.negotiated import (
    ANY_FORMAT,
    NOT_MODIFIED,
    FormatParameter,
    etag_response,
    list_response,
)
from wattcast.serving.routes.dependencies import Access, BuildingId, Cached, Lake, Name, Paging, Range, State
from wattcast.serving.schemas.base import Page
from wattcast.serving.schemas.fleet import Accuracy, Building, Model, Overview
from wattcast.serving.tables.columns import LIVE
from wattcast.times import HOUR

router = APIRouter(tags=["fleet"])
# fields of the overview that change with every request and must not change its ETag
VOLATILE_FIELDS = ("age_seconds", "now", "server_time")
ACCURACY_DAYS = 28
MAX_SEARCH_LENGTH = 128


@dataclass(frozen=True)
class ScoreFilter:
    """Which scores the accuracy is computed from."""

    building_id: Name = None
    model_name: Name = None
    model_version: Name = None
    purpose: Name = LIVE


@router.get("/v1/overview", response_model=Overview, responses=NOT_MODIFIED, summary="A summary of all buildings")
def overview(request: Request, lake: Lake, cached: Cached) -> Response:
    """Of the buildings that the key may see; the figures of the whole fleet are null for a key of some buildings."""
    body = overview_body(lake, cached.weekly_mae_kwh())
    tag = [value for name, value in body.items() if name not in VOLATILE_FIELDS]
    return etag_response(request, to_json(body), tag=tag)


@router.get(
    "/v1/buildings", response_model=Page[Building], responses=ANY_FORMAT, summary="List and search the buildings"
)
def buildings(
    request: Request,
    lake: Lake,
    paging: Paging,
    search: Annotated[
        str | None, Query(max_length=MAX_SEARCH_LENGTH, description="Part of the id, in any case")
    ] = None,
    site: Name = None,
    building_type: Name = None,
) -> Response:
    lake.latest("forecasts")  # raises Unavailable before the first reading of the tables
    rows, metadata = paging.rows(lake), lake.state.metadata
    criteria = {"site": site, "building_type": building_type}
    values = {column: value for column, value in criteria.items() if value is not None}
    part = (search or "").casefold()
    names = [
        name
        for name in lake.state.building_ids
        if part in name.casefold()
        and all(metadata.get(name, {}).get(column) == value for column, value in values.items())
    ]
    if paging.cursor:
        (last,) = decode_cursor("buildings", paging.cursor, [str])
        names = [name for name in names if name > last]
    next_cursor = encode_cursor("buildings", [names[rows - 1]]) if len(names) > rows else None
    page = building_queries.buildings(lake, names[:rows])
    return list_response(request, page, Building, format_parameter=paging.form, next_cursor=next_cursor)


@router.get("/v1/buildings/{building_id:path}", response_model=Building, responses=NOT_MODIFIED, summary="One building")
def building(request: Request, lake: Lake, building_id: BuildingId) -> Response:
    lake.latest("forecasts")
    if building_id not in lake.state.building_ids:
        raise not_found(lake, building_id)
    return etag_response(request, to_json(building_queries.buildings(lake, [building_id])[0]))


@router.get(
    "/v1/accuracy",
    response_model=Page[Accuracy],
    responses=ANY_FORMAT,
    summary="Errors of forecasts against the actual energy",
)
async def accuracy(
    request: Request,
    state: State,
    lake: Lake,
    scores: Annotated[ScoreFilter, Depends()],
    period: Range,
    by: Annotated[Literal["building", "model", "lead", "hour", "day"], Query()] = "model",
    form: FormatParameter = None,
) -> Response:
    """Over the last 28 days, or the hours between `from` and `to`. `hour` is the local hour of the day, `day` is UTC."""

    def response() -> Response:
        latest = lake.table("forecast_scores").latest_time("target_hour") or lake.now()
        first, last = period.resolve(lake, latest=latest + HOUR, days=ACCURACY_DAYS)
        return list_response(
            request, accuracy_rows(lake, by, first, last, asdict(scores)), Accuracy, format_parameter=form
        )

    with state.accuracy_limit.slot():
        return await asyncio.get_running_loop().run_in_executor(state.accuracy_executor, response)


@router.get(
    "/v1/models",
    response_model=Page[Model],
    responses=ANY_FORMAT,
    summary="Model versions, the champion and their accuracy",
)
def models(
    request: Request,
    state: State,
    access: Access,
    lake: Lake,
    cached: Cached,
    search: Annotated[
        str | None, Query(max_length=MAX_SEARCH_LENGTH, description="Part of name and version, in any case")
    ] = None,
    form: FormatParameter = None,
) -> Response:
    """A key of some buildings gets the versions that issued their forecasts, without the details of the registry."""
    part = (search or "").casefold()
    registered = state.forecaster.registered() if state.forecaster and not access.is_restricted else None
    rows = [
        row
        for row in model_rows(lake, cached.forecast_counts(), registered)
        if part in f"{row['model_name']} {row['model_version']}".casefold()
    ]
    return list_response(request, rows, Model, format_parameter=form)
