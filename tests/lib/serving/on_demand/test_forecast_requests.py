"""Bodies of POST /v1/forecasts: a bad one is refused early and with a short response."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.exceptions import RequestValidationError
from tests.lib.serving.conftest import ServedClient, forecaster, served, settings_of
from tests.lib.serving.http import problem

from wattcast.serving.on_demand.forecast_requests import MAX_MEMBERS, ForecastRequestParser
from wattcast.serving.problems import MAX_ERRORS, MAX_TEXT_LENGTH, Problem

READING: dict[str, Any] = {"measured_at": "2026-03-14T22:00:00Z", "energy_usage_kwh": 1}


ANSWER_BYTES = 10_000


def body_of(readings: list[Any], **more: Any) -> bytes:
    return json.dumps({"readings": readings, **more}).encode()


HOSTILE = {
    "no readings": body_of([]),
    "many empty readings": body_of([{}] * 49_000),
    "many readings with many members": body_of([{str(number): 1 for number in range(19)}] * 15_000),
    "a reading with many members": body_of([READING | {str(number): 1 for number in range(200_000)}]),
    "many members": json.dumps({str(number): 1 for number in range(250_000)}).encode(),
    "many members of the building": body_of([READING], building={str(number): 1 for number in range(250_000)}),
    "many numbers": b'{"readings":[' + b"1," * 3_900_000 + b"1]}",
    "deep lists": b"[" * 3_900_000,
    "a long name": body_of([READING], **{"k" * 7_000_000: 1}),
    "no UTF-8": b"\xff\xfe{}",
    "too many readings": body_of([READING] * 50_001),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_body_gets_a_short_response_for_little_work(state: Path, case: str) -> None:
    with pytest.raises((Problem, RequestValidationError)) as refused:
        ForecastRequestParser.from_contract().parse(HOSTILE[case])
    if isinstance(refused.value, RequestValidationError):
        assert len(refused.value.errors()) <= 2 * MAX_MEMBERS
    with served(settings_of(state), forecaster()) as client:
        answer = client.post("/v1/forecasts", content=HOSTILE[case], headers={"Content-Type": "application/json"})
        assert problem(answer, 422)
        assert len(answer.content) < ANSWER_BYTES
        errors = answer.json().get("errors", [])
        assert len(errors) <= MAX_ERRORS
        assert all(len(item["at"]) <= MAX_TEXT_LENGTH + 3 for item in errors)


def test_first_reading_that_is_wrong_is_named(client_that_forecasts: ServedClient) -> None:
    answer = client_that_forecasts.post("/v1/forecasts", json={"readings": [READING, READING | {"humidity_pct": 300}]})
    assert problem(answer, 422) == "body.readings.1.humidity_pct: Input should be less than or equal to 100."


@pytest.fixture
def client_that_forecasts(state: Path) -> Iterator[ServedClient]:
    with served(settings_of(state), forecaster()) as client:
        yield client
