"""Payloads of a file, and in words why one is refused: the field, what it holds and what it should."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from wattcast.contracts import Column, Contract

MOST_BYTES = 32 * 1024 * 1024
MOST_PAYLOADS = 10_000
SHOWN_CHARACTERS = 40
KINDS = {"string": "text", "timestamp": "text with a time", "integer": "a whole number", "number": "a number"}
NOTHING = object()
BOM = b"\xef\xbb\xbf"  # which some editors put first into a file


class TooMuch(ValueError):
    """More than is checked at a time."""


def payloads(content: bytes) -> list[bytes]:
    """The records that a file holds: one JSON value, also over several lines, or one on each line.

    What is no JSON is a record on each line, too, unless it begins like one value over several lines and no line is an object.

    Raises:
        TooMuch: more than 10,000 records.
    """
    lines = [line for line in content.splitlines() if line.strip()]
    if len(lines) <= 1:
        return [lines[0] if lines else content]
    if _parsed(content) is not NOTHING or _is_one_broken(lines):
        return [content]
    if len(lines) > MOST_PAYLOADS:
        raise TooMuch(f"There are {len(lines):,} records: at most {MOST_PAYLOADS:,} are checked at a time.")
    return lines


def _is_one_broken(lines: list[bytes]) -> bool:
    """Whether it is one value over several lines that is no JSON, not a record on each line."""
    begins = [line.removeprefix(BOM).lstrip()[:1] for line in lines[:MOST_PAYLOADS]]
    if begins[0] not in (b"{", b"[") or set(begins) == {b"{"}:
        return False
    return not any(isinstance(_parsed(line), dict) for line in lines[:MOST_PAYLOADS])


def reasons(rules: Iterable[str], payload: bytes, topic: Contract) -> list[str]:
    """A sentence for each broken rule of a topic."""
    fields = _parsed(payload)
    held = fields if isinstance(fields, dict) else {}
    return [_of_field(rule, held, topic) or _of_record(rule, payload, topic) for rule in rules]


def _of_record(rule: str, payload: bytes, topic: Contract) -> str:
    marked = " It begins with a byte order mark, which JSON has not." if payload.startswith(BOM) else ""
    several = " Send each reading of an array as a record of its own." if isinstance(_parsed(payload), list) else ""
    said: Mapping[str, str] = {
        "too_large": f"The record has {len(payload):,} bytes; at most {topic.properties['maximumBytes']:,} are read.",
        "empty_value": "The record is empty.",
        "invalid_utf8": "The record is no text in UTF-8.",
        "not_json": f"The record is no JSON: exactly one object, each field once.{marked}",
        "non_finite_number": "NaN and Infinity are no numbers in JSON; leave out or set to null what was not measured.",
        "not_an_object": f"The record is JSON, but no object: it must be like {{...}}.{several}",
    }
    return said.get(rule, f"It breaks the rule {rule}.")


def _of_field(rule: str, held: Mapping[str, Any], topic: Contract) -> str:
    """Empty where the rule is of no field."""
    name, _, kind = rule.partition(".")
    column = next((each for each in topic.columns if each.name == name), None)
    if column is None:
        return ""
    is_said = f"{name} is {_shown(held[name])}" if name in held else name
    limits = column.limits
    match kind:
        case "missing":
            return f"{name} is missing: {column.description}."
        case "wrong_type":
            return f"{is_said}; it must be {KINDS[column.logical_type]}."
        case "without_zone":
            return f"{is_said}; a time needs its zone: Z for UTC, or an offset such as +01:00."
        case "unreadable":
            return f"{is_said}; it must be like 2026-03-01T09:00:00Z: a day that there is, hours, minutes, seconds and the zone."
        case "out_of_range":
            return f"{is_said}; it must lie {_range(column)}."
        case "bad_length":
            return f"{is_said}; it must have {limits.get('minLength', 0)} to {limits['maxLength']} characters."
        case "bad_pattern":
            return f"{is_said}; it must not have control characters, as {limits['pattern']} says."
    breach = column.breaches.get(rule, f"it breaks the rule {rule}")
    return f"{is_said}: {breach[0].lower()}{breach[1:]}."


def _range(column: Column) -> str:
    low, high = column.limits.get("minimum"), column.limits.get("maximum")
    unit = f" {column.unit}" if column.unit else ""
    if None in (low, high):
        return f"at {low} or above{unit}" if high is None else f"at {high} or below{unit}"
    return f"between {low} and {high}{unit}" if low != high else f"at {low}{unit}"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def _parsed(payload: bytes) -> Any:
    """The JSON value, only to show what it holds and where it ends; NOTHING if Python finds none."""
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        return NOTHING
