"""`wattcast run` and the files of jobs/ explain what a user can fix in one line."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from tests.commands import Result, Wattcast

from wattcast.embedded.kafka_server import EmbeddedBroker
from wattcast.settings import project_folder

HOLD_LOCK = """
import sys
from filelock import FileLock
with FileLock(sys.argv[1]):
    print(flush=True)
    sys.stdin.read()
"""


def test_old_java_is_one_line(wattcast: Wattcast, old_java: dict[str, str]) -> None:
    result = wattcast("run", "ingest", **old_java)
    assert result.status == 2
    assert "is Java 11: install it" in result.line


@pytest.mark.parametrize("job", ["ingest", "pipeline", "backfill"])
def test_job_file_ends_like_the_command(job: str, run_file: Callable[..., Result], old_java: dict[str, str]) -> None:
    options = ["--from", "2024-01-01", "--to", "2024-01-02"] if job == "backfill" else ["--once"]
    result = run_file(project_folder("jobs") / f"{job}.py", *options, **old_java)
    assert result.status == 2
    assert "is Java 11: install it" in result.line


def test_file_of_a_model_job_names_a_wrong_setting(run_file: Callable[..., Result]) -> None:
    result = run_file(project_folder("jobs") / "train.py", WATTCAST_KAFKA__PARTITIONS="0")
    assert (result.status, result.line) == (
        2,
        "wattcast train: Setting kafka.partitions: Input should be greater than 0.\n",
    )


def test_unknown_job_is_refused_with_the_existing_ones(wattcast: Wattcast) -> None:
    result = wattcast("run", "dance")
    jobs = "ingest, aggregate, forecast, publish, score, pipeline, backfill, monitor"
    assert (result.status, result.line) == (2, f"There is no job dance: choose one of {jobs}.\n")


def test_help_of_a_job_has_the_options_of_the_job(wattcast: Wattcast) -> None:
    result = wattcast("run", "score", "--help")
    assert result.status == 0
    assert "--close-at" in result.out


def test_broker_that_was_never_started_is_one_line(wattcast: Wattcast, no_broker: dict[str, str]) -> None:
    result = wattcast("run", "ingest", "--once", **no_broker)
    assert result.status == 1
    assert "Start the embedded one with `wattcast up`, or set WATTCAST_KAFKA__BOOTSTRAP_SERVERS" in result.line


@contextmanager
def locked_by_another_process(file: Path) -> Iterator[None]:
    file.parent.mkdir(parents=True)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdout.readline()
        yield
        holder.stdin.close()


def test_second_runner_of_a_query_is_one_line(
    shared_spark: SparkSession, embedded_broker: EmbeddedBroker, wattcast: Wattcast, tmp_path: Path
) -> None:
    environment = {
        "WATTCAST_STATE": str(tmp_path),
        "WATTCAST_KAFKA__BOOTSTRAP_SERVERS": embedded_broker.bootstrap_servers,
        "WATTCAST_LOG_LEVEL": "ERROR",
    }
    with locked_by_another_process(tmp_path / "lake" / ".locks" / "query-aggregate.lock"):
        result = wattcast("run", "aggregate", "--once", **environment)
    assert result.status == 1
    assert "query-aggregate is locked by another Wattcast process, which works on" in result.err.splitlines()[-1]
