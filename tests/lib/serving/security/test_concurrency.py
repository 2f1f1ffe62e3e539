"""Requests that need much work: their number is limited, and other requests are answered in the meantime."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.lib.serving.conftest import ServedClient, forecaster, served, settings_of
from tests.lib.serving.http import problem

from wattcast.serving.state import MAX_ACCURACY_REQUESTS, MAX_FORECASTS

READING: dict[str, Any] = {"measured_at": "2026-03-14T22:00:00Z", "energy_usage_kwh": 1}


@contextmanager
def concurrent_requests(number: int, send: Callable[[], httpx.Response]) -> Iterator[list[Future[httpx.Response]]]:
    with ThreadPoolExecutor(number) as threads:
        yield [threads.submit(send) for _ in range(number)]


def wait_for(answers: list[Future[httpx.Response]], number: int) -> None:
    """Wait until this number of responses has arrived."""
    enough = threading.Semaphore(0)
    for answer in answers:
        answer.add_done_callback(lambda _: enough.release())
    for _ in range(number):
        assert enough.acquire(timeout=60)


def test_others_are_served_while_the_registry_has_not_answered(state: Path) -> None:
    has_answered = threading.Event()

    def model_of(*_: str) -> None:
        assert has_answered.wait(60)

    waiting = replace(forecaster(), model_of=model_of)
    with (
        served(settings_of(state), waiting) as client,
        concurrent_requests(1, lambda: client.post("/v1/forecasts", json={"readings": [READING]})) as (answer,),
    ):
        for _ in range(20):
            assert client.get("/healthz").status_code == 200
        assert not answer.done()
        has_answered.set()
        assert answer.result(60).status_code == 200


def test_forecasts_above_the_limit_get_429(state: Path) -> None:
    may_go_on, threads = threading.Event(), ThreadPoolExecutor(1)
    threads.submit(may_go_on.wait, 60)
    busy = replace(forecaster(), executor=lambda: threads)
    with (
        served(settings_of(state), busy) as client,
        concurrent_requests(
            MAX_FORECASTS + 5, lambda: client.post("/v1/forecasts", json={"readings": [READING]})
        ) as answers,
    ):
        wait_for(answers, 5)
        may_go_on.set()
        assert Counter(answer.result(60).status_code for answer in answers) == {200: MAX_FORECASTS, 429: 5}


def test_forecast_that_takes_too_long_is_terminated(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wattcast.serving.routes.post_forecast.FORECAST_TIMEOUT_SECONDS", 0.2)
    may_go_on, threads = threading.Event(), ThreadPoolExecutor(1)
    threads.submit(may_go_on.wait, 60)
    busy = replace(forecaster(), executor=lambda: threads, terminate=may_go_on.set)
    with served(settings_of(state), busy) as client:
        answer = client.post("/v1/forecasts", json={"readings": [READING]})
    assert "took longer than" in problem(answer, 503)
    assert may_go_on.is_set()


def test_accuracy_requests_wait_in_line_and_do_not_delay_others(client: ServedClient) -> None:
    may_go_on = threading.Event()
    client.state.accuracy_executor.submit(may_go_on.wait, 60)
    with concurrent_requests(MAX_ACCURACY_REQUESTS + 3, lambda: client.get("/v1/accuracy")) as answers:
        wait_for(answers, 3)
        assert client.get("/v1/alerts").status_code == 200
        may_go_on.set()
        assert Counter(answer.result(60).status_code for answer in answers) == {200: MAX_ACCURACY_REQUESTS, 429: 3}
