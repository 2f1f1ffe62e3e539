"""Locks by files in a folder of one machine."""

from pathlib import Path

from filelock import FileLock, Timeout

from wattcast.lake.locks import lock_refusal


class FileLocks:
    """Files in a folder of this machine. The system frees them when their process ends."""

    def __init__(self, folder: Path, lake: str) -> None:
        self._folder, self._lake = folder, lake
        self._held: dict[str, FileLock] = {}

    def acquire(self, name: str, *, wait_seconds: float = 0) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._folder / f"{name}.lock", thread_local=False)  # any thread may close it
        try:
            lock.acquire(timeout=wait_seconds)
        except Timeout:
            raise lock_refusal(name, "another Wattcast process", self._lake) from None
        self._held[name] = lock

    def release(self, name: str) -> None:
        if (lock := self._held.pop(name, None)) is not None:
            lock.release()

    def close(self) -> None:
        for name in list(self._held):
            self.release(name)
