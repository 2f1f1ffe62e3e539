"""The benchmark of the API says what it saw, and fails where that is not good enough."""

from pathlib import Path

import pytest

from benchmark_serving import Load, _free_port, faults, measured, said

LOAD = Load(buildings=20, per_second=20, connections=2, seconds=5, streams=2)
GOOD = {
    "due": 100.0, "answered": 100.0, "p50_ms": 2.0, "p95_ms": 50.0, "p99_ms": 90.0, "max_ms": 200.0, "origins": 2.0,
    "events": 20.0, "memory_first_mb": 400.0, "memory_middle_mb": 500.0, "memory_last_mb": 549.0, "cpu_ms": 1.0,
    "machine_load": 1.0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ({}, []),
        ({"answered": 99.0}, ["1 requests had no answer with 200."]),
        ({"p95_ms": 50.1}, ["The 95th percentile is 50.1 ms and not at most 50 ms."]),
        ({"memory_last_mb": 551.0}, ["Memory grew from 500 to 551 MB."]),
        ({"events": 19.0}, ["A stream told 19 events, less than those of one commit."]),
    ],
)
def test_fault_is_said(seen: dict[str, float], said: list[str]) -> None:
    assert faults(LOAD, GOOD | seen) == said


def test_small_load_is_answered_and_told(tmp_path: Path) -> None:
    found = measured(LOAD, tmp_path, _free_port())
    assert found.keys() == GOOD.keys()
    assert (found["due"], found["answered"]) == (100, 100)
    assert found["events"] >= 20
    assert said(LOAD, found).startswith("100 of 100 requests answered with 200, at 20/s over 2 connections")
