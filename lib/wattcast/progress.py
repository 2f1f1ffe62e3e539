"""The progress of a long command: a bar in a terminal, elsewhere a line on the standard error every 10 seconds."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

REPORT_SECONDS = 10
MINUTE, HOUR = 60, 3600

Update = Callable[..., None]
"""Called with how much is done, and optionally a `note` such as the loss of a training."""


class Estimate:
    """How much of a piece of work is done, and how long the rest takes at the rate so far. `total` is None for work whose size is
    unknown."""

    def __init__(self, title: str, total: float | None = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.title, self.total, self.done, self.note = title, total, 0.0, ""
        self._clock, self._began = clock, clock()
        self._first: float | None = None  # what was done before this command, such as by a run that it resumes

    def update(self, done: float, note: str = "") -> None:
        if self._first is None and done > 0:
            self._first = done if self.done == 0 and self.seconds < 1 else 0.0
        self.done, self.note = done, note

    @property
    def seconds(self) -> float:
        return self._clock() - self._began

    @property
    def seconds_left(self) -> float | None:
        """None while nothing is done."""
        gained = self.done - (self._first or 0.0)
        return max(self.total - self.done, 0.0) * self.seconds / gained if self.total and gained > 0 else None

    def line(self) -> str:
        """A line such as `backfill: 40 % in 2 min 10 s, about 3 min 15 s left`."""
        share = f"{100 * min(self.done / self.total, 1.0):.0f} % in " if self.total else ""
        left = "" if self.seconds_left is None else f", about {duration(self.seconds_left)} left"
        note = f"; {self.note}" if self.note else ""
        return f"{self.title}: {share}{duration(self.seconds)}{left}{note}"


@contextmanager
def progress(title: str, *, total: float | None = 1.0) -> Iterator[Update]:
    """Show the progress of the work inside the block, of which `total` is all; None where that is unknown."""
    with _bar(title, total) if is_shown_as_bar() else _lines(Estimate(title, total)) as update:
        yield update


def is_shown_as_bar() -> bool:
    """Whether a person sees the output in a terminal."""
    return sys.stdout.isatty()


def duration(seconds: float) -> str:
    """A time such as `8.2 s`, `45 s`, `3 min 20 s` or `2 h 5 min`."""
    if seconds < REPORT_SECONDS:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE} s"
    return f"{whole // HOUR} h {whole % HOUR // MINUTE} min"


class Ticker(threading.Thread):
    """Calls `tick` every 10 seconds in a thread of its own inside its `with` block."""

    def __init__(self, tick: Callable[[], None], seconds: float = REPORT_SECONDS) -> None:
        super().__init__(daemon=True, name="progress")
        self._tick, self._seconds, self._stopped = tick, seconds, threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(self._seconds):
            self._tick()

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self.join()


@contextmanager
def _lines(estimate: Estimate) -> Iterator[Update]:
    with Ticker(lambda: print(estimate.line(), file=sys.stderr, flush=True)):
        yield estimate.update


@contextmanager
def _bar(title: str, total: float | None) -> Iterator[Update]:
    from rich.markup import escape
    from rich.progress import Progress, TextColumn

    with Progress(*Progress.get_default_columns(), TextColumn("{task.fields[note]}")) as bar:
        task = bar.add_task(escape(title), total=total, note="")
        yield lambda done, note="": bar.update(task, completed=done, note=escape(note))
