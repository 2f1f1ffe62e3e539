"""The JSON of a request body, by the rules by which ingest reads a message."""

import json
import re
from typing import Any

LONG_NUMBER = re.compile(rb"[0-9.eE+-]{1001}")  # longer numbers are no JSON to the parser of ingest


class NotJson(ValueError):
    """A body that is not JSON, as a sentence."""


def json_content(body: bytes) -> Any:
    """The value in a body: UTF-8, each field once, no NaN or Infinity, no number of more than 1,000 characters.

    Raises:
        NotJson: the body is anything else.
    """
    if LONG_NUMBER.search(body):
        raise NotJson("it has a number of more than 1,000 characters.")
    try:
        return json.loads(body.decode(), object_pairs_hook=_object, parse_constant=_no_constant)
    except NotJson:
        raise
    except (ValueError, RecursionError) as error:
        raise NotJson("it is not valid JSON.") from error


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(members)
    if len(fields) < len(members):
        raise NotJson("an object has a field more than once.")
    return fields


def _no_constant(name: str) -> None:
    raise NotJson(f"{name} is not valid JSON; leave out what was not measured, or set it to null.")
