"""Opaque cursors: where a page ended, as text that only this API reads."""

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from wattcast.serving.problems import Problem


def written(kind: str, last: Sequence[Any]) -> str:
    """A cursor behind the row with these key values; `kind` names the list that it belongs to."""
    values = [each.isoformat() if isinstance(each, datetime) else each for each in last]
    return base64.urlsafe_b64encode(json.dumps([kind, *values]).encode()).decode().rstrip("=")


def read(kind: str, cursor: str, types: Sequence[type]) -> list[Any]:
    """The key values of a cursor.

    Raises:
        Problem: it is none of this list.
    """
    bad = Problem(400, f"The cursor is none that this list of {kind} has given: begin without one.")
    try:
        found = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        name, *values = found
        if name != kind or len(values) != len(types):
            raise bad
        return [_typed(value, wanted) for value, wanted in zip(values, types, strict=True)]
    except (ValueError, TypeError, binascii.Error, UnicodeDecodeError, OverflowError, RecursionError) as error:
        raise bad from error


def _typed(value: Any, wanted: type) -> Any:
    if wanted is datetime:
        return datetime.fromisoformat(value).astimezone(UTC)
    if type(value) is not wanted or (isinstance(value, int) and not 0 <= value < 2**63):
        raise ValueError("of another type")
    if isinstance(value, str):
        value.encode()  # raises for half of a surrogate pair
    return value
