"""The command line answers at once, and says in a sentence what a user can mend."""

import importlib
import os
import runpy
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
from filelock import FileLock
from pydantic import ValidationError
from pyspark.errors import PySparkException
from tests.test_docs import PROGRAMS
from typer.testing import CliRunner

import models
from wattcast.broker import BrokerUnreachable, TopicRecreated
from wattcast.cli import _said, app
from wattcast.errors import STATUS, message, told
from wattcast.job import Run
from wattcast.local.embedded.kafka_server import BrokerFailed, EmbeddedBroker
from wattcast.settings import Settings, project_folder
from wattcast_models.artifact import shipped_artifact

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


@pytest.mark.parametrize(
    ("words", "usage"),
    [
        (["train"], "Usage: wattcast train "), (["tune"], "Usage: wattcast tune "), (["serve"], "Usage: wattcast serve "),
        (["backtest"], "Usage: wattcast backtest "), (["explain"], "Usage: wattcast explain "),
        (["benchmark"], "Usage: wattcast benchmark "), (["benchmark_serving"], "Usage: wattcast benchmark-serving "),
        (["models", "promote"], "Usage: wattcast models promote "), (["maintain"], "usage: wattcast maintain "),
        (["sql_gateway"], "usage: wattcast sql-gateway "), (["backfill"], "usage: wattcast run backfill "),
        (["pipeline"], "usage: wattcast run pipeline "),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)  # fmt: skip
def test_usage_of_a_job_names_the_command_that_runs_it(
    words: list[str], usage: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["wattcast", *words[1:], "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(project_folder("jobs") / f"{words[0]}.py"), run_name="__main__")
    assert (ended.value.code, capsys.readouterr().out[: len(usage)]) == (0, usage)


def test_run_has_a_help_of_its_own_and_leaves_that_of_a_job_to_it() -> None:
    assert CliRunner().invoke(app, ["run", "--help"], prog_name="wattcast").stdout.startswith("Usage: wattcast run ")
    done = subprocess.run([WATTCAST, "run", "score", "--help"], capture_output=True, text=True, timeout=300, check=True)
    assert "--close-at" in done.stdout


def options_of(command: Any, path: str) -> Iterator[tuple[str, str | None]]:
    """The options of a command and of those below it, each with its help."""
    for parameter in command.params:
        if parameter.param_type_name == "option":
            yield f"{path} {parameter.opts[-1]}", parameter.help
    for name, below in getattr(command, "commands", {}).items():
        yield from options_of(below, f"{path} {name}")


def test_every_option_says_what_it_is_for() -> None:
    programs = {"wattcast": app, "wattcast models": models.app}
    for name, main in PROGRAMS.items():
        programs[name] = typer.Typer()
        programs[name].command()(main)
    found = [each for name, one in programs.items() for each in options_of(typer.main.get_command(one), name)]
    assert len(found) > 100
    assert [option for option, said in found if not said] == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["x.parquet", "--interval-minutes", "7"], "7 minutes do not divide an hour: take 5, 10, 15, 30 or 60."),
        (["x.parquet", "--interval-minutes", "0"], "0 minutes do not divide an hour: take 5, 10, 15, 30 or 60."),
        (["x.parquet", "--faults", "0.9"], "The share of faulty readings lies between 0 and 0.5."),
        (["x.parquet", "--start", "0001-01-01"], "60 days from 0001-01-01 on do not lie in the years 1970 to 2199."),
        (["x.parquet", "--start", "9999-12-31"], "60 days from 9999-12-31 on do not lie in the years 1970 to 2199."),
        (["file/x.parquet"], "file: File exists."),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)  # fmt: skip
def test_what_cannot_be_simulated_is_a_sentence(
    options: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    assert sentence(WATTCAST, "simulate", *options, status=2) == f"{says}\n"


def test_demo_refuses_what_it_cannot_replay_before_it_starts_a_broker(
    no_broker: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "bad.csv"
    file.write_text("when,building_id\n2026-01-01,a\n")
    refused = {
        (
            "--data",
            str(file),
        ): "bad.csv needs the columns measured_at (or timestamp), building_id and energy_usage_kwh;",
        ("--data", "none.csv"): "There is no file none.csv.",
        ("--interval-minutes", "7"): "7 minutes do not divide an hour: take 5, 10, 15, 30 or 60.",
    }
    for options, says in refused.items():
        assert sentence(WATTCAST, "demo", *options, status=2, environment=no_broker).startswith(says)
    assert not (tmp_path / "demo" / "kafka").exists()


@pytest.mark.parametrize(
    ("time", "says"),
    [("2026-01-01T00:00:00", "let `wattcast replay --naive-is-utc` take them as UTC."), ("yesterday", "is no time")],
)
def test_a_replay_names_the_option_for_times_without_a_zone(time: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "naive.csv"
    file.write_text(f"timestamp,building_id,energy_usage_kwh\n{time},a,1\n")
    environment = {"WATTCAST_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    heard = said(WATTCAST, "replay", str(file), status=2, environment=environment)
    assert says in heard
    assert ("--naive-is-utc" in heard) == (time != "yesterday")


@pytest.mark.parametrize("command", [["status"], ["up"], ["keys", "create", "me"], ["devices"]], ids=" ".join)
@pytest.mark.parametrize("below", ["", "state"])
def test_a_file_in_the_place_of_the_state_folder_is_a_sentence(command: list[str], below: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    heard = sentence(WATTCAST, *command, status=2, environment={"WATTCAST_STATE": str(file / below)})
    assert heard == f"Setting state: {file} is a file, no folder.\n"


@pytest.mark.parametrize("name", ["", " ", "a\tb", "a\nb"])
def test_a_key_has_a_name_that_can_be_printed(name: str, no_broker: dict[str, str]) -> None:
    heard = sentence(WATTCAST, "keys", "create", name, status=2, environment=no_broker)
    assert heard == "A key needs a name that can be printed: whose it is.\n"


def test_a_wrong_setting_of_a_model_job_is_named_by_its_file_too() -> None:
    file = str(project_folder("jobs") / "train.py")
    heard = sentence(sys.executable, file, status=2, environment={"WATTCAST_KAFKA__PARTITIONS": "0"})
    assert heard == "Setting kafka.partitions: Input should be greater than 0.\n"


@pytest.mark.parametrize(
    ("job", "options", "says"),
    [
        ("train", ["--data", "x.csv", "--options", "none.yaml"], "wattcast train: none.yaml: No such file or directory."),
        ("tune", ["--data", "x.csv", "--space", "none.yaml"], "wattcast tune: none.yaml: No such file or directory."),
        ("train", ["--data", "x.csv", "--buildings-file", "none.csv"], "wattcast train: none.csv"),
        ("models", ["promote", "shipped", "--data", "x.csv"], "`wattcast models register {shipped}` first"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)  # fmt: skip
def test_a_file_that_a_model_job_lacks_is_a_sentence(
    job: str, options: list[str], says: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("x.csv").write_text("timestamp,building_id,energy_usage_kwh\n2026-01-01T00:00:00Z,a,1\n")
    monkeypatch.setattr(sys, "argv", ["wattcast", *options])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(project_folder("jobs") / f"{job}.py"), run_name="__main__")
    heard = capsys.readouterr().err
    assert (ended.value.code, heard.count("\n")) == (2, 1), heard
    assert says.format(shipped=shipped_artifact()) in heard
    assert "Errno" not in heard


def test_a_server_says_why_it_cannot_listen_and_not_that_it_serves(no_broker: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        heard = sentence(WATTCAST, "serve", "--port", port, status=1, environment=no_broker)
    assert heard == f"The API cannot listen at 127.0.0.1, port {port}: Address already in use.\n"
    heard = sentence(WATTCAST, "serve", "--host", "nope.invalid", status=2, environment=no_broker)
    assert heard == "The API cannot listen at nope.invalid, port 8080: there is no host of that name.\n"
    heard = sentence(WATTCAST, "sql-gateway", "--host", "nope.invalid", status=2, environment=no_broker)
    assert heard == "The SQL gateway cannot listen at nope.invalid, port 10000: there is no host of that name.\n"


def test_a_server_for_others_says_that_no_key_is_valid_and_ends_well_at_once(no_broker: dict[str, str]) -> None:
    server = subprocess.Popen(
        [WATTCAST, "serve", "--host", "0.0.0.0", "--port", "0"],
        env=os.environ | no_broker, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with server:
        assert server.stderr is not None
        heard = [server.stderr.readline(), server.stderr.readline()]
        server.terminate()
        rest = server.stderr.read()
    assert f"serves {no_broker['WATTCAST_STATE']}/lake to keys" in heard[0]
    assert "No key is valid: requests are refused until `wattcast keys create NAME` has made one." in heard[1]
    assert server.returncode == 0, rest


def test_replay_of_a_missing_file_is_a_sentence(no_broker: dict[str, str]) -> None:
    assert sentence(WATTCAST, "replay", "none.parquet", status=2, environment=no_broker) == (
        "There is no file none.parquet.\n"
    )


def test_metadata_of_a_missing_file_are_a_sentence() -> None:
    assert sentence(WATTCAST, "buildings", "import", "none.csv", status=2) == (
        "none.csv cannot be read: No such file or directory\n"
    )


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


def test_a_file_that_must_not_be_written_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, told():
        raise PermissionError(13, "Permission denied", "keys.json")
    assert (ended.value.code, capsys.readouterr().err) == (1, "keys.json: Permission denied.\n")


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
