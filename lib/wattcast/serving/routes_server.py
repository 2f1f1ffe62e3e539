"""The server itself: whether it lives and is ready, its metrics, its events, the dashboard."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from wattcast.serving.asked import LONGEST_ID, Lake, Server
from wattcast.serving.feed import Wanted
from wattcast.serving.formats import as_json
from wattcast.serving.keys import key_text
from wattcast.serving.problems import Problem, Unavailable
from wattcast.serving.schemas import Standing
from wattcast.serving.snapshot import Snapshot

router = APIRouter()
INDEX = Path(__file__).parent / "static" / "index.html"
EACH = ("forecast", "alert", "as_of")
KINDS = (*EACH, "forecasts")
Kind = Literal["forecast", "alert", "as_of", "forecasts"]


@router.get("/", include_in_schema=False)
async def dashboard() -> Response:
    if not INDEX.is_file():
        raise Problem(404, "The dashboard is not installed.")
    return FileResponse(INDEX, headers={"Cache-Control": "no-cache"})


@router.get("/healthz", tags=["server"], summary="Whether the server lives")
async def healthz(lake: Lake) -> dict[str, str]:
    if lake.has_died:
        raise Unavailable("Nothing follows the tables any more: start the server anew.")
    return {"status": "alive"}


@router.get(
    "/readyz", tags=["server"], summary="Whether it can answer", response_model=Standing,
    responses={503: {"model": Standing, "description": "Nothing can be answered yet, or nothing new any more"}},
)  # fmt: skip
async def readyz(lake: Lake) -> Response:
    found = standing(lake)
    status = 503 if found["status"] in ("starting", "stopped") else 200
    return Response(as_json(found), status, media_type="application/json", headers={"Cache-Control": "no-store"})


def standing(lake: Snapshot) -> dict[str, Any]:
    """Ready, degraded where an older state goes on being served, starting, or stopped where nothing follows the tables."""
    state, problems = lake.state, dict(lake.lake.problems)
    if overdue := lake.overdue_seconds():
        problems["refresh"] = f"The tables were last looked at {overdue:.0f} seconds ago."
    age = (datetime.now(UTC) - state.looked_at).total_seconds() if state.looked_at else None
    usual = "starting" if "forecasts" not in state.parts else "degraded" if problems else "ready"
    status = "stopped" if lake.has_died else usual
    return {"status": status, "as_of": state.as_of, "snapshot_age_seconds": age, "problems": problems}


@router.get(
    "/metrics", tags=["server"], summary="Metrics for Prometheus", response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Metrics"}},
)  # fmt: skip
async def metrics(server: Server) -> Response:
    return Response(server.measured.exposition(), media_type=CONTENT_TYPE_LATEST)


@router.get(
    "/v1/events", tags=["events"], summary="New forecasts, alerts and arrivals as they come", response_class=Response,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "Events, without end"}},
)  # fmt: skip
async def events(
    request: Request,
    server: Server,
    last_event_id: Annotated[str | None, Header(max_length=100)] = None,
    building_id: Annotated[list[str] | None, Query(max_length=100, description="Only of these buildings")] = None,
    kind: Annotated[
        list[Kind] | None,
        Query(max_length=len(KINDS), description="Only of these kinds; default: forecast, alert and as_of"),
    ] = None,
) -> Response:
    """Server-sent events. `Last-Event-ID` goes on where a connection broke; `missed` says that events are forgotten. `forecasts`
    is one event for all new forecasts of a commit."""
    names = frozenset(name[:LONGEST_ID] for name in building_id or ())
    wanted = Wanted(frozenset(kind or EACH), names)
    return Stream(server, key_text(request.headers), server.snapshot.feed.stream(last_event_id, wanted))


class Stream(StreamingResponse):
    """Events while the key is valid, if there are not too many streams; counted as long as it lasts."""

    def __init__(self, server: Any, key: str, pieces: AsyncIterator[bytes]) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(self._allowed(pieces), media_type="text/event-stream", headers=headers)
        self._server, self._key = server, key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        feed, most = self._server.snapshot.feed, self._server.settings.serving.max_event_streams
        if feed.readers >= most:
            raise Unavailable(f"There are {most} streams of events already.")
        feed.readers += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            feed.readers -= 1

    async def _allowed(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for piece in pieces:
            if self._server.auth and self._server.keys.check(self._key) is None:
                return
            yield piece
