"""The outermost middleware: API keys, rate limits, body sizes, deadlines of slow senders, headers and request metrics."""

import asyncio
import time
from collections.abc import Iterator
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wattcast.serving.problems import problem_response
from wattcast.serving.responses.encodings import timestamp
from wattcast.serving.security.connections import PROBES
from wattcast.serving.security.keys import API_KEY, METRICS_OF_ALL, key_text
from wattcast.serving.security.rate_limit import RateLimiter
from wattcast.serving.state import ServingState

PUBLIC_PATHS = ("/", "/openapi.json", *PROBES)
EVENTS_PATH = "/v1/events"
CHUNK_BYTES = 64 * 1024  # of a response body: the next chunk waits until the client has read this one
BODY_TOO_LARGE = "The request body is larger than this server accepts."
DEFAULT_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # unless the response sets its own: a page never mixes files of two versions
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'",
}


class ApiMiddleware:
    """Refuses requests before any route runs, and measures the ones that pass."""

    def __init__(self, app: ASGIApp, state: ServingState) -> None:
        self._app, self._state = app, state
        options = state.settings.serving
        self._rates = RateLimiter(options.requests_per_second, options.burst)
        self._max_bytes = options.max_body_megabytes * 1_000_000
        self._body_timeout_seconds = options.slow_client_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), HTTPStatus.INTERNAL_SERVER_ERROR.value
        if scope["method"] == "HEAD" and scope["path"] != EVENTS_PATH:
            scope = {**scope, "method": "GET"}  # uvicorn leaves out the body of the response

        async def send_chunked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._add_headers(message)
            for chunk in chunks(message):
                await send(chunk)

        refusal = self._refusal(scope)
        try:
            if refusal is not None:
                await refusal(scope, receive, send_chunked)
            else:
                await self._app(scope, self._bounded(receive), send_chunked)
        finally:
            route = getattr(scope.get("route"), "path", "other").replace(":path", "")
            labels = (_method(scope), route, f"{status // 100}xx")
            self._state.metrics.request_seconds.labels(*labels).observe(time.perf_counter() - started)

    def _add_headers(self, message: Message) -> None:
        headers = MutableHeaders(scope=message)
        for name, value in DEFAULT_HEADERS.items():
            headers.setdefault(name, value)
        snapshot = self._state.snapshot
        if as_of := snapshot.state.as_of:
            headers["Wattcast-As-Of"] = timestamp(as_of)
        if unreadable := snapshot.tables.unreadable():
            headers["Wattcast-Unreadable"] = ", ".join(
                f"{name};read={timestamp(at) if at else 'never'}" for name, at in sorted(unreadable.items())
            )

    def _refusal(self, scope: Scope) -> Response | None:
        """The response to a request that must not reach a route, else None; then the scope has the API key for the routes."""
        path, headers = scope["path"], Headers(scope=scope)
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._max_bytes:
            return self._refused("size", HTTPStatus.REQUEST_ENTITY_TOO_LARGE, BODY_TOO_LARGE)
        if not self._state.auth:
            scope[API_KEY] = None
            return None
        if path in PUBLIC_PATHS or path.startswith("/static/"):
            return None
        text = key_text(headers)
        key = self._state.keys.authenticate(text) if text else None
        address = (scope.get("client") or ("unknown",))[0]
        if wait := self._rates.wait_seconds(f"key {key.key_id}" if key else f"address {address}"):
            retry = {"Retry-After": str(max(1, round(wait + 0.5)))}
            return self._refused("rate", HTTPStatus.TOO_MANY_REQUESTS, "Too many requests.", retry)
        if key is None:
            detail = "The API key is wrong or was revoked." if text else "Send an API key: Authorization: Bearer KEY."
            return self._refused("key", HTTPStatus.UNAUTHORIZED, detail, {"WWW-Authenticate": "Bearer"})
        required = "metrics" if path == "/metrics" else "forecast" if scope["method"] == "POST" else "read"
        if required not in key.scopes:
            return self._refused("scope", HTTPStatus.FORBIDDEN, f"The API key does not have the scope {required}.")
        if required == "metrics" and key.access.is_restricted:
            return self._refused("scope", HTTPStatus.FORBIDDEN, METRICS_OF_ALL)
        scope[API_KEY] = key
        return None

    def _refused(self, reason: str, status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
        self._state.metrics.refused.labels(reason).inc()
        return problem_response(status, detail, headers=headers)

    def _bounded(self, receive: Receive) -> Receive:
        """Receives a body of bounded size by one deadline; once it is complete, waits for a disconnect without a limit."""
        received, is_complete = 0, False
        deadline = asyncio.get_running_loop().time() + self._body_timeout_seconds

        async def bounded() -> Message:
            nonlocal received, is_complete
            if is_complete:
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                detail = f"The request body did not arrive within {self._body_timeout_seconds} seconds."
                raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, detail) from None
            received += len(message.get("body", b""))
            is_complete = not message.get("more_body", False)
            if received > self._max_bytes:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, BODY_TOO_LARGE)
            return message

        return bounded


def chunks(message: Message) -> Iterator[Message]:
    """A message of a response, split where its body is larger than CHUNK_BYTES."""
    body = message.get("body", b"")
    if len(body) <= CHUNK_BYTES:
        yield message
        return
    for start in range(0, len(body), CHUNK_BYTES):
        is_last = start + CHUNK_BYTES >= len(body)
        yield {
            **message,
            "body": body[start : start + CHUNK_BYTES],
            "more_body": message.get("more_body") or not is_last,
        }


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in ("GET", "HEAD", "POST", "OPTIONS") else "other"
