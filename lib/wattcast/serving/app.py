"""The app: what is served at which address."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles

from wattcast.ladder import Predictor
from wattcast.serving import posted, problems, routes_fleet, routes_forecasts, routes_quality, routes_server
from wattcast.serving.fleet import Remembered, devices
from wattcast.serving.forecasts import Current
from wattcast.serving.guards import Guards
from wattcast.serving.keys import Keys
from wattcast.serving.measured import Measured
from wattcast.serving.places import Places
from wattcast.serving.queries import forecasts_by_model
from wattcast.serving.snapshot import Snapshot
from wattcast.settings import Settings

STATIC = Path(__file__).parent / "static"
BODIES, POSTS, SUMS = 32, 16, 8  # in hand at once
DEVICES_SECONDS, ACCURACY_SECONDS = 30, 60
GZIP_BYTES, GZIP_LEVEL = 1024, 5


@dataclass(frozen=True)
class Registered:
    """A model version as the registry tells it."""

    model_name: str
    model_version: str
    aliases: tuple[str, ...] = ()
    scope: str | None = None
    trained_at: datetime | None = None
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Forecaster:
    """What forecasts readings that a caller sends: the model of a building by its id and site, as it was last followed, and the
    process that runs it; what the registry says, None where it does not answer; how a forecast that takes too long is ended."""

    model_of: Callable[[str, str], Predictor | None]
    executor: Callable[[], Executor]
    registered: Callable[[], list[Registered] | None]
    end: Callable[[], None] = lambda: None


class Serving:
    """What the routes share."""

    def __init__(self, settings: Settings, forecaster: Forecaster | None, *, auth: bool) -> None:
        self.settings, self.forecaster, self.auth = settings, forecaster, auth
        self.snapshot = Snapshot(settings)
        self.current = Current(self.snapshot)
        self.keys = Keys.of(settings)
        self.measured = Measured(self.snapshot)
        self.devices = Remembered(lambda: devices(self.snapshot), seconds=DEVICES_SECONDS)
        self.by_model = Remembered(lambda: forecasts_by_model(self.snapshot), seconds=ACCURACY_SECONDS)
        self.mae_kwh = Remembered(lambda: routes_fleet.mae_of_a_week(self.snapshot), seconds=ACCURACY_SECONDS)
        self.bodies, self.posts = Places(BODIES, "bodies"), Places(POSTS, "forecasts")
        self.turn = asyncio.Semaphore(1)  # of a post to be understood or forecast
        self.sums, self.summing = Places(SUMS, "sums of errors"), ThreadPoolExecutor(1, "sums")


def app(settings: Settings, forecaster: Forecaster | None = None, *, auth: bool = False) -> FastAPI:
    """The API over the lake of the settings, and the dashboard; `forecaster` is what POST /v1/forecasts needs."""
    serving = Serving(settings, forecaster, auth=auth)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        serving.snapshot.feed.bind(asyncio.get_running_loop())
        serving.snapshot.start()
        yield
        await asyncio.to_thread(serving.snapshot.stop)
        serving.summing.shutdown(wait=False, cancel_futures=True)

    made = FastAPI(
        title="Wattcast", version="1", docs_url=None, redoc_url=None, lifespan=lifespan,
        description="Hourly energy forecasts of buildings, their history and how good they are. Times are UTC.",
        responses=_errors(),
    )  # fmt: skip
    made.state.serving = serving
    problems.register(made)
    for routes in (routes_server, posted, routes_forecasts, routes_fleet, routes_quality):
        made.include_router(routes.router)
    if STATIC.is_dir():
        made.mount("/static", StaticFiles(directory=STATIC), name="static")
    made.add_middleware(GZipMiddleware, minimum_size=GZIP_BYTES, compresslevel=GZIP_LEVEL)
    made.add_middleware(Guards, serving=serving)
    return made


def _errors() -> dict[int | str, dict[str, Any]]:
    """The errors that any route may answer with, for the OpenAPI document."""
    from wattcast.serving.schemas import ProblemBody

    schema = ProblemBody.model_json_schema()
    said = {
        400: "The request cannot be read, such as a cursor of another list.",
        401: "A key is needed.",
        403: "The key may not do this.",
        404: "There is no such thing.",
        413: "The request is too large.",
        422: "A value is not allowed; the detail names it.",
        429: "Too many requests: come back after Retry-After seconds.",
        503: "What is needed cannot be read now.",
    }
    content = {problems.MEDIA_TYPE: {"schema": schema, "example": schema["examples"][0]}}
    return {status: {"description": text, "content": content} for status, text in said.items()}
