"""Responses in the format that the client prefers, with an ETag."""

import hashlib
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import pyarrow as pa
from fastapi import Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from wattcast.serving.responses.encodings import arrow_schema, to_arrow_stream, to_csv, to_json

Format = Literal["json", "csv", "arrow"]
JSON_TYPE, CSV_TYPE, ARROW_TYPE = "application/json", "text/csv", "application/vnd.apache.arrow.stream"
FORMAT_OF_MEDIA_TYPE: dict[str, Format] = {
    JSON_TYPE: "json", "application/*": "json", "*/*": "json", CSV_TYPE: "csv", ARROW_TYPE: "arrow",
}  # fmt: skip
QUALITY_VALUE = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?", re.ASCII)

NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "The client already has this response: its ETag is in If-None-Match"}
}
ANY_FORMAT: dict[int | str, dict[str, Any]] = NOT_MODIFIED | {
    200: {
        "content": {
            CSV_TYPE: {"schema": {"type": "string"}},
            ARROW_TYPE: {"schema": {"type": "string", "format": "binary"}},
        }
    }
}

FormatParameter = Annotated[
    Format | None, Query(alias="format", description="json, csv or arrow; default: by the Accept header, else json")
]


def negotiated_format(request: Request, parameter: Format | None) -> Format:
    """The format of the response: the parameter `format`, else the preferred one of the Accept header, else JSON."""
    if parameter:
        return parameter
    accepted: list[tuple[float, Format]] = [(0.0, "json")]
    for entry in request.headers.get("accept", "").split(","):
        media_type, *parameters = entry.replace(" ", "").lower().split(";")
        if media_type in FORMAT_OF_MEDIA_TYPE:
            accepted.append((_quality(parameters), FORMAT_OF_MEDIA_TYPE[media_type]))
    return max(accepted, key=lambda candidate: candidate[0])[1]


def _quality(parameters: list[str]) -> float:
    """The quality value of a media type (RFC 9110)."""
    text = next((item.removeprefix("q=") for item in parameters if item.startswith("q=")), "1")
    return float(text) if QUALITY_VALUE.fullmatch(text) else 0.0


def list_response(
    request: Request,
    rows: Sequence[dict[str, Any]],
    model: type[BaseModel],
    *,
    format_parameter: Format | None,
    next_cursor: str | None = None,
    tag: object = None,
) -> Response:
    """A list of rows of `model`. `tag` stands for the content in the ETag where parts of the content, such as an age, change
    with every request and must not count."""
    headers = {"Wattcast-Next-Cursor": next_cursor} if next_cursor else {}
    form = negotiated_format(request, format_parameter)
    if form == "json":
        body = to_json({"items": rows, "next_cursor": next_cursor})
        return etag_response(request, body, JSON_TYPE, headers=headers, tag=tag)
    table = pa.Table.from_pylist(list(rows), schema=arrow_schema(model))
    body, media_type = (to_csv(table), CSV_TYPE) if form == "csv" else (to_arrow_stream(table), ARROW_TYPE)
    return etag_response(request, body, media_type, headers=headers, tag=None if tag is None else (form, tag))


def etag_response(
    request: Request,
    body: bytes,
    media_type: str = JSON_TYPE,
    *,
    headers: dict[str, str] | None = None,
    tag: object = None,
) -> Response:
    """The body with its ETag, or 304 where the client already has it."""
    tagged_content = body if tag is None else repr(tag).encode()
    etag = f'W/"{hashlib.blake2b(tagged_content, digest_size=12).hexdigest()}"'
    all_headers = {
        "ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Accept, Accept-Encoding, Authorization", **(headers or {})
    }  # fmt: skip
    if etag_matches(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=all_headers)
    return Response(body, media_type=media_type, headers=all_headers)


def etag_matches(if_none_match: str, etag: str) -> bool:
    """Whether the If-None-Match header lists this ETag, by weak comparison (RFC 9110)."""
    etags = {item.strip().removeprefix("W/") for item in if_none_match.split(",")}
    return "*" in etags or etag.removeprefix("W/") in etags
