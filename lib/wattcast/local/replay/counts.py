"""Counts of the records that a replay sent, and of those that ingest must accept and reject."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from wattcast.local.replay.faults import CORRUPTIONS
from wattcast.local.replay.sequence import Record

ENERGY_MISSING = "energy_usage_kwh.missing"
FILE_KINDS = ("on_time", "disordered", "delayed", "corrected")


@dataclass(frozen=True)
class ReplayCounts:
    """The records of a whole replay, by fault, and how ingest must validate them."""

    sent: int = 0
    readings: int = 0  # rows of the file, with or without energy
    without_energy: int = 0
    disordered: int = 0
    delayed: int = 0
    duplicated: int = 0
    corrected: int = 0
    corrupted: Counter[str] = field(default_factory=Counter)  # by kind
    expected_accepted: int = 0
    expected_rejected: Counter[str] = field(default_factory=Counter)  # by rule; a record can break several
    first_arrival: datetime | None = None
    last_arrival: datetime | None = None
    last_measured_at: datetime | None = None


class Tally:
    """Counts records while they are iterated."""

    def __init__(self) -> None:
        self.first_arrival_ms: int | None = None
        self.last_arrival_ms: int | None = None
        self._last_measured_ms: int | None = None
        self._records: Counter[tuple[str, tuple[str, ...]]] = Counter()

    def counted(self, sequence: Iterable[Record]) -> Iterator[Record]:
        """The same records; each is counted when it is taken."""
        for record in sequence:
            if self.first_arrival_ms is None or self._last_measured_ms is None:
                self.first_arrival_ms, self._last_measured_ms = record.arrival_ms, record.measured_ms
            self.last_arrival_ms = record.arrival_ms
            self._last_measured_ms = max(self._last_measured_ms, record.measured_ms)
            self._records[record.kind, record.rejected_for] += 1
            yield record

    def counts(self) -> ReplayCounts:
        by_kind: Counter[str] = Counter()
        rejected: Counter[str] = Counter()
        for (kind, rules), count in self._records.items():
            by_kind[kind] += count
            rejected.update(dict.fromkeys(rules, count))
        return ReplayCounts(
            sent=by_kind.total(),
            readings=sum(by_kind[kind] for kind in FILE_KINDS),
            without_energy=sum(
                count
                for (kind, rules), count in self._records.items()
                if kind in FILE_KINDS and ENERGY_MISSING in rules
            ),
            disordered=by_kind["disordered"],
            delayed=by_kind["delayed"],
            duplicated=by_kind["duplicated"],
            corrected=by_kind["corrected"],
            corrupted=Counter({kind: count for kind, count in by_kind.items() if kind in CORRUPTIONS}),
            expected_accepted=sum(count for (_, rules), count in self._records.items() if not rules),
            expected_rejected=rejected,
            first_arrival=_utc(self.first_arrival_ms),
            last_arrival=_utc(self.last_arrival_ms),
            last_measured_at=_utc(self._last_measured_ms),
        )


def _utc(epoch_ms: int | None) -> datetime | None:
    return None if epoch_ms is None else datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=epoch_ms)
