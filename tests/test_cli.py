"""The command line answers at once, and says in a sentence what a user can mend."""

import importlib
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from filelock import FileLock
from pydantic import ValidationError
from pyspark.errors import PySparkException

from wattcast.broker import BrokerUnreachable, TopicRecreated
from wattcast.cli import _said
from wattcast.errors import STATUS, message, told
from wattcast.job import Run
from wattcast.local.embedded.kafka_server import BrokerFailed, EmbeddedBroker
from wattcast.settings import Settings, project_folder

WATTCAST = str(Path(sys.executable).with_name("wattcast"))
HEAVY = ("pyspark", "torch", "great_expectations", "pandas", "numpy", "kafka", "pydantic", "rich")
HELP_SECONDS = 0.5


def said(*command: str, status: int, environment: Mapping[str, str] | None = None) -> str:
    """What a command that ends with `status` says on stderr, which is no traceback."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=os.environ | (environment or {}))
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def sentence(*command: str, status: int, environment: Mapping[str, str] | None = None) -> str:
    """The one line that it says."""
    text = said(*command, status=status, environment=environment)
    assert text.count("\n") == 1, text
    return text


@pytest.fixture
def no_broker(tmp_path: Path) -> dict[str, str]:
    """A state folder in which nothing was ever started."""
    return {"WATTCAST_STATE": str(tmp_path), "WATTCAST_KAFKA__BOOTSTRAP_SERVERS": ""}


@pytest.fixture
def old_java(tmp_path: Path) -> dict[str, str]:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    java.chmod(0o755)
    return {"JAVA_HOME": str(tmp_path)}


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom wattcast.cli import main\nsys.argv = ['wattcast', '--help']\n"
        f"try:\n    main()\nfinally:\n    print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    assert said(sys.executable, "-c", code, status=0) == "[]\n"


def test_help_answers_within_half_a_second() -> None:
    def seconds() -> float:
        began = time.monotonic()
        said(WATTCAST, "--help", status=0)
        return time.monotonic() - began

    assert (
        min(seconds() for _ in range(5)) <= HELP_SECONDS
    )  # the best of some: other work on the machine is not its fault


@pytest.mark.parametrize("command", [["run", "ingest", "--once"], ["sql", "SELECT 1"], ["up"], ["demo"], ["audit"]])
def test_missing_java_is_a_sentence(command: list[str], no_broker: dict[str, str], tmp_path: Path) -> None:
    environment = no_broker | {"JAVA_HOME": str(tmp_path)}
    assert "needs Java 17 or newer and JAVA_HOME" in sentence(WATTCAST, *command, status=2, environment=environment)


def test_old_java_is_a_sentence(old_java: dict[str, str]) -> None:
    assert "is Java 11: install it" in sentence(WATTCAST, "run", "ingest", status=2, environment=old_java)


@pytest.mark.parametrize("job", ["ingest", "pipeline", "backfill"])
def test_job_file_says_it_as_the_command_does(job: str, old_java: dict[str, str]) -> None:
    span = ["--from", "2024-01-01", "--to", "2024-01-02"] if job == "backfill" else ["--once"]
    file = str(project_folder("jobs") / f"{job}.py")
    assert "is Java 11: install it" in sentence(sys.executable, file, *span, status=2, environment=old_java)


def test_unknown_job_is_refused_with_the_known_ones() -> None:
    known = (
        "There is no job dance: there are ingest, aggregate, forecast, publish, score, pipeline, backfill, monitor.\n"
    )
    assert sentence(WATTCAST, "run", "dance", status=2) == known


def test_replay_of_a_missing_file_is_a_sentence(no_broker: dict[str, str]) -> None:
    assert sentence(WATTCAST, "replay", "none.parquet", status=2, environment=no_broker) == (
        "There is no file none.parquet.\n"
    )


def test_metadata_of_a_missing_file_are_a_sentence() -> None:
    assert "none.csv cannot be read" in sentence(WATTCAST, "buildings", "import", "none.csv", status=2)


def test_broker_that_was_never_started_is_a_sentence(no_broker: dict[str, str]) -> None:
    asked = sentence(WATTCAST, "run", "ingest", "--once", status=1, environment=no_broker)
    assert "start the embedded one with `wattcast up`, or set WATTCAST_KAFKA__BOOTSTRAP_SERVERS" in asked


@pytest.mark.parametrize("servers", ["127.0.0.1:1", "127.0.0.1:no-port"])
def test_broker_that_does_not_answer_is_a_sentence(servers: str, tmp_path: Path) -> None:
    file = tmp_path / "readings.csv"
    file.write_text("timestamp,building_id,energy_usage_kwh\n2024-01-01T00:00:00Z,a,1\n")
    environment = {"WATTCAST_KAFKA__BOOTSTRAP_SERVERS": servers, "WATTCAST_KAFKA__REQUEST_TIMEOUT_SECONDS": "2"}
    heard = sentence(WATTCAST, "replay", str(file), status=1, environment=environment)
    assert f"No Kafka broker answers at {servers}" in heard


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("WATTCAST_KAFKA__PARTITIONS", "0", "Setting kafka.partitions: Input should be greater than 0."),
        ("WATTCAST_BATCH__NO_SUCH", "1", "Setting batch.no_such: Extra inputs are not permitted."),
        ("WATTCAST_PROFILE", "moon", "has no moon.yaml: check WATTCAST_CONF and WATTCAST_PROFILE."),
    ],
)
def test_wrong_setting_is_named(variable: str, value: str, says: str) -> None:
    assert says in sentence(WATTCAST, "status", status=2, environment={variable: value})


def test_second_runner_of_a_query_is_a_sentence(embedded_broker: EmbeddedBroker, tmp_path: Path) -> None:
    environment = {
        "WATTCAST_STATE": str(tmp_path),
        "WATTCAST_KAFKA__BOOTSTRAP_SERVERS": embedded_broker.bootstrap_servers,
        "WATTCAST_LOG_LEVEL": "ERROR",
    }
    locks = tmp_path / "lake" / ".locks"
    locks.mkdir(parents=True)
    with FileLock(locks / "query-aggregate.lock"):
        heard = said(WATTCAST, "run", "aggregate", "--once", status=1, environment=environment)
    assert "query-aggregate has a writer already: another Wattcast process works on" in heard.splitlines()[-1]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        (
            "SELECT * FROM meters",
            "There is no table or view `meters`: there are alerts, buildings, forecast_scores, forecasts, ",
        ),
        ("SELEC 1", "PARSE_SYNTAX_ERROR"),
        ("SELECT no_such FROM readings", "UNRESOLVED_COLUMN"),
        ("SELECT 1 / 0", "DIVIDE_BY_ZERO"),
    ],
)
def test_wrong_query_is_one_line(once: Run, query: str, says: str) -> None:
    once.lake.register_views()
    with pytest.raises(PySparkException) as error:
        once.spark.sql(query).collect()
    assert says in _said(error.value)
    assert "\n" not in _said(error.value)


@pytest.mark.parametrize(
    ("error", "status"),
    [(TopicRecreated("It is new."), 1), (BrokerFailed("It fell."), 1), (BrokerUnreachable("It is away."), 1)],
)
def test_error_that_a_user_can_mend_ends_the_program_with_its_message(
    error: Exception, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended, told():
        raise error
    assert (ended.value.code, capsys.readouterr().err) == (status, f"{error}\n")


def test_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError), told():
        raise ZeroDivisionError


def test_each_wrong_setting_is_a_line() -> None:
    with pytest.raises(ValidationError) as error:
        Settings(kafka={"partitions": 0}, batch={"trigger_seconds": -1})  # type: ignore[arg-type]
    assert message(error.value).splitlines() == [
        "Setting kafka.partitions: Input should be greater than 0.",
        "Setting batch.trigger_seconds: Input should be greater than or equal to 0.",
    ]


@pytest.mark.parametrize(("module", "name"), sorted(STATUS))
def test_error_is_where_it_is_looked_for(module: str, name: str) -> None:
    assert issubclass(getattr(importlib.import_module(module), name), Exception)
