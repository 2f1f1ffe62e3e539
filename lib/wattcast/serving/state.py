"""What the routes and the middleware share, built once with the app."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette

from wattcast.serving.on_demand.forecast_requests import ForecastRequestParser
from wattcast.serving.on_demand.forecaster import Forecaster
from wattcast.serving.queries.accuracy import weekly_mae_kwh
from wattcast.serving.queries.buildings import devices
from wattcast.serving.queries.forecasts import CurrentForecasts
from wattcast.serving.queries.models import ForecastCounts, forecast_counts
from wattcast.serving.security.access import BuildingAccess
from wattcast.serving.security.concurrency import ConcurrencyLimit
from wattcast.serving.security.keys import ApiKeys
from wattcast.serving.server_metrics import ServerMetrics
from wattcast.serving.tables.snapshot import Snapshot
from wattcast.serving.tables.ttl_cache import TtlCache
from wattcast.serving.tables.view import LakeView
from wattcast.serving.tables.views import LakeViews
from wattcast.settings import Settings

MAX_BODIES, MAX_FORECASTS, MAX_ACCURACY_REQUESTS = 32, 16, 8  # at once
DEVICES_TTL_SECONDS, ACCURACY_TTL_SECONDS = 30, 60


class CachedQueries:
    """Queries that read much, for the buildings of one view."""

    def __init__(self, view: Callable[[], LakeView]) -> None:
        self.forecast_counts: TtlCache[ForecastCounts] = TtlCache(
            lambda: forecast_counts(view()), ttl_seconds=ACCURACY_TTL_SECONDS
        )
        self.weekly_mae_kwh: TtlCache[float | None] = TtlCache(
            lambda: weekly_mae_kwh(view()), ttl_seconds=ACCURACY_TTL_SECONDS
        )


class CachedQueriesByAccess:
    """The cached queries of each access of a valid key."""

    def __init__(self, views: LakeViews) -> None:
        self._views = views
        self._queries: dict[BuildingAccess, CachedQueries] = {}

    def of(self, access: BuildingAccess) -> CachedQueries:
        return self._queries.setdefault(access, CachedQueries(lambda: self._views.of(access)))


@dataclass(frozen=True)
class ServingState:
    """Settings, the snapshot of the lake, cached queries and limits of one app."""

    settings: Settings
    forecaster: Forecaster | None
    auth: bool
    snapshot: Snapshot
    views: LakeViews
    keys: ApiKeys
    metrics: ServerMetrics
    request_parser: ForecastRequestParser
    current_forecasts: CurrentForecasts
    devices: TtlCache[list[dict[str, Any]]]  # of all buildings
    cached: CachedQueriesByAccess
    body_limit: ConcurrencyLimit
    forecast_limit: ConcurrencyLimit
    accuracy_limit: ConcurrencyLimit
    forecast_lock: asyncio.Semaphore  # one posted request is parsed or forecast at a time
    accuracy_executor: ThreadPoolExecutor


def build_state(settings: Settings, forecaster: Forecaster | None, *, auth: bool) -> ServingState:
    snapshot = Snapshot(settings)
    views = LakeViews(snapshot)
    return ServingState(
        settings=settings,
        forecaster=forecaster,
        auth=auth,
        snapshot=snapshot,
        views=views,
        keys=ApiKeys.from_settings(settings),
        metrics=ServerMetrics(snapshot),
        request_parser=ForecastRequestParser.from_contract(),
        current_forecasts=CurrentForecasts(snapshot),
        devices=TtlCache(lambda: devices(snapshot.view), ttl_seconds=DEVICES_TTL_SECONDS),
        cached=CachedQueriesByAccess(views),
        body_limit=ConcurrencyLimit(MAX_BODIES, "request bodies"),
        forecast_limit=ConcurrencyLimit(MAX_FORECASTS, "forecasts"),
        accuracy_limit=ConcurrencyLimit(MAX_ACCURACY_REQUESTS, "accuracy requests"),
        forecast_lock=asyncio.Semaphore(1),
        accuracy_executor=ThreadPoolExecutor(1, "accuracy"),
    )


def state_of(app: Starlette) -> ServingState:
    """The state of an app that `create_app` built."""
    state = app.state.serving
    if not isinstance(state, ServingState):
        raise TypeError(f"app.state.serving is {type(state).__name__}, not ServingState: build the app by create_app.")
    return state
