"""The server itself: liveness, readiness, metrics, and the dashboard's page."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import FileResponse, Response

from wattcast.serving.problems import Problem, Unavailable
from wattcast.serving.responses.encodings import to_json
from wattcast.serving.responses.negotiated import JSON_TYPE
from wattcast.serving.routes.dependencies import State
from wattcast.serving.schemas.base import ServerStatus
from wattcast.serving.tables.snapshot import Snapshot

router = APIRouter()
INDEX = Path(__file__).parents[1] / "static" / "index.html"


@router.get("/", include_in_schema=False)
async def dashboard() -> Response:
    if not INDEX.is_file():
        raise Problem(404, "The dashboard is not installed.")
    return FileResponse(INDEX, headers={"Cache-Control": "no-cache"})


@router.get("/healthz", tags=["server"], summary="Whether the server is alive")
async def healthz(state: State) -> dict[str, str]:
    if state.snapshot.has_died:
        raise Unavailable("The thread that reads the tables has ended: restart the server.")
    return {"status": "alive"}


@router.get(
    "/readyz", tags=["server"], summary="Whether the server can answer", response_model=ServerStatus,
    responses={503: {"model": ServerStatus, "description": "No data was read yet, or no new data will be read any more"}},
)  # fmt: skip
async def readyz(state: State) -> Response:
    body = server_status(state.snapshot)
    status = 503 if body["status"] in ("starting", "stopped") else 200
    return Response(to_json(body), status, media_type=JSON_TYPE, headers={"Cache-Control": "no-store"})


def server_status(snapshot: Snapshot) -> dict[str, Any]:
    """`ready`; `degraded` while tables have problems and their last state is served; `starting` before the forecasts were read;
    `stopped` when the thread that reads the tables has ended."""
    state, problems = snapshot.state, dict(snapshot.tables.problems)
    if overdue := snapshot.overdue_seconds():
        problems["refresh"] = f"The tables were last read {overdue:.0f} seconds ago."
    age = (datetime.now(UTC) - state.read_at).total_seconds() if state.read_at else None
    running = "starting" if "forecasts" not in state.latest else "degraded" if problems else "ready"
    status = "stopped" if snapshot.has_died else running
    return {"status": status, "as_of": state.as_of, "snapshot_age_seconds": age, "problems": problems}


@router.get(
    "/metrics", tags=["server"], summary="Metrics for Prometheus", response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Metrics"}},
)  # fmt: skip
async def metrics(state: State) -> Response:
    return Response(state.metrics.exposition(), media_type=CONTENT_TYPE_LATEST)
