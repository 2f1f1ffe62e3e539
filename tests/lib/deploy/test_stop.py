"""The preStop hook of a driver stops the job's own process and waits for it."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

JOB = """
import signal, sys
def end(*_):
    print("ending", flush=True)
    sys.stdin.readline()  # until the current batch is finished
    sys.exit(7)
signal.signal(signal.SIGTERM, end)
print("up", flush=True)
signal.pause()
"""


def hook(file: Path) -> subprocess.Popen[bytes]:
    """The hook as Kubernetes runs it: not as the parent of the job."""
    return subprocess.Popen([sys.executable, "-m", "wattcast.deploy.stop", str(file)])


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_hook_returns_after_the_job_has_ended_by_itself(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "ingest.py"
    file.write_text(JOB, encoding="utf-8")
    running = start(str(file), "--once")
    assert running.stdin is not None
    assert running.stdout is not None
    waiting = hook(file)
    assert running.stdout.readline() == "ending\n"
    assert waiting.poll() is None
    running.stdin.write("done\n")
    running.stdin.flush()
    assert running.wait(timeout=60) == 7
    assert waiting.wait(timeout=60) == 0


def test_process_with_the_file_as_an_argument_is_not_stopped(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "ingest.py"
    other = tmp_path / "spark_submit.py"
    other.write_text(JOB, encoding="utf-8")
    bystander = start(str(other), str(file))
    assert hook(file).wait(timeout=60) == 0
    assert bystander.poll() is None
