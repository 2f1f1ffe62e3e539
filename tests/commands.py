"""Runs commands in the process of the tests, or as a process where the process itself is under test."""

import logging
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from pyspark.sql import SparkSession

from wattcast.cli.main import main
from wattcast.ingest import reading_check
from wattcast.runtime import context
from wattcast.settings import settings

PROGRAM = str(Path(sys.executable).with_name("wattcast"))
LOGGERS = (None, "wattcast", "kafka")
SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Result(NamedTuple):
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The only line on stderr."""
        assert self.err.count("\n") == 1, self.err
        return self.err


Wattcast = Callable[..., Result]


@pytest.fixture
def process_state(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restores what a command changes in its process: environment, settings, log levels, signal handlers."""
    environment, interval = dict(os.environ), sys.getswitchinterval()
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    settings.cache_clear()
    yield
    os.environ.clear()
    os.environ.update(environment)
    settings.cache_clear()
    sys.setswitchinterval(interval)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def wattcast(process_state: None, capfd: pytest.CaptureFixture[str]) -> Wattcast:
    """Runs `wattcast ARGUMENTS` in this process; keywords are variables of the environment."""

    def run(*arguments: str, **environment: str) -> Result:
        return _result(lambda: main(arguments), environment, capfd)

    return run


@pytest.fixture
def run_file(
    process_state: None, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """Runs a Python file in this process as `python FILE ARGUMENTS`; keywords are variables of the environment."""

    def run(file: Path, *arguments: str, **environment: str) -> Result:
        monkeypatch.setattr(sys, "argv", [str(file), *arguments])
        return _result(lambda: runpy.run_path(str(file), run_name="__main__"), environment, capfd)

    return run


@pytest.fixture
def wattcast_process() -> Wattcast:
    """Runs `wattcast ARGUMENTS` as a process, with `piped` on its standard input."""

    def run(*arguments: str, piped: str = "", **environment: str) -> Result:
        completed = subprocess.run(
            [PROGRAM, *arguments],
            input=piped,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        return _checked(Result(completed.returncode, completed.stdout, completed.stderr))

    return run


@pytest.fixture
def shared_spark(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> SparkSession:
    """The session of the tests, which commands use instead of one of their own and cannot stop."""
    monkeypatch.setattr(context, "spark_session", lambda *_, **__: spark)
    monkeypatch.setattr(reading_check, "small_session", lambda *_, **__: spark)
    monkeypatch.setattr(SparkSession, "stop", lambda _: None)
    return spark


@pytest.fixture
def no_broker(tmp_path: Path) -> dict[str, str]:
    """The environment of an empty state folder, without a broker."""
    return {"WATTCAST_STATE": str(tmp_path), "WATTCAST_KAFKA__BOOTSTRAP_SERVERS": ""}


@pytest.fixture
def old_java(tmp_path: Path) -> dict[str, str]:
    """An environment in which Java is version 11."""
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    java.chmod(0o755)
    return {"JAVA_HOME": str(tmp_path)}


def _result(program: Callable[[], object], environment: Mapping[str, str], capfd: pytest.CaptureFixture[str]) -> Result:
    """Run the program as the interpreter does: a text as exit code is a message on stderr and status 1."""
    capfd.readouterr()
    os.environ.update(environment)
    settings.cache_clear()
    code: str | int | None = None
    try:
        program()
    except SystemExit as ended:
        code = ended.code
    out, err = capfd.readouterr()
    if isinstance(code, str):
        return _checked(Result(1, out, f"{err}{code}\n"))
    return _checked(Result(code or 0, out, err))


def _checked(result: Result) -> Result:
    assert "Traceback" not in result.err
    return result
