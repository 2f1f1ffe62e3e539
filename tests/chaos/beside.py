"""Commands that run beside the pipeline: maintenance of the tables, and backfills."""

import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
from tests.chaos.judge.evidence import utc
from tests.chaos.platform import ChaosFailed, command, environment
from tests.chaos.source import Source
from tests.jobs.steps import kill

SECONDS = 300


class Beside:
    """Starts commands of the state folder, one at a time, and reports one that fails."""

    def __init__(self, state: Path, source: Source, say: Callable[[str], None]) -> None:
        self._state, self._say = state, say
        self._first, self._last = utc(source.hours[0][0].measured_ms), utc(source.last_arrival_ms)
        self._log = state / "beside.log"
        self._running: subprocess.Popen[bytes] | None = None
        self._backfills = 0

    def run(self, *arguments: str) -> None:
        """Run a command to its end. Raises ChaosFailed."""
        process = self._start(arguments)
        if process.wait(SECONDS):
            raise ChaosFailed(f"wattcast {' '.join(arguments)} failed:\n{self._tail()}")

    def start_one(self, rng: np.random.Generator) -> None:
        """Start maintenance or a backfill of a random day, unless one is running."""
        if self._running is not None and self._running.poll() is None:
            return
        arguments = ["maintain"] if rng.random() < 0.5 else self._backfill(rng)
        self._running = self._start(arguments)
        self._say(f"beside: wattcast {' '.join(arguments)}")

    def wait(self) -> None:
        """Wait until no command runs."""
        if self._running is not None and self._running.wait(SECONDS):
            self._say(f"a command beside the pipeline failed:\n{self._tail()}")

    def kill(self) -> None:
        if self._running is not None:
            kill(self._running)

    def _backfill(self, rng: np.random.Generator) -> list[str]:
        self._backfills += 1
        days = max(1, (self._last - self._first).days)
        first = self._first.replace(tzinfo=None, minute=0, second=0, microsecond=0) + timedelta(
            days=int(rng.integers(days))
        )
        end = first + timedelta(days=1)
        purpose = f"chaos-{self._backfills}"
        return ["run", "backfill", "--from", first.isoformat(), "--to", end.isoformat(), "--purpose", purpose]

    def _start(self, arguments: list[str] | tuple[str, ...]) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                command(*arguments), env=environment(self._state), start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def _tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-8:])
