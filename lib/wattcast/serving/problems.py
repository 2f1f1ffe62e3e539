"""Errors as answers: application/problem+json (RFC 9457), a sentence each and never a traceback."""

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

log = logging.getLogger("wattcast.serving")

MEDIA_TYPE = "application/problem+json"
SHOWN_LETTERS, SHOWN_ERRORS, DEEPEST = 200, 20, 10


class Problem(Exception):
    """A request that cannot be answered as asked; `detail` is a sentence for whoever asked."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, dict(headers or {})


class Unavailable(Problem):
    """What the answer needs is not there now: a table, the lake, a model."""

    def __init__(self, detail: str) -> None:
        super().__init__(HTTPStatus.SERVICE_UNAVAILABLE, detail, {"Retry-After": "5"})


def answer(
    status: int, detail: str, *, headers: Mapping[str, str] | None = None, errors: list[dict[str, str]] | None = None
) -> Response:
    """The problem as a response."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if errors:
        body["errors"] = errors
    return Response(json.dumps(body), status, dict(headers or {}), MEDIA_TYPE)


def register(app: FastAPI) -> None:
    """Every error of the app becomes a problem."""

    @app.exception_handler(Problem)
    async def of_problem(_: Request, problem: Problem) -> Response:
        return answer(problem.status, problem.detail, headers=problem.headers)

    @app.exception_handler(HTTPException)
    async def of_http(request: Request, error: HTTPException) -> Response:
        said = {
            HTTPStatus.NOT_FOUND: f"There is nothing at {_shown(request.url.path)}.",
            HTTPStatus.METHOD_NOT_ALLOWED: f"{_shown(request.url.path)} does not take {request.method}.",
        }
        return answer(
            error.status_code, said.get(HTTPStatus(error.status_code), str(error.detail)), headers=error.headers
        )

    @app.exception_handler(RequestValidationError)
    async def of_validation(_: Request, error: RequestValidationError) -> Response:
        errors = [
            {"at": _shown(".".join(map(str, each["loc"][:DEEPEST]))), "what": _shown(str(each["msg"]))}
            for each in error.errors()[:SHOWN_ERRORS]
        ]
        first = errors[0]
        return answer(422, f"{first['at']}: {first['what']}.", errors=errors)

    @app.exception_handler(Exception)
    async def of_bug(request: Request, error: Exception) -> Response:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return answer(500, "The server has a fault, which is in its log.")


def _shown(text: str) -> str:
    return text if len(text) <= SHOWN_LETTERS else f"{text[:SHOWN_LETTERS]}..."
