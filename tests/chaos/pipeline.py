"""`wattcast run pipeline` in a process group of its own: start it, find its processes, kill them."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
from tests.chaos.platform import ChaosFailed, command, environment
from tests.jobs.steps import kill

POLL_SECONDS = 0.002
END_SECONDS = 60  # within which the other processes end when one was killed


class Pipeline:
    """The pipeline of a state folder; what it prints is appended to `log`."""

    def __init__(self, state: Path) -> None:
        self.log = state / "pipeline.log"
        self._state = state
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, *options: str, max_offsets: int) -> None:
        """Start it; a batch of ingest reads at most `max_offsets` records."""
        variables = environment(self._state) | {"WATTCAST_BATCH__MAX_OFFSETS_PER_BATCH": str(max_offsets)}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command("run", "pipeline", *options), env=variables, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def processes(self, kind: str) -> list[psutil.Process]:
        """The processes of a kind: `driver` (Python), `jvm`, or `worker` (Python processes below the JVM that run tasks)."""
        if self._process is None or not self.is_running:
            return []
        driver = psutil.Process(self._process.pid)
        if kind == "driver":
            return [driver]
        with suppress(psutil.NoSuchProcess):
            jvms = [process for process in driver.children(recursive=True) if process.name() == "java"]
            if kind == "jvm":
                return jvms
            return [worker for jvm in jvms for daemon in jvm.children() for worker in daemon.children()]
        return []

    def kill(self) -> None:
        """SIGKILL to the process group."""
        if self._process is not None:
            kill(self._process)

    def ended(self, seconds: float = END_SECONDS) -> bool:
        """Whether all its processes end by themselves within `seconds`; afterwards none of them is left."""
        if self._process is None:
            return True
        deadline, group = time.monotonic() + seconds, self._process.pid
        while _is_alive(group) and time.monotonic() < deadline:
            self._process.poll()
            time.sleep(50 * POLL_SECONDS)
        is_ended = not _is_alive(group)
        self.kill()
        return is_ended

    def wait_until(self, happened: Callable[[], bool], seconds: float) -> bool:
        """Whether it happens within `seconds` while the pipeline runs."""
        deadline = time.monotonic() + seconds
        while self.is_running and time.monotonic() < deadline:
            if happened():
                return True
            time.sleep(POLL_SECONDS)
        return False

    def finish(self, *options: str, max_offsets: int, seconds: float) -> None:
        """Run it with `--once` to its end. Raises ChaosFailed."""
        self.start("--once", *options, max_offsets=max_offsets)
        assert self._process is not None
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ChaosFailed(
                f"The last run did not end within {seconds:.0f} s; the end of {self.log}:\n{self.tail()}"
            ) from None
        if status:
            raise ChaosFailed(f"The last run ended with {status}; the end of {self.log}:\n{self.tail()}")

    def tail(self, lines: int = 15) -> str:
        """The last lines that it printed."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def _is_alive(group: int) -> bool:
    """Whether a process of the group is left that is no zombie."""
    for process in psutil.process_iter():
        with suppress(ProcessLookupError, psutil.NoSuchProcess):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                return True
    return False


def stop_process(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(signal.SIGKILL)
