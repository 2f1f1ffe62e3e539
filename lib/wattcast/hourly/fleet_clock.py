"""Up to which arrival the records of all buildings are in, although some record may be stamped far ahead of the others.

On topics of CreateTime a producer stamps its own records. A record that is stamped days ahead counts for its own building, and
not for the others, until enough buildings confirm that the time has come.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

SUSTAINED_HOURS = 24  # with records of some buildings, after which the time of these buildings counts for all


@dataclass(frozen=True)
class ArrivalHour:
    """What arrived in a Kafka partition in one hour of arrival: the newest arrival, and the number of buildings with accepted
    readings, with one of them."""

    hour: datetime
    partition: tuple[str, int]
    newest: datetime
    buildings: int
    a_building: str | None


@dataclass(frozen=True)
class _FleetHour:
    """An hour of arrival over all partitions."""

    hour: datetime
    buildings: int
    a_building: str | None


def low_watermark_of(arrivals: Sequence[ArrivalHour], idle: timedelta) -> datetime | None:
    """The oldest of the newest arrivals of the partitions, without partitions that are `idle` behind the newest one, and without
    arrivals more than `idle` ahead of the confirmed hours. None without arrivals."""
    if not arrivals:
        return None
    limit = _confirmed_hour(_fleet_hours(arrivals), idle) + idle
    newest: dict[tuple[str, int], datetime] = {}
    for arrival in arrivals:
        if arrival.hour <= limit:
            newest[arrival.partition] = max(arrival.newest, newest.get(arrival.partition, arrival.newest))
    return min(time for time in newest.values() if time >= max(newest.values()) - idle)


def _fleet_hours(arrivals: Iterable[ArrivalHour]) -> list[_FleetHour]:
    by_hour: dict[datetime, list[ArrivalHour]] = {}
    for arrival in arrivals:
        by_hour.setdefault(arrival.hour, []).append(arrival)
    return [
        _FleetHour(
            hour,
            sum(arrival.buildings for arrival in of_hour),
            min((arrival.a_building for arrival in of_hour if arrival.a_building is not None), default=None),
        )
        for hour, of_hour in sorted(by_hour.items())
    ]


def _confirmed_hour(hours: Sequence[_FleetHour], idle: timedelta) -> datetime:
    """The newest hour of `hours`, which are in order, at which most of the buildings are.

    An hour is confirmed if more than half as many buildings have readings in it as in the fullest hour that was confirmed within
    `idle` before the last confirmed one; if both have one building, it must be the same. Otherwise the 24th hour with records
    since the last confirmed one is.
    """
    confirmed, since = [hours[0]], 0
    for hour in hours[1:]:
        since += 1
        usual = max(
            (past for past in confirmed if past.hour >= confirmed[-1].hour - idle), key=lambda past: past.buildings
        )
        if _is_confirmed(hour, usual) or since >= SUSTAINED_HOURS:
            confirmed, since = [*confirmed[-SUSTAINED_HOURS:], hour], 0
    return confirmed[-1].hour


def _is_confirmed(hour: _FleetHour, usual: _FleetHour) -> bool:
    if usual.buildings == hour.buildings == 1:
        return hour.a_building == usual.a_building
    return hour.buildings * 2 > usual.buildings
