"""A pipeline whose processes are killed and whose checkpoints are lost neither loses nor doubles a row, nor changes history.

One short run of chaos; its seed is new in each run of pytest, which prints it at its end.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.chaos.broker import ChaosBroker
from tests.chaos.injection import Tally
from tests.chaos.judge.evidence import Evidence, Row
from tests.chaos.judge.findings import Finding
from tests.chaos.judge.verdict import verdict
from tests.chaos.report import report
from tests.chaos.run import Chaos, Options

BUILDINGS, DAYS, MIN_FAULTS, MINUTES = 8, 2, 4, 5  # it ends sooner if kills hit all MOMENTS
MIN_MOMENTS = 3  # which of them a kill hits depends on the speed of the machine


@pytest.fixture(scope="module")
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Evidence, Tally]]:
    seed = int(request.config.getoption("--chaos-seed"))
    state = tmp_path_factory.mktemp("chaos")
    options = Options(state, seed, MINUTES, BUILDINGS, DAYS, min_rounds=MIN_FAULTS, cover=True)
    broker = ChaosBroker(state)
    chaos = Chaos(options, broker, print)
    try:
        yield chaos.run(), chaos.tally
    finally:
        chaos.close()
        broker.stop()


@pytest.fixture(scope="module")
def evidence(run: tuple[Evidence, Tally]) -> Evidence:
    return run[0]


@pytest.mark.timeout(1500)  # on a busy machine a start of the pipeline takes a minute
def test_kills_and_lost_checkpoints_lose_double_and_change_nothing(run: tuple[Evidence, Tally]) -> None:
    evidence, tally = run
    result = verdict(evidence)
    print(report(result, tally))
    assert not result.findings
    assert len(tally.moments) >= MIN_MOMENTS
    assert tally.faults["checkpoint deleted"]
    assert (tally.unexpected_ends, tally.hangs) == (0, 0)
    assert min(result.compared[name] for name in ("records", "hours", "revisions", "forecasts", "messages")) > 300


def without(rows: list[Any]) -> list[Any]:
    return [*rows[:50], *rows[51:]]


def without_copies(rows: list[Any]) -> list[Any]:
    """The messages without the 50th: a kill can have it sent twice, and one copy is enough."""
    return [row for row in rows if row.value != rows[50].value]


def twice(rows: list[Any]) -> list[Any]:
    return [*rows, rows[50]]


def with_changes(**change: Callable[[Any], Any]) -> Callable[[list[Row]], list[Row]]:
    """The rows, the 50th of which has other values."""
    return lambda rows: [
        row | {name: other(row[name]) for name, other in change.items()} if number == 50 else row
        for number, row in enumerate(rows)
    ]


def with_other_message(rows: list[Any]) -> list[Any]:
    """The messages, the 50th of which has another P50."""
    message = json.loads(rows[50].value)
    message["p50_kwh"][0] += 1
    return [*rows[:50], rows[50]._replace(value=json.dumps(message).encode()), *rows[51:]]


def with_second_message(rows: list[Any]) -> list[Any]:
    """The messages, and another content of the 50th."""
    return [*rows, with_other_message(rows)[50]]


@pytest.mark.parametrize(
    ("part", "change", "kind", "what"),
    [
        ("records", twice, "doubled", "record"),
        ("records", without, "lost", "record"),
        ("ledger", without, "lost", "record"),
        ("ledger", twice, "doubled", "record"),
        ("ledger", with_changes(accepted=lambda accepted: not accepted), "wrong", "record"),
        ("ledger", with_changes(kafka_timestamp=lambda time: time + timedelta(seconds=1)), "wrong", "record"),
        ("hourly", without, "lost", "revision"),
        ("hourly", twice, "doubled", "revision"),
        ("hourly", with_changes(energy_usage_kwh=lambda kwh: kwh + 0.001), "wrong", "revision"),
        ("hourly", with_changes(available_at=lambda time: time + timedelta(minutes=1)), "wrong", "revision"),
        ("hourly", with_changes(readings_seen=lambda count: count + 1), "wrong", "revision"),
        ("hourly", with_changes(revision=lambda number: number + 1000), "wrong", "revision"),
        ("forecasts", without, "lost", "forecast"),
        ("forecasts", twice, "doubled", "forecast"),
        ("forecasts", with_changes(issued_at=lambda time: time + timedelta(minutes=1)), "wrong", "forecast"),
        ("forecasts", with_changes(p50_kwh=lambda kwh: [value + 0.001 for value in kwh]), "wrong", "forecast"),
        ("forecasts", with_changes(warnings=lambda names: [*names, "late", "gaps"][:1]), "wrong", "forecast"),
        ("messages", without_copies, "lost", "message"),
        ("messages", with_other_message, "wrong", "message"),
        ("messages", with_second_message, "doubled", "message"),
    ],
)
def test_judge_reports_a_change_of_what_the_run_left(
    evidence: Evidence, part: str, change: Callable[[list[Any]], list[Any]], kind: str, what: str
) -> None:
    changed: dict[str, Any] = {part: change(getattr(evidence, part))}
    findings: list[Finding] = verdict(replace(evidence, **changed)).findings
    assert (kind, what) in {(finding.kind, finding.what) for finding in findings}
