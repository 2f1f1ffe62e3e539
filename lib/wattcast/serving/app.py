"""The FastAPI app: the routes, the dashboard's files and the middleware."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles

from wattcast.serving import problems
from wattcast.serving.on_demand.forecaster import Forecaster
from wattcast.serving.routes import events, fleet, forecasts, monitoring, quality, server
from wattcast.serving.routes.post_forecast import post_forecast_router
from wattcast.serving.schemas.base import ProblemBody
from wattcast.serving.security.middleware import ApiMiddleware
from wattcast.serving.state import ServingState, build_state
from wattcast.settings import Settings

STATIC = Path(__file__).parent / "static"
GZIP_BYTES, GZIP_LEVEL = 1024, 5


def create_app(settings: Settings, forecaster: Forecaster | None = None, *, auth: bool = False) -> FastAPI:
    """The API over the lake of the settings, and the dashboard. Without a forecaster POST /v1/forecasts answers 503."""
    state = build_state(settings, forecaster, auth=auth)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        state.snapshot.events.bind(asyncio.get_running_loop())
        state.snapshot.start()
        yield
        await asyncio.to_thread(state.snapshot.stop)
        state.accuracy_executor.shutdown(wait=False, cancel_futures=True)

    app = FastAPI(
        title="Wattcast", version="1", docs_url=None, redoc_url=None, lifespan=lifespan,
        description="Hourly energy forecasts of buildings, their history and their accuracy. Times are UTC.",
        responses=_error_responses(),
    )  # fmt: skip
    app.state.serving = state
    problems.register_handlers(app)
    _include_routes(app, state)
    app.add_middleware(GZipMiddleware, minimum_size=GZIP_BYTES, compresslevel=GZIP_LEVEL)
    app.add_middleware(ApiMiddleware, state=state)
    return app


def _include_routes(app: FastAPI, state: ServingState) -> None:
    routers = (
        server.router,
        events.router,
        post_forecast_router(state.request_parser),
        forecasts.router,
        fleet.router,
        quality.router,
        monitoring.router,
    )
    for router in routers:
        app.include_router(router)
    if STATIC.is_dir():
        app.mount("/static", StaticFiles(directory=STATIC), name="static")


def _error_responses() -> dict[int | str, dict[str, Any]]:
    """The errors that any route may answer with, for the OpenAPI document."""
    schema = ProblemBody.model_json_schema()
    descriptions = {
        400: "The request cannot be read, for example a cursor of another list.",
        401: "The request needs an API key.",
        403: "The API key does not have the required scope.",
        404: "The requested item does not exist.",
        413: "The request body is too large.",
        422: "A value is not allowed; the detail names it.",
        429: "Too many requests: try again after Retry-After seconds.",
        503: "Something that the response needs cannot be read now.",
    }
    content = {problems.MEDIA_TYPE: {"schema": schema, "example": schema["examples"][0]}}
    return {status: {"description": text, "content": content} for status, text in descriptions.items()}
