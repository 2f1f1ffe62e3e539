"""Computes every revision of every hour again, slowly, from the rules under "Clocks" in docs/architecture.md.

Plain loops over the accepted records of the topic: for each hour of each building, when it closed, and the values that were
known at that moment and at each later arrival.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from tests.chaos.judge.evidence import Evidence, KafkaRecord, Row, Rules, utc
from tests.chaos.judge.findings import Finding, differences, doubled, shown
from tests.chaos.judge.ledger import accepted_records

HOUR = timedelta(hours=1)
NEVER = datetime.max.replace(tzinfo=utc(0).tzinfo)
MEANS = ("temperature_c", "humidity_pct", "occupancy")


class Reading(NamedTuple):
    """An accepted record; readings sort by arrival, then by their place in the topic."""

    arrival: datetime
    partition: int
    offset: int
    building_id: str
    device_id: str
    measured_at: datetime
    values: dict[str, float | None]

    @property
    def hour(self) -> datetime:
        return self.measured_at.replace(minute=0, second=0, microsecond=0)


@dataclass(frozen=True)
class Values:
    """What is known of an hour at a moment."""

    energy_usage_kwh: float
    temperature_c: float | None
    humidity_pct: float | None
    occupancy: float | None
    readings_seen: int
    readings_expected: float | None

    @property
    def coverage(self) -> float | None:
        return None if self.readings_expected is None else min(1.0, self.readings_seen / self.readings_expected)

    @property
    def flags(self) -> set[str]:
        if self.readings_expected is None or self.coverage is None:
            return {"interval_unknown"}
        surplus = {"surplus"} if self.readings_seen > self.readings_expected else set()
        return surplus | ({"partial"} if self.coverage < 1 else set())


class Revision(NamedTuple):
    building_id: str
    hour: datetime
    number: int
    available_at: datetime
    values: Values


def expected_revisions(evidence: Evidence) -> list[Revision]:
    """The revisions that `hourly_usage` must have, by building, hour and number."""
    by_building: dict[str, list[Reading]] = defaultdict(list)
    for record in accepted_records(evidence):
        reading = _reading(record)
        by_building[reading.building_id].append(reading)
    intervals = {row["building_id"]: row["reading_interval_minutes"] for row in evidence.buildings}
    return [
        revision
        for building_id, readings in sorted(by_building.items())
        for revision in revisions_of_building(sorted(readings, key=_place), intervals.get(building_id), evidence.rules)
    ]


def revisions_of_building(readings: list[Reading], interval_minutes: int | None, rules: Rules) -> list[Revision]:
    """The revisions of one building, whose readings are in the order of arrival."""
    revisions = []
    for hour in sorted({reading.hour for reading in readings}):
        own = [reading for reading in readings if reading.hour == hour]
        closed_at = closing_time(hour, own, readings, interval_minutes, rules)
        if closed_at > rules.close_at:
            continue
        number, before = 0, None
        for moment in [closed_at, *sorted({reading.arrival for reading in own if reading.arrival > closed_at})]:
            values = _values([reading for reading in own if reading.arrival <= moment], interval_minutes)
            if values != before:
                number, before = number + 1, values
                revisions.append(Revision(own[0].building_id, hour, number, moment, values))
    return revisions


def closing_time(
    hour: datetime, own: list[Reading], readings: list[Reading], interval_minutes: int | None, rules: Rules
) -> datetime:
    """When an hour closes. `own` are its readings, `readings` all of the building, both in the order of arrival."""
    first, end = own[0].arrival, hour + HOUR
    complete = _completion(own, interval_minutes)
    if first > end + rules.max_wait:
        return min(complete, first + rules.grace)
    passed = min((r.arrival for r in readings if r.measured_at >= end + rules.grace), default=NEVER)
    return max(first, min(complete, passed, end + rules.max_wait))


def _completion(own: list[Reading], interval_minutes: int | None) -> datetime:
    """The arrival of the last expected reading."""
    seen: set[tuple[str, datetime]] = set()
    devices: set[str] = set()
    for reading in own:
        seen.add((reading.device_id, reading.measured_at))
        devices.add(reading.device_id)
        if interval_minutes and len(seen) >= len(devices) * 60 / interval_minutes:
            return reading.arrival
    return NEVER


def _values(known: list[Reading], interval_minutes: int | None) -> Values:
    """Of several readings of one device and time the one that arrived last counts."""
    latest = {(reading.device_id, reading.measured_at): reading.values for reading in known}
    devices = {reading.device_id for reading in known}
    return Values(
        energy_usage_kwh=float(sum(_exact(values["energy_usage_kwh"]) for values in latest.values())),
        **{name: _mean(values[name] for values in latest.values()) for name in MEANS},
        readings_seen=len(latest),
        readings_expected=len(devices) * 60 / interval_minutes if interval_minutes else None,
    )


def _mean(numbers: Iterable[float | None]) -> float | None:
    present = [_exact(number) for number in numbers if number is not None]
    return float(sum(present) / len(present)) if present else None


def _exact(number: float | None) -> Decimal:
    """A number in billionths of its unit, so that a sum does not depend on its order."""
    return round(Decimal(repr(number)), 9)


def _place(reading: Reading) -> tuple[datetime, int, int]:
    return reading[:3]


def _reading(record: KafkaRecord) -> Reading:
    message = json.loads(record.value or b"")
    return Reading(
        arrival=utc(record.arrival_ms),
        partition=record.partition,
        offset=record.offset,
        building_id=message["building_id"],
        device_id=message.get("device_id") or message["building_id"],
        measured_at=datetime.fromisoformat(message["measured_at"]),
        values={name: message.get(name) for name in ("energy_usage_kwh", *MEANS)},
    )


def hour_findings(evidence: Evidence, expected: list[Revision]) -> list[Finding]:
    """What differs between `hourly_usage` and the expected revisions."""
    rows = {_key(row): row for row in evidence.hourly}
    findings = doubled("revision", map(_key, evidence.hourly))
    available = [(row["building_id"], row["hour"], row["available_at"]) for row in evidence.hourly]
    repeated = {(building_id, hour) for (building_id, hour, _), count in Counter(available).items() if count > 1}
    findings += [Finding("doubled", "hour", f"{shown(key)}: two revisions available at one time") for key in repeated]
    for revision in expected:
        key = revision.building_id, revision.hour, revision.number
        row = rows.pop(key, None)
        if row is None:
            findings.append(Finding("lost", "revision", shown(key)))
            continue
        actual = row | {"quality_flags": set(row["quality_flags"])}
        values = asdict(revision.values) | {
            "coverage": revision.values.coverage,
            "quality_flags": revision.values.flags,
        }
        findings += differences("revision", shown(key), actual, {"available_at": revision.available_at} | values)
    return findings + [Finding("wrong", "revision", f"{shown(key)} must not exist") for key in rows]


def _key(row: Row) -> tuple[object, ...]:
    return row["building_id"], row["hour"], row["revision"]
