"""Sends the records of a replay to Kafka, in order, paced or at full speed, and reports how many are acknowledged."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from wattcast.local.replay.recordings import HOUR_MS
from wattcast.local.replay.sequence import Record

RECORDS_PER_WINDOW = 2000
SECONDS_PER_WINDOW = 1.0


class Future(Protocol):
    """The promise of an acknowledgement."""

    def get(self) -> Any: ...


class Producer(Protocol):
    """The part of a Kafka producer that sending needs."""

    def send(
        self, topic: str, *, key: bytes, value: bytes | None, partition: int | None, timestamp_ms: int
    ) -> Future: ...


class Pace:
    """Paces a replay at `speed` simulated seconds per second, from the first record on; without a speed it never waits."""

    def __init__(
        self,
        speed: float | None,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        if speed is not None and not speed > 0:
            raise ValueError("The speed of a replay must be a number of simulated seconds per second, above zero.")
        self._speed, self._clock, self.wait = speed, clock, wait
        self._began: tuple[float, int] | None = None

    def seconds_until(self, arrival_ms: int) -> float:
        if self._speed is None:
            return 0.0
        if self._began is None:
            self._began = (self._clock(), arrival_ms)
        began, first_ms = self._began
        return began + (arrival_ms - first_ms) / 1000 / self._speed - self._clock()


def acknowledged(sequence: Iterable[Record], producer: Producer, topic: str, pace: Pace) -> Iterator[int]:
    """Send the records; yields the number of acknowledged records after each window and at the end.

    A window of 2,000 records, or of an hour of arrival if that has more, is sent while the window before it is awaited, so
    that no partition gets further ahead of another. Raises the error of a record that Kafka refused.
    """
    partition_of: dict[bytes, int] = {}  # as Kafka chose them: to compute the partition for each record is slow
    count, hour, began = 0, 0, time.monotonic()
    before: list[tuple[bytes, Future]] = []
    window: list[tuple[bytes, Future]] = []
    for record in sequence:
        delay = pace.seconds_until(record.arrival_ms)
        is_full = len(window) >= RECORDS_PER_WINDOW and record.arrival_ms // HOUR_MS != hour
        is_slow = delay > SECONDS_PER_WINDOW or time.monotonic() - began > SECONDS_PER_WINDOW
        if window and (is_full or is_slow):
            count += _awaited(before, partition_of)
            before, window = window, []
            if delay > SECONDS_PER_WINDOW:
                count += _awaited(before, partition_of)
                before = []
            hour, began = record.arrival_ms // HOUR_MS, time.monotonic()
            yield count
        if delay > 0:
            pace.wait(delay)
        future = producer.send(
            topic,
            key=record.key,
            value=record.value,
            partition=partition_of.get(record.key),
            timestamp_ms=record.arrival_ms,
        )
        window.append((record.key, future))
    yield count + _awaited(before + window, partition_of)


def _awaited(sent: list[tuple[bytes, Future]], partition_of: dict[bytes, int]) -> int:
    """Wait until these records are acknowledged; how many they are."""
    for key, future in sent:
        partition_of[key] = future.get().partition
    return len(sent)
