"""Sending: the pace, and how far partitions get ahead of each other."""

from types import SimpleNamespace

import pytest
from tests.lib.local.replay.recorded import frame, sequence, written

from wattcast.local.replay.faults import Faults
from wattcast.local.replay.sending import Pace, acknowledged


class Clock:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.now, self.waits = 100.0, []

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


class Ledger:
    """A producer whose records are acknowledged when their future is awaited."""

    def __init__(self, partitions: int = 3) -> None:
        self.sent: list[tuple[bytes, int | None, int]] = []
        self.pending = 0
        self.most_pending = 0
        self._partitions = partitions

    def send(self, topic, *, key, value, partition, timestamp_ms):
        self.sent.append((key, partition, timestamp_ms))
        self.pending += 1
        self.most_pending = max(self.most_pending, self.pending)
        return SimpleNamespace(get=lambda: self._acknowledge(key))

    def _acknowledge(self, key: bytes):
        self.pending -= 1
        return SimpleNamespace(partition=sum(key) % self._partitions)


def test_a_speed_of_3600_passes_an_hour_of_arrival_per_second(file):
    clock, ledger = Clock(), Ledger()
    pace = Pace(3600, clock, clock.wait)
    sent = sequence(file, Faults(), days=1)
    assert list(acknowledged(sent, ledger, "readings", pace))[-1] == len(sent)
    passed = (sent[-1].arrival_ms - sent[0].arrival_ms) / 1000 / 3600
    assert clock.now - 100 == pytest.approx(passed)
    with pytest.raises(ValueError, match="above zero"):
        Pace(0)


def test_no_more_than_two_windows_are_under_way_at_full_speed(tmp_path):
    path = written(frame(buildings=10, days=30, minutes=60), tmp_path / "readings.parquet")
    sent, ledger = sequence(path, Faults()), Ledger()
    done = list(acknowledged(sent, ledger, "readings", Pace(None)))
    assert done == sorted(done)
    assert done[-1] == len(sent) == 7200
    assert ledger.pending == 0
    assert 2000 <= ledger.most_pending <= 4100
    assert [record.arrival_ms for record in sent] == [arrival for _, _, arrival in ledger.sent]
    assert {partition for key, partition, _ in ledger.sent[-500:]} == {sum(record.key) % 3 for record in sent}
