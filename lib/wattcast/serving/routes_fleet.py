"""The fleet: overview, buildings, models, accuracy."""

import asyncio
from datetime import timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from wattcast.serving import cursors, fleet
from wattcast.serving.accuracy import accuracy as errors_of
from wattcast.serving.asked import BuildingId, Cursor, From, Lake, Limit, Name, Server, To, page_rows
from wattcast.serving.forecasts import missing
from wattcast.serving.formats import IN_ANY_FORMAT, NOT_MODIFIED, Asked, as_json, items, tagged
from wattcast.serving.models import models as models_of
from wattcast.serving.problems import Problem
from wattcast.serving.queries import HOUR, time_range
from wattcast.serving.schemas import Accuracy, Building, Model, Overview, Page
from wattcast.serving.snapshot import LIVE, Snapshot

router = APIRouter(tags=["fleet"])
PASSING = ("age_seconds", "now", "server_time")  # of the overview: they make it no other


@router.get("/v1/overview", response_model=Overview, responses=NOT_MODIFIED, summary="The fleet at a glance")
def overview(request: Request, server: Server) -> Response:
    found = fleet.overview(server.snapshot, server.mae_kwh())
    tag = [found[name] for name in found if name not in PASSING]
    return tagged(request, as_json(found), "application/json", tag=tag)


def mae_of_a_week(lake: Snapshot) -> float | None:
    """MAE of live forecasts over the last seven days that were scored; None where that is unknown or too much to sum up."""
    try:
        newest = lake.lake.table("forecast_scores").newest("target_hour")
        if newest is None:
            return None
        rows = errors_of(lake, "model", newest - timedelta(days=7), newest + HOUR, {"purpose": LIVE})
    except Problem:
        return None
    hours = sum(row["hours"] for row in rows)
    return sum(row["mae_kwh"] * row["hours"] for row in rows) / hours if hours else None


@router.get(
    "/v1/buildings", response_model=Page[Building], responses=IN_ANY_FORMAT, summary="Buildings, and search in them"
)
def buildings(
    request: Request,
    lake: Lake,
    search: Annotated[str | None, Query(max_length=128, description="Part of the id, in any case")] = None,
    site: Name = None,
    building_type: Name = None,
    limit: Limit = None,
    cursor: Cursor = None,
    form: Asked = None,
) -> Response:
    lake.part("forecasts")
    rows, metadata = page_rows(limit, lake), lake.state.metadata
    wanted = {name: value for name, value in (("site", site), ("building_type", building_type)) if value is not None}
    part = (search or "").casefold()
    names = [
        name
        for name in lake.state.building_ids
        if part in name.casefold()
        and all(metadata.get(name, {}).get(column) == value for column, value in wanted.items())
    ]
    if cursor:
        (last,) = cursors.read("buildings", cursor, [str])
        names = [name for name in names if name > last]
    following = cursors.written("buildings", [names[rows - 1]]) if len(names) > rows else None
    return items(request, fleet.buildings(lake, names[:rows]), Building, asked=form, next_cursor=following)


@router.get("/v1/buildings/{building_id:path}", response_model=Building, responses=NOT_MODIFIED, summary="One building")
def building(request: Request, lake: Lake, building_id: BuildingId) -> Response:
    lake.part("forecasts")
    if building_id not in lake.state.building_ids:
        raise missing(lake, building_id)
    return tagged(request, as_json(fleet.buildings(lake, [building_id])[0]), "application/json")


@router.get(
    "/v1/accuracy",
    response_model=Page[Accuracy],
    responses=IN_ANY_FORMAT,
    summary="Errors of forecasts against what happened",
)
async def accuracy(
    request: Request,
    server: Server,
    by: Annotated[Literal["building", "model", "lead", "hour", "day"], Query()] = "model",
    building_id: Name = None,
    model_name: Name = None,
    model_version: Name = None,
    purpose: Name = LIVE,
    start: From = None,
    end: To = None,
    form: Asked = None,
) -> Response:
    """Of the last 28 days, or of the hours between `from` and `to`. `hour` is the local hour of the day, `day` is UTC."""
    lake = server.snapshot

    def answered() -> Response:
        newest = lake.lake.table("forecast_scores").newest("target_hour") or lake.now()
        first, last = time_range(start, end, newest=newest + HOUR, days=28, most=lake.settings.serving.max_history_days)
        wanted = {
            "building_id": building_id,
            "model_name": model_name,
            "model_version": model_version,
            "purpose": purpose,
        }
        return items(request, errors_of(lake, by, first, last, wanted), Accuracy, asked=form)

    with server.sums.one():
        return await asyncio.get_running_loop().run_in_executor(server.summing, answered)


@router.get(
    "/v1/models",
    response_model=Page[Model],
    responses=IN_ANY_FORMAT,
    summary="Versions of models: who forecasts, and how well",
)
def models(
    request: Request, server: Server, search: Annotated[str | None, Query(max_length=128)] = None, form: Asked = None
) -> Response:
    part = (search or "").casefold()
    found = [row for row in models_of(server) if part in f"{row['model_name']} {row['model_version']}".casefold()]
    return items(request, found, Model, asked=form)
