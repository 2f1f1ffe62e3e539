"""The benchmark of the API reports its figures, and fails where they exceed a limit."""

from pathlib import Path

import pytest

from wattcast.cli.benchmarks.serving import failed_limits, summary
from wattcast.cli.benchmarks.serving_load import ServingLoad, free_port, measure_serving

LOAD = ServingLoad(buildings=20, per_second=20, connections=2, seconds=5, streams=2)
GOOD = {
    "due": 100.0, "answered": 100.0, "p50_ms": 2.0, "p95_ms": 50.0, "p99_ms": 90.0, "max_ms": 200.0, "origins": 2.0,
    "events": 20.0, "memory_first_mb": 400.0, "memory_middle_mb": 500.0, "memory_last_mb": 549.0, "cpu_ms": 1.0,
    "machine_load": 1.0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "failures"),
    [
        ({}, []),
        ({"answered": 99.0}, ["1 requests were not answered with 200."]),
        ({"p95_ms": 50.1}, ["The 95th percentile is 50.1 ms; the limit is 50 ms."]),
        ({"memory_last_mb": 551.0}, ["Memory grew from 500 to 551 MB."]),
        ({"events": 19.0}, ["A stream received 19 events, fewer than one commit sends."]),
    ],
)
def test_exceeded_limit_is_a_sentence(changes: dict[str, float], failures: list[str]) -> None:
    assert failed_limits(LOAD, GOOD | changes) == failures


def test_small_load_is_answered_and_reported(tmp_path: Path) -> None:
    found = measure_serving(LOAD, tmp_path, free_port())
    assert found.keys() == GOOD.keys()
    assert (found["due"], found["answered"]) == (100, 100)
    assert found["events"] >= 20
    assert summary(LOAD, found).startswith("100 of 100 requests answered with 200, at 20/s over 2 connections")
