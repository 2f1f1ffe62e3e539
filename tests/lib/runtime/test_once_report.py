"""What a run with --once logs, from Spark's reports of batches and by a clock that the tests move."""

import json
import logging
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pyspark.sql.streaming.query import StreamingQuery
from tests.documentation import check

from wattcast.cli.jobs import JOBS
from wattcast.runtime.batch_progress import BatchProgress
from wattcast.runtime.once_report import NEXT, OnceReport


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def kafka_batch(
    number: int, end: int, *, start: int | None, latest: int = 900, as_text: bool = False
) -> dict[str, Any]:
    """Spark's report of a batch of `ingest`, which Spark evaluated three times."""

    def offsets(offset: int | None) -> Any:
        value = None if offset is None else {"readings": {"0": offset, "1": offset}}
        return json.dumps(value) if as_text else value

    source = {"description": "KafkaV2[Subscribe[readings]]", "startOffset": offsets(start), "endOffset": offsets(end),
              "latestOffset": offsets(latest)}  # fmt: skip
    return {"name": "ingest", "id": "1", "batchId": number, "durationMs": {"triggerExecution": 12_000}, "numInputRows": 3 * end,
            "sources": [source], "sink": {"description": "ForeachBatchSink", "numOutputRows": -1}}  # fmt: skip


def table_batch(name: str, number: int, *, rows: int = 5, messages: int = -1) -> dict[str, Any]:
    source = {
        "description": "DeltaSource[file:/lake/hourly_usage]",
        "startOffset": None,
        "endOffset": {"reservoirVersion": 3},
    }
    sink = "KafkaTable" if messages >= 0 else "ForeachBatchSink"
    return {"name": name, "id": "2", "batchId": number, "durationMs": {"triggerExecution": 1500}, "numInputRows": rows,
            "sources": [source], "sink": {"description": sink, "numOutputRows": messages}}  # fmt: skip


def starts(topic: str) -> dict[int, tuple[int, int]]:
    assert topic == "readings"
    return {0: (100, 900), 1: (0, 900)}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def appended() -> dict[str, int]:
    return {}


@pytest.fixture
def report(appended: dict[str, int], clock: Clock, caplog: pytest.LogCaptureFixture) -> OnceReport:
    caplog.set_level(logging.INFO, "wattcast")
    return OnceReport("pipeline", appended, starts, clock)


@pytest.mark.parametrize("as_text", [False, True])
def test_records_of_a_batch_are_its_offsets_and_not_how_often_spark_read_them(as_text: bool) -> None:
    first = BatchProgress.of(kafka_batch(0, 300, start=None, as_text=as_text), starts)
    assert (first.records, first.records_left, first.seconds) == (200 + 300, 1200, 12.0)
    assert BatchProgress.of(kafka_batch(1, 900, start=300, as_text=as_text), starts).records == 1200


def test_batch_of_a_table_has_no_records(clock: Clock) -> None:
    batch = BatchProgress.of(table_batch("publish", 4, messages=7), starts)
    assert batch == BatchProgress("publish", 4, 1.5, messages=7)


def test_batches_are_logged_once_with_what_is_left(
    report: OnceReport, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    report.begin("ingest")
    clock.now = 20
    report.report(kafka_batch(0, 300, start=None))
    report.report(kafka_batch(0, 300, start=None))
    report.report(kafka_batch(1, 300, start=300) | {"numInputRows": 0})
    report.report(kafka_batch(1, 900, start=300))
    assert caplog.messages == [
        "ingest: started",
        "ingest: batch 0 in 12 s, 500 records; 1,200 left, about 48 s",
        "ingest: batch 1 in 12 s, 1,200 records",
    ]


def test_queries_are_looked_at_once_a_second(
    report: OnceReport, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    batches = [table_batch("aggregate", number) for number in range(3)]
    recent = [SimpleNamespace(json=json.dumps(batch)) for batch in batches]
    query = cast(StreamingQuery, SimpleNamespace(name="aggregate", lastProgress=batches[-1], recentProgress=recent))
    report.watch([query])
    assert caplog.messages == []
    clock.now = 1
    report.watch([query])
    report.look([query])
    assert caplog.messages == [f"aggregate: batch {number} in 1.5 s" for number in range(3)]


def test_silent_work_is_logged_after_ten_seconds(
    report: OnceReport, clock: Clock, appended: dict[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    appended["hourly_usage"] = 502  # by the step before
    report.begin("forecast")
    clock.now = 5
    report.tick()
    assert caplog.messages == ["forecast: started"]
    clock.now, appended["forecasts"] = 70, 12_000
    report.tick()
    assert caplog.messages[1:] == ["forecast: has worked for 1 min 10 s; rows added: 12,000 to forecasts"]


def test_end_says_what_came_of_it_and_the_next_command(
    report: OnceReport, clock: Clock, appended: dict[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    report.report(kafka_batch(0, 900, start=None))
    appended |= {"hourly_usage": 48, "forecasts": 0}
    report.report(table_batch("publish", 0, messages=24))
    clock.now = 313
    report.end(is_stopped=False)
    assert caplog.messages[-1] == (
        "pipeline ended after 5 min 13 s: 1,700 records received, 48 rows added to hourly_usage, 24 messages sent. "
        f"Next: {NEXT['pipeline']}"
    )


def test_end_of_a_run_without_work_and_of_a_stopped_one(report: OnceReport, caplog: pytest.LogCaptureFixture) -> None:
    report.end(is_stopped=False)
    report.end(is_stopped=True)
    assert caplog.messages[0].startswith("pipeline ended after 0.0 s: nothing was pending. Next: wattcast sql ")
    assert caplog.messages[1].endswith("nothing was pending. Next: wattcast run pipeline --once")


@pytest.mark.parametrize("job", sorted(NEXT))
def test_next_command_is_accepted_by_the_command_line(job: str) -> None:
    import shlex

    assert job in JOBS
    check(shlex.split(NEXT[job])[1:])
