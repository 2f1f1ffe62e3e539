"""Requests that ask for much: others are served meanwhile, and what cannot be right is refused early."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from fastapi.exceptions import RequestValidationError
from tests.lib.serving.conftest import forecaster, served, settings_of
from tests.lib.serving.test_bad_input import problem

from wattcast.serving.app import POSTS, SUMS
from wattcast.serving.posted import MOST_MEMBERS, read
from wattcast.serving.problems import SHOWN_ERRORS, SHOWN_LETTERS, Problem

READING: dict[str, Any] = {"measured_at": "2026-03-14T22:00:00Z", "energy_usage_kwh": 1}
ANSWER_BYTES = 10_000


@contextmanager
def asked_at_once(number: int, ask: Callable[[], httpx.Response]) -> Iterator[list[Future[httpx.Response]]]:
    with ThreadPoolExecutor(number) as threads:
        yield [threads.submit(ask) for _ in range(number)]


def wait_for(answers: list[Future[httpx.Response]], number: int) -> None:
    """Until so many have their answer."""
    enough = threading.Semaphore(0)
    for each in answers:
        each.add_done_callback(lambda _: enough.release())
    for _ in range(number):
        assert enough.acquire(timeout=60)


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


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_body_gets_a_short_answer_for_little_work(state: Path, what: str) -> None:
    with pytest.raises((Problem, RequestValidationError)) as refused:
        read(HOSTILE[what])
    if isinstance(refused.value, RequestValidationError):
        assert len(refused.value.errors()) <= 2 * MOST_MEMBERS
    with served(settings_of(state), forecaster()) as client:
        answer = client.post("/v1/forecasts", content=HOSTILE[what], headers={"Content-Type": "application/json"})
        assert problem(answer, 422)
        assert len(answer.content) < ANSWER_BYTES
        errors = answer.json().get("errors", [])
        assert len(errors) <= SHOWN_ERRORS
        assert all(len(each["at"]) <= SHOWN_LETTERS + 3 for each in errors)


def test_first_reading_that_is_wrong_is_named(client_that_forecasts: httpx.Client) -> None:
    answer = client_that_forecasts.post("/v1/forecasts", json={"readings": [READING, READING | {"humidity_pct": 300}]})
    assert problem(answer, 422) == "body.readings.1.humidity_pct: Input should be less than or equal to 100."


@pytest.fixture
def client_that_forecasts(state: Path) -> Iterator[httpx.Client]:
    with served(settings_of(state), forecaster()) as client:
        yield client


def test_others_are_served_while_the_registry_has_not_answered(state: Path) -> None:
    has_answered = threading.Event()

    def model_of(*_: str) -> None:
        assert has_answered.wait(60)

    waiting = replace(forecaster(), model_of=model_of)
    with (
        served(settings_of(state), waiting) as client,
        asked_at_once(1, lambda: client.post("/v1/forecasts", json={"readings": [READING]})) as (answer,),
    ):
        for _ in range(20):
            assert client.get("/healthz").status_code == 200
        assert not answer.done()
        has_answered.set()
        assert answer.result(60).status_code == 200


def test_forecasts_in_hand_are_bounded_and_the_others_come_back(state: Path) -> None:
    may_go_on, threads = threading.Event(), ThreadPoolExecutor(1)
    threads.submit(may_go_on.wait, 60)
    busy = replace(forecaster(), executor=lambda: threads)
    with (
        served(settings_of(state), busy) as client,
        asked_at_once(POSTS + 5, lambda: client.post("/v1/forecasts", json={"readings": [READING]})) as answers,
    ):
        wait_for(answers, 5)
        may_go_on.set()
        assert Counter(each.result(60).status_code for each in answers) == {200: POSTS, 429: 5}


def test_forecast_that_takes_too_long_is_ended(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wattcast.serving.posted.FORECAST_SECONDS", 0.2)
    may_go_on, threads = threading.Event(), ThreadPoolExecutor(1)
    threads.submit(may_go_on.wait, 60)
    busy = replace(forecaster(), executor=lambda: threads, end=may_go_on.set)
    with served(settings_of(state), busy) as client:
        answer = client.post("/v1/forecasts", json={"readings": [READING]})
    assert "took longer than" in problem(answer, 503)
    assert may_go_on.is_set()


def test_sums_of_errors_take_turns_and_hold_up_nobody_else(client: httpx.Client) -> None:
    may_go_on = threading.Event()
    client.app.state.serving.summing.submit(may_go_on.wait, 60)  # type: ignore[attr-defined]
    with asked_at_once(SUMS + 3, lambda: client.get("/v1/accuracy")) as answers:
        wait_for(answers, 3)
        assert client.get("/v1/alerts").status_code == 200
        may_go_on.set()
        assert Counter(each.result(60).status_code for each in answers) == {200: SUMS, 429: 3}


def test_sums_are_the_same_in_parts(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pd.DataFrame(client.get("/v1/accuracy?by=day").json()["items"])
    monkeypatch.setattr("wattcast.serving.accuracy.HOURS_AT_ONCE", 500)
    in_parts = pd.DataFrame(client.get("/v1/accuracy?by=day").json()["items"])
    pd.testing.assert_frame_equal(in_parts, whole, rtol=1e-9)
