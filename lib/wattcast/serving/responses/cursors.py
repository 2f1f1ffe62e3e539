"""Opaque page cursors: the sort key of a page's last row, as text that only this API reads."""

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from wattcast.serving.problems import Problem


def encode_cursor(list_name: str, last_key: Sequence[Any]) -> str:
    """A cursor that points behind the row with these key values, in the list of this name."""
    values = [value.isoformat() if isinstance(value, datetime) else value for value in last_key]
    return base64.urlsafe_b64encode(json.dumps([list_name, *values]).encode()).decode().rstrip("=")


def decode_cursor(list_name: str, cursor: str, types: Sequence[type]) -> list[Any]:
    """The key values of a cursor.

    Raises:
        Problem: the cursor is damaged or belongs to another list.
    """
    invalid = Problem(400, f"The cursor is not valid for the list {list_name}: repeat the request without the cursor.")
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        name, *values = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if name != list_name or len(values) != len(types):
            raise invalid
        return [_typed(value, expected) for value, expected in zip(values, types, strict=True)]
    except (ValueError, TypeError, binascii.Error, UnicodeDecodeError, OverflowError, RecursionError) as error:
        raise invalid from error


def _typed(value: Any, expected: type) -> Any:
    if expected is datetime:
        return datetime.fromisoformat(value).astimezone(UTC)
    if type(value) is not expected or (isinstance(value, int) and not 0 <= value < 2**63):
        raise ValueError("the value has another type")
    if isinstance(value, str):
        value.encode()  # raises for an unpaired surrogate
    return value
