"""The server itself: whether it lives and is ready, its metrics, its events, the dashboard."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import FileResponse, Response, StreamingResponse

from wattcast.serving.asked import LONGEST_ID, Lake, Server
from wattcast.serving.feed import Event
from wattcast.serving.formats import as_json
from wattcast.serving.problems import Problem, Unavailable
from wattcast.serving.schemas import Standing
from wattcast.serving.snapshot import NEEDED, Snapshot

router = APIRouter()
INDEX = Path(__file__).parent / "static" / "index.html"
Kind = Literal["forecast", "alert", "as_of"]


@router.get("/", include_in_schema=False)
async def dashboard() -> Response:
    if not INDEX.is_file():
        raise Problem(404, "The dashboard is not installed.")
    return FileResponse(INDEX, headers={"Cache-Control": "no-cache"})


@router.get("/healthz", tags=["server"], summary="Whether the server lives")
async def healthz() -> dict[str, str]:
    return {"status": "alive"}


@router.get(
    "/readyz", tags=["server"], summary="Whether it can answer", response_model=Standing,
    responses={503: {"model": Standing, "description": "Nothing can be answered yet"}},
)  # fmt: skip
async def readyz(lake: Lake) -> Response:
    found = standing(lake)
    status = 503 if found["status"] == "starting" else 200
    return Response(as_json(found), status, media_type="application/json", headers={"Cache-Control": "no-store"})


def standing(lake: Snapshot) -> dict[str, Any]:
    """Ready, degraded where an older state goes on being served, or starting."""
    state, problems = lake.state, dict(lake.lake.problems)
    is_ready = "forecasts" in state.parts
    age = (datetime.now(UTC) - state.looked_at).total_seconds() if state.looked_at else None
    needs = any(name in problems for name in NEEDED) or bool(problems)
    status = "starting" if not is_ready else "degraded" if needs else "ready"
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
    kind: Annotated[list[Kind] | None, Query(description="Only of these kinds")] = None,
) -> Response:
    """Server-sent events. `Last-Event-ID` goes on where a connection broke; `missed` says that events are forgotten."""
    feed, most = server.snapshot.feed, server.settings.serving.max_event_streams
    if feed.readers >= most:
        raise Unavailable(f"There are {most} streams of events already.")
    names = {name[:LONGEST_ID] for name in building_id or ()}

    def wanted(event: Event) -> bool:
        return (not kind or event.kind in kind) and (
            not names or event.building_id is None or event.building_id in names
        )

    async def body() -> AsyncIterator[bytes]:
        async for chunk in feed.stream(last_event_id, wanted):
            yield chunk

    return StreamingResponse(
        body(), media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )
