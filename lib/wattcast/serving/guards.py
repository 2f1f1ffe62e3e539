"""What stands before every route: keys, rates, sizes and the patience with slow senders; and what is measured behind."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wattcast.serving.formats import timestamp
from wattcast.serving.keys import key_text
from wattcast.serving.problems import answer

PROBES = ("/healthz", "/readyz")
OPEN = ("/", "/openapi.json", *PROBES)
EVENTS = "/v1/events"
PIECE_BYTES = 64 * 1024  # of an answer: the next one waits until the client has taken this one
REMEMBERED = 10_000
LARGE = "The body is larger than this server takes."
SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # of what says nothing of its own: a page never mixes files of two versions
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'",
}


@dataclass
class Bucket:
    tokens: float
    at: float


class Rates:
    """A token bucket by key or address; the longest unused are forgotten."""

    def __init__(self, per_second: float, burst: float) -> None:
        self._per_second, self._burst = per_second, burst
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def wait_seconds(self, name: str) -> float:
        """0 where a request may pass, else when to come back."""
        now = time.monotonic()
        bucket = self._buckets.pop(name, None) or Bucket(self._burst, now)
        self._buckets[name] = bucket
        if len(self._buckets) > REMEMBERED:
            self._buckets.popitem(last=False)
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.at) * self._per_second)
        bucket.at = now
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / self._per_second
        bucket.tokens -= 1
        return 0.0


class Guards:
    """The outermost middleware."""

    def __init__(self, app: ASGIApp, serving: Any) -> None:
        self._app, self._serving = app, serving
        options = serving.settings.serving
        self._rates = Rates(options.requests_per_second, options.burst)
        self._most_bytes = options.max_body_megabytes * 1_000_000
        self._patience = options.slow_client_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        if scope["method"] == "HEAD" and scope["path"] != EVENTS:
            scope = {**scope, "method": "GET"}  # whose body the server below leaves out

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._head(message)
            for piece in pieces(message):
                await send(piece)

        refused = self._refused(scope)
        try:
            if refused is not None:
                await refused(scope, receive, sending)
            else:
                await self._app(scope, self._bounded(receive), sending)
        finally:
            route = getattr(scope.get("route"), "path", "other").replace(":path", "")
            self._serving.measured.seconds.labels(_method(scope), route, f"{status // 100}xx").observe(
                time.perf_counter() - began
            )

    def _head(self, message: Message) -> None:
        headers = MutableHeaders(scope=message)
        for name, value in SECURITY.items():
            headers.setdefault(name, value)
        if as_of := self._serving.snapshot.state.as_of:
            headers["Wattcast-As-Of"] = timestamp(as_of)
        if problems := self._serving.snapshot.lake.unreadable():
            headers["Wattcast-Unreadable"] = ", ".join(
                f"{name};read={timestamp(at) if at else 'never'}" for name, at in sorted(problems.items())
            )

    def _refused(self, scope: Scope) -> Response | None:
        """The answer to a request that may not pass."""
        path, headers = scope["path"], Headers(scope=scope)
        if (
            headers.get("content-length", "0").isdecimal()
            and int(headers.get("content-length", "0")) > self._most_bytes
        ):
            return self._refusal("size", 413, LARGE)
        if not self._serving.auth or path in OPEN or path.startswith("/static/"):
            return None
        text = key_text(headers)
        key = self._serving.keys.check(text) if text else None
        client = (scope.get("client") or ("unknown",))[0]
        if wait := self._rates.wait_seconds(f"key {key.key_id}" if key else f"address {client}"):
            return self._refusal("rate", 429, "Too many requests.", {"Retry-After": str(max(1, round(wait + 0.5)))})
        if key is None:
            said = "The key is wrong or was revoked." if text else "A key is needed: Authorization: Bearer KEY."
            return self._refusal("key", 401, said, {"WWW-Authenticate": "Bearer"})
        needed = "metrics" if path == "/metrics" else "forecast" if scope["method"] == "POST" else "read"
        if needed not in key.scopes:
            return self._refusal("scope", 403, f"The key has not the scope {needed}.")
        return None

    def _refusal(self, why: str, status: int, said: str, headers: dict[str, str] | None = None) -> Response:
        self._serving.measured.refused.labels(why).inc()
        return answer(status, said, headers=headers)

    def _bounded(self, receive: Receive) -> Receive:
        """The whole body in time and in bounds; after it, a disconnection is waited for without an end."""
        received, is_whole, until = 0, False, asyncio.get_running_loop().time() + self._patience

        async def bounded() -> Message:
            nonlocal received, is_whole
            if is_whole:
                return await receive()
            try:
                async with asyncio.timeout_at(until):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, f"The body did not come within {self._patience} seconds.") from None
            received += len(message.get("body", b""))
            is_whole = not message.get("more_body", False)
            if received > self._most_bytes:
                raise HTTPException(413, LARGE)
            return message

        return bounded


def pieces(message: Message) -> Iterator[Message]:
    """A message of an answer, cut where its body is large."""
    body = message.get("body", b"")
    if len(body) <= PIECE_BYTES:
        yield message
        return
    for at in range(0, len(body), PIECE_BYTES):
        is_last = at + PIECE_BYTES >= len(body)
        yield {**message, "body": body[at : at + PIECE_BYTES], "more_body": message.get("more_body") or not is_last}


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in ("GET", "HEAD", "POST", "OPTIONS") else "other"
