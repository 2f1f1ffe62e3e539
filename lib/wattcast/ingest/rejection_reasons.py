"""The records of a file, and a sentence for each rule that a record breaks: the field, its value and what is allowed."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from wattcast.contracts import Column, Contract

MAX_FILE_BYTES = 32 * 1024 * 1024
MAX_RECORDS = 10_000
MAX_VALUE_CHARACTERS = 40  # of a value that is quoted in a reason
TYPES = {"string": "text", "timestamp": "text with a time", "integer": "a whole number", "number": "a number"}
NOT_JSON = object()
BOM = b"\xef\xbb\xbf"  # some editors write it at the start of a file


class TooManyRecords(ValueError):
    """A file with more than can be checked at once."""


def records_of_file(content: bytes) -> list[bytes]:
    """The records in a file: one JSON value, which may span several lines, or one per line.

    Content that is not JSON is one record per line, too, unless it begins like one value over several lines and no line is an
    object.

    Raises:
        TooManyRecords: more than MAX_RECORDS.
    """
    lines = [line for line in content.splitlines() if line.strip()]
    if len(lines) <= 1:
        return [lines[0] if lines else content]
    if _parsed(content) is not NOT_JSON or _is_one_broken_value(lines):
        return [content]
    if len(lines) > MAX_RECORDS:
        raise TooManyRecords(
            f"The file has {len(lines):,} records; at most {MAX_RECORDS:,} can be checked at once. Check a part of it."
        )
    return lines


def _is_one_broken_value(lines: list[bytes]) -> bool:
    """Whether the lines are one JSON value with an error in it, not one record each."""
    first_bytes = [line.removeprefix(BOM).lstrip()[:1] for line in lines[:MAX_RECORDS]]
    if first_bytes[0] not in (b"{", b"[") or set(first_bytes) == {b"{"}:
        return False
    return not any(isinstance(_parsed(line), dict) for line in lines[:MAX_RECORDS])


def rejection_reasons(rules: Iterable[str], payload: bytes, topic: Contract) -> list[str]:
    """A sentence for each of the broken rules of a topic, in their order."""
    value = _parsed(payload)
    fields = value if isinstance(value, dict) else {}
    return [_field_reason(rule, fields, topic) or _record_reason(rule, payload, topic) for rule in rules]


def _record_reason(rule: str, payload: bytes, topic: Contract) -> str:
    bom = " It begins with a byte order mark, which JSON does not allow." if payload.startswith(BOM) else ""
    array = " Send each reading of the array as its own record." if isinstance(_parsed(payload), list) else ""
    max_bytes = topic.properties["maximumBytes"]
    sentences: Mapping[str, str] = {
        "too_large": f"The record has {len(payload):,} bytes; at most {max_bytes:,} are allowed.",
        "empty_value": "The record is empty.",
        "invalid_utf8": "The record is not valid UTF-8.",
        "not_json": f"The record is not JSON: it must be exactly one object, with each field once.{bom}",
        "non_finite_number": "NaN and Infinity are not JSON; leave out what was not measured, or set it to null.",
        "quota_exceeded": "It is beyond a quota of its device or of unknown buildings: see the settings quotas.",
        "not_an_object": f"The record is JSON but not an object; it must look like {{...}}.{array}",
    }
    return sentences.get(rule, f"It breaks the rule {rule}.")


def _field_reason(rule: str, fields: Mapping[str, Any], topic: Contract) -> str:
    """Empty for a rule that is not about one field."""
    name, _, kind = rule.partition(".")
    column = next((column for column in topic.columns if column.name == name), None)
    if column is None:
        return ""
    value = f"{name} is {_quoted(fields[name])}" if name in fields else name
    limits = column.limits
    match kind:
        case "missing":
            return f"{name} is missing: {column.description}."
        case "wrong_type":
            return f"{value}; it must be {TYPES[column.logical_type]}."
        case "without_zone":
            return f"{value}; a time needs its zone: Z for UTC, or an offset such as +01:00."
        case "unreadable":
            return (
                f"{value}; it must be an existing time as in 2026-03-01T09:00:00Z, with Z or an offset such as +01:00."
            )
        case "out_of_range":
            return f"{value}; it must be {_range(column)}."
        case "bad_length":
            return f"{value}; it must have {limits.get('minLength', 0)} to {limits['maxLength']} characters."
        case "unknown":
            return (
                f"{value}; it has no row in the table buildings, and buildings.only_known is set: "
                "import its metadata with `wattcast buildings import`, then send the record again."
            )
        case "bad_pattern":
            return f"{value}; it must not contain control characters (pattern {limits['pattern']})."
    violation = column.violations.get(rule, f"it breaks the rule {rule}")
    return f"{value}: {violation[0].lower()}{violation[1:]}."


def _range(column: Column) -> str:
    low, high = column.limits.get("minimum"), column.limits.get("maximum")
    unit = f" {column.unit}" if column.unit else ""
    if None in (low, high):
        return f"{low} or above{unit}" if high is None else f"{high} or below{unit}"
    return f"between {low} and {high}{unit}" if low != high else f"{low}{unit}"


def _quoted(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= MAX_VALUE_CHARACTERS else f"{text[:MAX_VALUE_CHARACTERS]}…"


def _parsed(payload: bytes) -> Any:
    """The JSON value, for reasons and for the end of a record only; NOT_JSON where Python cannot parse it."""
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        return NOT_JSON
