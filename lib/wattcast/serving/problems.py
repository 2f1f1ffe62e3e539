"""Errors as responses: application/problem+json (RFC 9457) with one sentence each, never a traceback."""

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
MAX_TEXT_LENGTH, MAX_ERRORS, MAX_LOCATION_PARTS = 200, 20, 10


class Problem(Exception):
    """A request that cannot be answered; `detail` is a sentence for the client."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, dict(headers or {})


class Unavailable(Problem):
    """The response needs something that is not available now, such as a table or a model: 503 with Retry-After."""

    def __init__(self, detail: str) -> None:
        super().__init__(HTTPStatus.SERVICE_UNAVAILABLE, detail, {"Retry-After": "5"})


def problem_response(
    status: int, detail: str, *, headers: Mapping[str, str] | None = None, errors: list[dict[str, str]] | None = None
) -> Response:
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if errors:
        body["errors"] = errors
    return Response(json.dumps(body), status, dict(headers or {}), MEDIA_TYPE)


def register_handlers(app: FastAPI) -> None:
    """Turn every error of the app into a problem response."""
    app.exception_handler(Problem)(_problem)
    app.exception_handler(HTTPException)(_http_error)
    app.exception_handler(RequestValidationError)(_validation_error)
    app.exception_handler(Exception)(_bug)


async def _problem(_: Request, problem: Problem) -> Response:
    return problem_response(problem.status, problem.detail, headers=problem.headers)


async def _http_error(request: Request, error: HTTPException) -> Response:
    path = _shortened(request.url.path)
    details = {
        HTTPStatus.NOT_FOUND: f"The path {path} does not exist.",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{path} does not support the method {request.method}.",
    }
    detail = details.get(HTTPStatus(error.status_code), str(error.detail))
    return problem_response(error.status_code, detail, headers=error.headers)


async def _validation_error(_: Request, error: RequestValidationError) -> Response:
    errors = [
        {"at": _shortened(".".join(map(str, item["loc"][:MAX_LOCATION_PARTS]))), "what": _shortened(str(item["msg"]))}
        for item in error.errors()[:MAX_ERRORS]
    ]
    first = errors[0]
    return problem_response(HTTPStatus.UNPROCESSABLE_ENTITY, f"{first['at']}: {first['what']}.", errors=errors)


async def _bug(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem_response(
        HTTPStatus.INTERNAL_SERVER_ERROR, "The server failed on this request. Its log has the details."
    )


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_TEXT_LENGTH else f"{text[:MAX_TEXT_LENGTH]}..."
