"""What a cluster takes of this machine while it is up."""

import threading
from time import monotonic

import psutil

LOOK_SECONDS = 5


class Usage(threading.Thread):
    """Looks at all processes below one, until it is told to end. `peak_gib`: the most memory that they had together, what they
    share counted once (PSS). `seconds_up`: for how long it looked."""

    def __init__(self, holder: psutil.Process) -> None:
        super().__init__(daemon=True, name="usage")
        self._holder, self._over, self._begun = holder, threading.Event(), monotonic()
        self.peak_gib = self.seconds_up = 0.0

    def run(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            self.peak_gib = max(self.peak_gib, _together(self._holder) / 2**30)

    def end(self) -> None:
        self.seconds_up = monotonic() - self._begun
        self._over.set()
        self.join()


def _together(holder: psutil.Process) -> int:
    """Bytes of a process and its descendants; of those that end meanwhile, none."""
    try:
        return sum(filter(None, map(_proportional, [holder, *holder.children(recursive=True)])))
    except psutil.NoSuchProcess:
        return 0


def _proportional(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.NoSuchProcess:
        return 0
