"""POST /v1/forecasts: a forecast on readings that the client sends."""

import asyncio
from concurrent.futures.process import BrokenProcessPool
from http import HTTPStatus

from fastapi import APIRouter, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from wattcast.forecast.context import Context, Forecast, Predictor
from wattcast.forecast.fallbacks import forecasts_with_fallbacks
from wattcast.serving.on_demand.context import context_of, forecast_response
from wattcast.serving.on_demand.forecast_requests import (
    DEFAULT_BUILDING_ID,
    ForecastRequest,
    ForecastRequestParser,
    RequestBuilding,
)
from wattcast.serving.on_demand.forecaster import Forecaster
from wattcast.serving.problems import Problem, Unavailable
from wattcast.serving.queries.forecasts import not_found
from wattcast.serving.responses.encodings import to_json
from wattcast.serving.responses.negotiated import JSON_TYPE
from wattcast.serving.routes.dependencies import Lake, State
from wattcast.serving.schemas import forecasts as schemas
from wattcast.serving.state import ServingState
from wattcast.serving.tables.view import LakeView

FORECAST_TIMEOUT_SECONDS = 60


def post_forecast_router(parser: ForecastRequestParser) -> APIRouter:
    """The route, with the schema of the bodies that this parser accepts."""
    router = APIRouter(tags=["forecasts"])
    body = {"required": True, "content": {JSON_TYPE: {"schema": parser.json_schema()}}}
    router.post(
        "/v1/forecasts",
        response_model=schemas.Forecast,
        summary="A forecast on readings that you send",
        openapi_extra={"requestBody": body},
    )(post)
    return router


async def post(request: Request, state: State, lake: Lake) -> Response:
    """The forecast is not stored and has no `forecast_id`. Of several readings of one time the last one counts. A key of some
    buildings may name these and their sites only, since both choose the model."""
    if state.forecaster is None:
        raise Unavailable("This server was started without a forecaster: it serves stored forecasts only.")
    with state.body_limit.slot():
        body = await _body(request)
    with state.forecast_limit.slot():
        async with state.forecast_lock:
            parsed, context = await asyncio.to_thread(_parsed, body, state)
        building = parsed.building
        _check_building(building, lake)
        model = await asyncio.to_thread(state.forecaster.model_of, building.building_id, building.site)
        async with state.forecast_lock:
            result = await _forecast(state.forecaster, context, model)
    return Response(to_json(forecast_response(parsed, context, model, result)), media_type=JSON_TYPE)


def _check_building(building: RequestBuilding, lake: LakeView) -> None:
    """Raise the Problem of a building or a site that does not exist for the key."""
    if building.building_id != DEFAULT_BUILDING_ID and not lake.has_building(building.building_id):
        raise not_found(lake, building.building_id)
    if lake.buildings and building.site and all(row["site"] != building.site for row in lake.state.metadata.values()):
        raise Problem(HTTPStatus.NOT_FOUND, f"There is no site {building.site}.")


async def _body(request: Request) -> bytes:
    try:
        return await request.body()
    except ClientDisconnect as error:
        raise Problem(HTTPStatus.BAD_REQUEST, "The request body is incomplete.") from error


def _parsed(body: bytes, state: ServingState) -> tuple[ForecastRequest, Context]:
    parsed = state.request_parser.parse(body)
    return parsed, context_of(parsed, state.settings)


async def _forecast(forecaster: Forecaster, context: Context, model: Predictor | None) -> Forecast:
    """Runs in the process that holds the model, one forecast at a time."""
    work = asyncio.get_running_loop().run_in_executor(forecaster.executor(), forecasts_with_fallbacks, [context], model)
    try:
        (result,) = await asyncio.wait_for(work, FORECAST_TIMEOUT_SECONDS)
    except BrokenProcessPool as error:
        raise Unavailable("The forecasting process ended unexpectedly and is restarting: try again.") from error
    except TimeoutError as error:
        forecaster.terminate()
        raise Unavailable(f"The forecast took longer than {FORECAST_TIMEOUT_SECONDS} seconds.") from error
    return result
