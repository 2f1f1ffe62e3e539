"""Rows as JSON, CSV or Arrow; each encoding holds the same values."""

import io
import json
import math
from collections.abc import Iterable
from datetime import UTC, datetime
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import pyarrow as pa
from pyarrow import csv, ipc
from pydantic import BaseModel

ARROW_TYPES = {
    str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_(), datetime: pa.timestamp("us", "UTC"),
}  # fmt: skip


def timestamp(time: datetime) -> str:
    """A time as RFC 3339 in UTC, such as 2026-03-15T00:00:00Z."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def to_json(value: Any) -> bytes:
    """Compact JSON: times are RFC 3339 in UTC, numbers that are not finite become null."""
    try:
        return ENCODER.encode(value).encode()
    except ValueError:
        return ENCODER.encode(_with_nulls(value)).encode()


def to_csv(table: pa.Table) -> bytes:
    """CSV with a header: the elements of a list are separated by a space, times are RFC 3339."""
    columns = [pa.array([_csv_cell(value) for value in column.to_pylist()], pa.string()) for column in table.columns]
    sink = io.BytesIO()
    csv.write_csv(pa.Table.from_arrays(columns, names=table.schema.names), sink)
    return sink.getvalue()


def to_arrow_stream(table: pa.Table) -> bytes:
    """An Arrow IPC stream."""
    sink = io.BytesIO()
    with ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def arrow_schema(model: type[BaseModel]) -> pa.Schema:
    """The Arrow schema of rows of a pydantic model."""
    return pa.schema([pa.field(name, _arrow_type(field.annotation)) for name, field in model.model_fields.items()])


def _arrow_type(annotation: Any) -> pa.DataType:
    arguments = [argument for argument in get_args(annotation) or (annotation,) if argument is not NoneType]
    if get_origin(annotation) is list:
        return pa.list_(_arrow_type(arguments[0]))
    if get_origin(annotation) is dict:
        return pa.map_(pa.string(), _arrow_type(arguments[1]))
    if get_origin(annotation) is Literal or get_origin(arguments[0]) is Literal:
        return pa.string()
    return ARROW_TYPES[arguments[0]] if arguments[0] in ARROW_TYPES else _arrow_type(arguments[0])


def _json_default(value: Any) -> Any:
    if isinstance(value, datetime):
        return timestamp(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


ENCODER = json.JSONEncoder(default=_json_default, allow_nan=False, separators=(",", ":"))


def _with_nulls(value: Any) -> Any:
    """The value with null in place of numbers that are not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _with_nulls(member) for name, member in value.items()}
    return [_with_nulls(member) for member in value] if isinstance(value, list | tuple) else value


def _csv_cell(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return timestamp(value)
    if isinstance(value, Iterable) and not isinstance(value, str):
        return " ".join(f"{item[0]}={item[1]}" if isinstance(item, tuple) else str(item) for item in value)
    return None if value is None else str(value)
