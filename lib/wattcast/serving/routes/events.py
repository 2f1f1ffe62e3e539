"""GET /v1/events: new forecasts, alerts and arrivals as server-sent events."""

from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from wattcast.serving.events import Event, EventFilter
from wattcast.serving.problems import Unavailable
from wattcast.serving.routes.dependencies import Access, State
from wattcast.serving.schemas.parameters import MAX_ID_LENGTH
from wattcast.serving.security.keys import key_text
from wattcast.serving.state import ServingState
from wattcast.serving.tables.view import LakeView

router = APIRouter(tags=["events"])
Kind = Literal["forecast", "alert", "as_of", "forecasts"]
DEFAULT_KINDS: tuple[Kind, ...] = ("forecast", "alert", "as_of")
MAX_KINDS = 4


@router.get(
    "/v1/events", summary="New forecasts, alerts and arrivals as they come", response_class=Response,
    responses={
        200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "Events, without end"}
    },
)  # fmt: skip
async def events(
    request: Request,
    state: State,
    access: Access,
    last_event_id: Annotated[str | None, Header(max_length=100)] = None,
    building_id: Annotated[list[str] | None, Query(max_length=100, description="Only of these buildings")] = None,
    kind: Annotated[
        list[Kind] | None,
        Query(max_length=MAX_KINDS, description="Only of these kinds; default: forecast, alert and as_of"),
    ] = None,
) -> Response:
    """Server-sent events. `Last-Event-ID` continues where a connection broke; a `missed` event says that some events are no
    longer kept. `forecasts` is one event for all new forecasts of a commit; a key of some buildings does not get it."""
    building_ids = frozenset(name[:MAX_ID_LENGTH] for name in building_id or ())
    is_wanted = EventFilter(frozenset(kind or DEFAULT_KINDS), building_ids)

    def accepts(event: Event) -> bool:
        return is_wanted(event) and is_visible(event, state.views.of(access))

    return EventStream(state, key_text(request.headers), state.snapshot.events.stream(last_event_id, accepts))


def is_visible(event: Event, lake: LakeView) -> bool:
    """Whether an event concerns visible buildings only; `forecasts`, which counts those of all buildings, does not."""
    if lake.buildings is None or event.kind == "as_of":
        return True
    return lake.buildings.has_subject(event.data) if event.kind == "alert" else lake.has_building(event.building_id)


class EventStream(StreamingResponse):
    """Sends events as long as the API key is valid. It counts as open until the connection ends."""

    def __init__(self, state: ServingState, key: str, chunks: AsyncIterator[bytes]) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(self._while_key_is_valid(chunks), media_type="text/event-stream", headers=headers)
        self._state, self._key = state, key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        feed, max_streams = self._state.snapshot.events, self._state.settings.serving.max_event_streams
        if feed.open_streams >= max_streams:
            raise Unavailable(f"The maximum of {max_streams} event streams is already open.")
        feed.open_streams += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            feed.open_streams -= 1

    async def _while_key_is_valid(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            if self._state.auth and self._state.keys.authenticate(self._key) is None:
                return
            yield chunk
