"""Answers as JSON, CSV or Arrow, with an ETag: the same rows in each."""

import hashlib
import io
import json
import math
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

import pyarrow as pa
from fastapi import Query, Request
from pyarrow import csv, ipc
from pydantic import BaseModel
from starlette.responses import Response

Format = Literal["json", "csv", "arrow"]
CSV_TYPE, ARROW_TYPE = "text/csv", "application/vnd.apache.arrow.stream"
ARROW = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_(), datetime: pa.timestamp("us", "UTC")}

OFFERED: dict[str, Format] = {
    "application/json": "json", "application/*": "json", "*/*": "json", CSV_TYPE: "csv", ARROW_TYPE: "arrow",
}  # fmt: skip
QUALITY = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?", re.ASCII)

NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "The client has it already, by If-None-Match"}}
IN_ANY_FORMAT: dict[int | str, dict[str, Any]] = NOT_MODIFIED | {
    200: {
        "content": {
            CSV_TYPE: {"schema": {"type": "string"}},
            ARROW_TYPE: {"schema": {"type": "string", "format": "binary"}},
        }
    }
}

Asked = Annotated[Format | None, Query(alias="format", description="json, csv or arrow; else by the header Accept")]


def format_of(request: Request, asked: Format | None) -> Format:
    """The format that is asked for: by ?format=, else by Accept, else JSON."""
    if asked:
        return asked
    wanted: list[tuple[float, Format]] = [(0.0, "json")]
    for each in request.headers.get("accept", "").split(","):
        media, *parameters = each.replace(" ", "").lower().split(";")
        if media in OFFERED:
            wanted.append((_quality(parameters), OFFERED[media]))
    return max(wanted, key=lambda each: each[0])[1]


def _quality(parameters: list[str]) -> float:
    """How much a media type is wanted; RFC 9110."""
    text = next((each.removeprefix("q=") for each in parameters if each.startswith("q=")), "1")
    return float(text) if QUALITY.fullmatch(text) else 0.0


def items(
    request: Request,
    found: Sequence[dict[str, Any]],
    model: type[BaseModel],
    *,
    asked: Format | None,
    next_cursor: str | None = None,
    tag: object = None,
) -> Response:
    """A list of rows of `model`; `tag` stands for the content in the ETag where some of it, such as an age, is not to count."""
    headers = {"Wattcast-Next-Cursor": next_cursor} if next_cursor else {}
    form = format_of(request, asked)
    if form == "json":
        body = as_json({"items": found, "next_cursor": next_cursor})
        return tagged(request, body, "application/json", headers=headers, tag=tag)
    table = pa.Table.from_pylist(list(found), schema=arrow_schema(model))
    body, media = (as_csv(table), CSV_TYPE) if form == "csv" else (as_arrow(table), ARROW_TYPE)
    return tagged(request, body, media, headers=headers, tag=None if tag is None else (form, tag))


def tagged(
    request: Request, body: bytes, media_type: str, *, headers: dict[str, str] | None = None, tag: object = None
) -> Response:
    """The body with its ETag, or 304 where the client has it already."""
    named = body if tag is None else repr(tag).encode()
    etag = f'W/"{hashlib.blake2b(named, digest_size=12).hexdigest()}"'
    all_headers = {
        "ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Accept, Accept-Encoding, Authorization", **(headers or {})
    }  # fmt: skip
    if has(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=all_headers)
    return Response(body, media_type=media_type, headers=all_headers)


def has(if_none_match: str, etag: str) -> bool:
    """Whether the header If-None-Match names this ETag; weakly compared, as RFC 9110 has it."""
    named = {each.strip().removeprefix("W/") for each in if_none_match.split(",")}
    return "*" in named or etag.removeprefix("W/") in named


def as_json(value: Any) -> bytes:
    """JSON, in which a time is RFC 3339 in UTC and a number that is not finite is null."""
    try:
        return ENCODER.encode(value).encode()
    except ValueError:
        return ENCODER.encode(_finite(value)).encode()


def as_csv(table: pa.Table) -> bytes:
    """CSV with a header; the elements of a list are separated by a space, times are RFC 3339."""
    columns = [pa.array([_cell(value) for value in column.to_pylist()], pa.string()) for column in table.columns]
    sink = io.BytesIO()
    csv.write_csv(pa.Table.from_arrays(columns, names=table.schema.names), sink)
    return sink.getvalue()


def as_arrow(table: pa.Table) -> bytes:
    """An Arrow IPC stream."""
    sink = io.BytesIO()
    with ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def arrow_schema(model: type[BaseModel]) -> pa.Schema:
    return pa.schema([pa.field(name, _arrow_type(each.annotation)) for name, each in model.model_fields.items()])


def timestamp(time: datetime) -> str:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _arrow_type(annotation: Any) -> pa.DataType:
    kinds = [each for each in get_args(annotation) or (annotation,) if each is not NoneType]
    if get_origin(annotation) is list:
        return pa.list_(_arrow_type(kinds[0]))
    if get_origin(annotation) is dict:
        return pa.map_(pa.string(), _arrow_type(kinds[1]))
    if get_origin(annotation) is Literal or get_origin(kinds[0]) is Literal:
        return pa.string()
    return ARROW[kinds[0]] if kinds[0] in ARROW else _arrow_type(kinds[0])


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return timestamp(value)
    raise TypeError(f"{type(value).__name__} is no JSON")


ENCODER = json.JSONEncoder(default=_plain, allow_nan=False, separators=(",", ":"))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value


def _cell(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return timestamp(value)
    if isinstance(value, Iterable) and not isinstance(value, str):
        return " ".join(f"{each[0]}={each[1]}" if isinstance(each, tuple) else str(each) for each in value)
    return None if value is None else str(value)
