"""`wattcast check-reading`, which runs the rules of ingest, and POST /v1/forecasts take the same readings."""

import json
from collections.abc import Callable

import pytest
from fastapi.exceptions import RequestValidationError
from pyspark.sql import SparkSession
from tests.jobs.test_ingest import ARRIVAL

from wattcast.ingest.reading_check import broken_rules
from wattcast.serving.on_demand.forecast_requests import ForecastRequestParser
from wattcast.serving.problems import Problem

FIELDS = {"measured_at": '"2026-03-01T09:00:00Z"', "energy_usage_kwh": "1.5"}
NUMBERS = (
    "0", "-0.0", "1.5e2", "1E2", "01", "+1", ".5", "1.", "1e", "1e999", "9" * 30, "9" * 400, "9" * 1001, "1." + "0" * 1100,
    '"1"', '""', "true", "false", "null", "NaN", "Infinity", "-Infinity", "[1]", "{}", "-1", "60", "100", "100.1", "1e6",
    "1000001", "-1000000", "0x10", "1_000", "nul",
)  # fmt: skip
TIMES = (
    '"2026-03-01T09:00Z"', '"2026-03-01 09:00:00Z"', '"2026-03-01T09:00:00+0530"', '"2026-03-01T09:00:00.123456789+01:00"',
    "null", '"2000-01-01T00:00:00Z"', '"1999-12-31T23:59:59Z"', '"2200-01-01T00:00:00Z"', '"2200-01-01T00:00:01Z"', '"00:00:00Z"',
    '""',
    '"2026-1-6T1:2:3Z"', '" 2026-03-01T09:00:00Z"', '"2026-03-01T09:00:00Z\\n"', '"2026-03-01T09:00:00UTC+00:00"', "1772355600",
    '"2026-03-01T09:00:00z"', '"2026-03-01"', '"2026-02-29T09:00:00Z"', '"2026-03-01T09:00:00"', '"2026-03-01T24:00:00Z"', "true",
    '"2026-03-01T09:00:00+18:01"', '"\u0662026-03-01T09:00:00Z"', '"20260301T090000Z"', '"2026-W09-7T09:00:00Z"',
)  # fmt: skip
BUILDINGS = (
    "null", "7", "true", "{}", '""', '"b1"', '"Gebäude 9"', '"b\\u0000"', '"b1\\n"', '"\\tb1"', '"b\\u007f"', '"b\\ud800"',
    '"\\ud83c\\udfe2"', json.dumps("b" * 128), json.dumps("b" * 129), '" "', '"b\\u0085"', '"b\\x41"',
)  # fmt: skip
WHOLE: dict[str, Callable[[bytes], bytes]] = {
    "as it is": lambda text: text,
    "blanks around it": lambda text: b" \r\n\t" + text + b"\n ",
    "a form feed before it": lambda text: b"\x0c" + text,
    "text behind it": lambda text: text + b',"end"',
    "a list ends behind it": lambda text: text + b',"end"] x',
    "a second object": lambda text: text + text,
    "a byte order mark": lambda text: b"\xef\xbb\xbf" + text,
    "UTF-16": lambda text: text.decode().encode("utf-16"),
    "invalid UTF-8": lambda text: text.replace(b"b1", b"b\xff"),
    "a surrogate as bytes": lambda text: text.replace(b"b1", b"b\xed\xa0\x80"),
    "a field twice": lambda text: text.replace(b'"energy', b'"energy_usage_kwh": 1, "energy', 1),
    "a trailing comma": lambda text: text.replace(b"}", b",}", 1),
    "a comment": lambda text: b"/* */" + text,
    "truncated": lambda text: text[:-1],
    "nothing": lambda text: b"",
}


def fields(**changes: str) -> list[tuple[str, str]]:
    """The fields of a reading, without its building, as JSON."""
    return list((FIELDS | changes).items())


def message_of(building: str, readings: list[tuple[str, str]]) -> bytes:
    members = [f'"building_id": {building}', *(f'"{name}": {value}' for name, value in readings)]
    return ("{" + ", ".join(members) + "}").encode()


def body_of(building: str, readings: list[tuple[str, str]]) -> bytes:
    reading = "{" + ", ".join(f'"{name}": {value}' for name, value in readings) + "}"
    return f'{{"building": {{"building_id": {building}}}, "readings": [{reading}]}}'.encode()


def cases() -> dict[str, tuple[bytes, bytes]]:
    """The same odd reading as a message and as a body, by what is odd about it."""
    numbers = ("energy_usage_kwh", "temperature_c", "humidity_pct", "occupancy")
    odd = {f"{name}: {value[:40]}": ('"b1"', fields(**{name: value})) for name in numbers for value in NUMBERS}
    odd |= {f"measured_at: {value}": ('"b1"', fields(measured_at=value)) for value in TIMES}
    odd |= {f"building_id: {value[:40]}": (value, fields()) for value in BUILDINGS}
    odd |= {f"without {name}": ('"b1"', [field for field in fields() if field[0] != name]) for name in FIELDS}
    texts = {name: (message_of(*reading), body_of(*reading)) for name, reading in odd.items()}
    plain = (message_of('"b1"', fields()), body_of('"b1"', fields()))
    return texts | {f"whole: {name}": (change(plain[0]), change(plain[1])) for name, change in WHOLE.items()}


def is_taken_by_the_api(parser: ForecastRequestParser, body: bytes) -> bool:
    try:
        parser.parse(body)
    except (Problem, RequestValidationError):
        return False
    return True


def test_check_reading_and_the_api_take_the_same_readings(spark: SparkSession) -> None:
    texts, parser = cases(), ForecastRequestParser.from_contract()
    broken = broken_rules(spark, [message for message, _ in texts.values()], ARRIVAL.replace(year=2199, month=12))
    by_ingest = dict(zip(texts, [not rules for rules in broken], strict=True))
    by_api = {name: is_taken_by_the_api(parser, body) for name, (_, body) in texts.items()}
    future = {f"measured_at: {TIMES[7]}"}  # of an arrival, which a request does not have
    assert {name for name in texts if by_ingest[name] != by_api[name]} == future
    assert 30 < sum(by_ingest.values()) < len(texts) - 30


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (WHOLE["a field twice"], "body: an object has a field more than once."),
        (lambda text: text.replace(b"1.5", b"NaN"), "body: NaN is not valid JSON; leave out what was not measured"),
        (WHOLE["UTF-16"], "body: it is not valid JSON."),
        (lambda text: text.replace(b"1.5", b"1" * 1001), "body: it has a number of more than 1,000 characters."),
    ],
)
def test_a_body_that_ingest_would_not_read_is_refused_with_the_reason(
    change: Callable[[bytes], bytes], reason: str
) -> None:
    with pytest.raises(Problem) as refused:
        ForecastRequestParser.from_contract().parse(change(body_of('"b1"', fields())))
    assert refused.value.detail.startswith(reason)
