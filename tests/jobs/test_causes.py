"""A failure of Spark is explained by its root cause, in one sentence with a remedy."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from tests.jobs.steps import command, numbers, put_buildings, wait_until

from wattcast.causes import explanation, known_cause
from wattcast.lake.checkpoints import CheckpointUnusable
from wattcast.lake.delta_log import TableDamaged
from wattcast.runtime.context import Run
from wattcast.runtime.supervision import QueryFailed, Stop, supervise

Batch = Callable[[DataFrame, int], Any]


def failure(work: Callable[[], object]) -> Exception:
    try:
        work()
    except (QueryFailed, CheckpointUnusable, TableDamaged, PySparkException, Py4JError) as error:
        return error
    raise AssertionError("it did not fail")


def run_query(run: Run, batch: Batch) -> None:
    """A query whose batch function is `batch`, until it ends."""
    put_buildings(run, {"building_id": "b"})
    writer = run.streams.read_stream("buildings").writeStream.foreachBatch(batch)
    supervise([run.streams.start(writer, query="example")], Stop())


def full_disk(_batch: DataFrame, _number: int) -> None:
    raise OSError(28, "No space left on device", "part-0.parquet")


def bug(_batch: DataFrame, _number: int) -> None:
    raise ValueError("the sum of the shares is 2")


def unwritable(batch: DataFrame, _number: int) -> None:
    batch.write.format("delta").save("/proc/lake/forecasts")


def refusal(_batch: DataFrame, _number: int) -> None:
    raise TableDamaged("The table forecasts is damaged.")


def division(batch: DataFrame, _number: int) -> None:
    batch.selectExpr("1 / 0").collect()


@pytest.mark.parametrize(
    ("batch", "why"),
    [
        (full_disk, "The query example has failed: there is no space left on the disk: free some"),
        (bug, "The query example has failed: ValueError: the sum of the shares is 2."),
        (unwritable, "The query example has failed: /proc/lake/forecasts/_delta_log cannot be written: give this user"),
        (refusal, "The query example has failed: The table forecasts is damaged."),
        (division, "The query example has failed: ArithmeticException: [DIVIDE_BY_ZERO] Division by zero."),
    ],
)
def test_failure_in_a_batch_function_is_one_line_with_its_cause(once: Run, batch: Batch, why: str) -> None:
    error = failure(lambda: run_query(once, batch))
    assert str(error).startswith(why)
    assert len(str(error).splitlines()) == 1


def test_broker_that_does_not_answer_is_told_from_other_causes(once: Run) -> None:
    options = {"bootstrap.servers": "127.0.0.1:1", "max.block.ms": "500"}
    rows = once.spark.range(1).selectExpr("CAST(id AS STRING) AS value").write.format("kafka").option("topic", "x")
    error = failure(lambda: rows.options(**{f"kafka.{key}": value for key, value in options.items()}).save())
    cause = known_cause(error)
    assert cause is not None
    assert cause.is_of_broker
    assert "the Kafka broker did not answer in time" in explanation(error)


def test_empty_metadata_of_a_checkpoint_names_the_remedy(once: Run) -> None:
    folder = Path(once.settings.checkpoints_uri) / "example"
    run_query(once, lambda _batch, _number: None)
    (folder / ".metadata.crc").unlink()
    (folder / "metadata").write_text("")
    error = failure(lambda: run_query(once, lambda _batch, _number: None))
    assert str(error).startswith(f"The query example cannot start from {folder}: the checkpoint is damaged: remove its")


@pytest.mark.parametrize("part", ["offsets", "commits"])
def test_cut_file_of_a_checkpoint_names_the_remedy(once: Run, part: str) -> None:
    folder = Path(once.settings.checkpoints_uri) / "example" / part
    run_query(once, lambda _batch, _number: None)
    newest = max(numbers(folder))
    (folder / f".{newest}.crc").unlink()
    (folder / str(newest)).write_text("")
    error = failure(lambda: run_query(once, lambda _batch, _number: None))
    assert "the checkpoint is damaged: remove its folder" in str(error)


def test_cut_parquet_file_is_named(once: Run) -> None:
    put_buildings(once, {"building_id": "b"})
    files = list((Path(once.settings.lake_uri) / "buildings").glob("*.parquet"))
    for file in files:
        file.with_name(f".{file.name}.crc").unlink()
        file.write_bytes(file.read_bytes()[:100])
    once.spark.catalog.clearCache()
    error = failure(lambda: once.lake.table("buildings").collect())
    assert explanation(error) in {f"the file {file} is damaged or cut: restore it from a backup, or restore its table, as the "
                                  "runbook describes" for file in files}  # fmt: skip


@pytest.mark.parametrize(
    ("commit", "version"),
    [
        ("not json", 1),
        ('{"commitInfo":{"operation":"WRITE"}}', 2),
        ('{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["x"],"writerFeatures":["x"]}}', 1),
    ],
)
def test_foreign_commit_in_the_log_of_a_table_is_recognised(once: Run, commit: str, version: int) -> None:
    log = Path(once.settings.lake_uri) / "hourly_usage/_delta_log"
    (log / f"{version:020}.json").write_text(f"{commit}\n")
    error = failure(lambda: once.lake.snapshot("hourly_usage").frame.count())
    assert str(error).startswith(
        f"The table {log.parent} cannot be read: another program has changed the log of a table"
    )
    assert len(str(error).splitlines()) == 1


def test_interrupt_ends_a_query_with_130_and_without_a_traceback(once: Run) -> None:
    with command(once, "sql", "SELECT count(*) FROM range(100000000000)") as process:
        wait_until(process, lambda: (once.settings.state / "logs/spark.log").exists())
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in stderr
