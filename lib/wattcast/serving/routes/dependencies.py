"""Dependencies and parameters that several routes share."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Path, Query, Request
from starlette.concurrency import run_in_threadpool

from wattcast.serving.problems import Problem
from wattcast.serving.queries.selection import Order, time_range
from wattcast.serving.responses.cursors import encode_cursor
from wattcast.serving.responses.negotiated import FormatParameter
from wattcast.serving.schemas.parameters import MAX_ID_LENGTH, Instant, Text
from wattcast.serving.security.access import ALL_BUILDINGS, BuildingAccess
from wattcast.serving.security.keys import API_KEY, ApiKey
from wattcast.serving.state import CachedQueries, ServingState, state_of
from wattcast.serving.tables.view import LakeView
from wattcast.times import HOUR


async def serving_state(request: Request) -> ServingState:
    return state_of(request.app)


async def api_key(request: Request) -> ApiKey | None:
    """The key of a request that the middleware let pass; None where the server needs no keys."""
    key: ApiKey | None = request.scope[API_KEY]
    return key


State = Annotated[ServingState, Depends(serving_state)]
Key = Annotated[ApiKey | None, Depends(api_key)]


async def building_access(key: Key) -> BuildingAccess:
    return key.access if key else ALL_BUILDINGS


Access = Annotated[BuildingAccess, Depends(building_access)]


async def lake_view(state: State, access: Access) -> LakeView:
    return await run_in_threadpool(state.views.of, access) if access.is_restricted else state.views.of(access)


async def cached_queries(state: State, access: Access) -> CachedQueries:
    return state.cached.of(access)


Lake = Annotated[LakeView, Depends(lake_view)]
Cached = Annotated[CachedQueries, Depends(cached_queries)]

BuildingId = Annotated[
    Text, Path(min_length=1, max_length=MAX_ID_LENGTH, description="Building", examples=["town-hall"])
]
Name = Annotated[Text | None, Query(min_length=1, max_length=MAX_ID_LENGTH)]


@dataclass(frozen=True)
class TimeRange:
    """The parameters `from` and `to`."""

    start: Annotated[Instant | None, Query(alias="from", description="Included")] = None
    end: Annotated[Instant | None, Query(alias="to", description="Not included")] = None

    def resolve(self, lake: LakeView, *, latest: datetime, days: int) -> tuple[datetime, datetime]:
        """The range, by default the last `days` until `latest`; raises Problem for a range that is not allowed."""
        max_days = lake.settings.serving.max_history_days
        return time_range(self.start, self.end, latest=latest, days=days, max_days=max_days)

    @property
    def has_bounds(self) -> bool:
        return self.start is not None or self.end is not None


@dataclass(frozen=True)
class PageOptions:
    """The parameters of a list in pages."""

    limit: Annotated[
        int | None, Query(ge=1, le=1_000_000, description="Rows per page; more than the server allows is refused")
    ] = None
    cursor: Annotated[str | None, Query(max_length=2000, description="next_cursor of the previous page")] = None
    form: FormatParameter = None

    def rows(self, lake: LakeView) -> int:
        """The number of rows of a page.

        Raises:
            Problem: `limit` is above the setting `max_page_rows`.
        """
        options = lake.settings.serving
        if self.limit is not None and self.limit > options.max_page_rows:
            raise Problem(
                422,
                f"A page has at most {options.max_page_rows} rows: use a smaller limit and read on with next_cursor.",
            )
        return self.limit or min(options.page_rows, options.max_page_rows)


Range = Annotated[TimeRange, Depends()]
Paging = Annotated[PageOptions, Depends()]


def latest_of_range(lake: LakeView, now: datetime | None = None) -> datetime:
    """The default end of a range: an hour after now or after the newest arrival, whichever is later."""
    current = now or lake.now()
    return max(current, lake.state.as_of or current) + HOUR


def next_cursor_of(list_name: str, rows: list[dict[str, Any]], limit: int, order: Order) -> str | None:
    """The cursor behind the last row of a page, or None where `rows` has no more than this page."""
    return encode_cursor(list_name, [rows[limit - 1][name] for name, _ in order]) if len(rows) > limit else None
