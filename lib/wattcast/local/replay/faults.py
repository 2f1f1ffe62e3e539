"""Faults that a replay injects: shares of late, repeated, corrected and corrupted records."""

import json
from collections.abc import Callable
from dataclasses import astuple, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

Message = dict[str, Any]


@dataclass(frozen=True)
class Faults:
    """Shares of the readings, each between 0 and 1. A reading has at most one of the first four faults."""

    disordered: float = 0.0  # arrives one to three reading intervals late, after its successor
    delayed: float = 0.0  # arrives 2 to 48 hours late
    duplicated: float = 0.0  # the same bytes are sent again within 24 hours
    corrected: float = 0.0  # a wrong value is sent first, the recorded one 1 to 24 hours later
    corrupted: float = 0.0  # a corrupted record is sent beside the good one

    def __post_init__(self) -> None:
        shares = astuple(self)
        if min(shares) < 0 or max(shares) > 1 or sum(shares[:4]) > 1:
            raise ValueError(
                "Each share of faults must lie between 0 and 1, and all but `corrupted` must add up to at most 1."
            )


NO_FAULTS = Faults()


class Corruption(NamedTuple):
    """How a valid message, given its arrival, becomes a corrupted value, and the rules for which that value is rejected."""

    corrupt: Callable[[Message, datetime], bytes | None]
    rejected_for: tuple[str, ...]


def written(message: object) -> bytes:
    """Compact JSON in UTF-8."""
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()


def _set(**changes: object) -> Callable[[Message, datetime], bytes]:
    return lambda message, _: written(message | changes)


def _without(name: str) -> Callable[[Message, datetime], bytes]:
    return lambda message, _: written({key: value for key, value in message.items() if key != name})


def _truncated(message: Message, _: datetime) -> bytes:
    good = written(message)
    return good[: len(good) // 2]


def _without_zone(message: Message, _: datetime) -> bytes:
    return written(message | {"measured_at": message["measured_at"].removesuffix("Z")})


def _energy_as_text(message: Message, _: datetime) -> bytes:
    return written(message | {"energy_usage_kwh": str(message["energy_usage_kwh"])})


def _in_future(message: Message, arrival: datetime) -> bytes:
    stamp = (arrival + timedelta(days=2)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return written(message | {"measured_at": stamp})


def _invalid_utf8(message: Message, _: datetime) -> bytes:
    return written(message).replace(b'"building_id":"', b'"building_id":"\xff\xfe', 1)


CORRUPTIONS: dict[str, Corruption] = {
    "not_json": Corruption(lambda message, _: b"meter says: all fine", ("not_json",)),
    "truncated": Corruption(_truncated, ("not_json",)),
    "empty_value": Corruption(lambda message, _: b"", ("empty_value",)),
    "null_value": Corruption(lambda message, _: None, ("empty_value",)),
    "array": Corruption(lambda message, _: written([message]), ("not_an_object",)),
    "energy_as_text": Corruption(_energy_as_text, ("energy_usage_kwh.wrong_type",)),
    "temperature_as_text": Corruption(_set(temperature_c="mild"), ("temperature_c.wrong_type",)),
    "without_building_id": Corruption(_without("building_id"), ("building_id.missing",)),
    "without_measured_at": Corruption(_without("measured_at"), ("measured_at.missing",)),
    "without_energy": Corruption(_without("energy_usage_kwh"), ("energy_usage_kwh.missing",)),
    "humidity_250": Corruption(_set(humidity_pct=250), ("humidity_pct.out_of_range",)),
    "temperature_900": Corruption(_set(temperature_c=900), ("temperature_c.out_of_range",)),
    "occupancy_below_zero": Corruption(_set(occupancy=-3), ("occupancy.out_of_range",)),
    "without_zone": Corruption(_without_zone, ("measured_at.without_zone",)),
    "year_1970": Corruption(_set(measured_at="1970-01-01T00:00:00Z"), ("measured_at.out_of_range",)),
    "year_9999": Corruption(_set(measured_at="9999-12-31T23:00:00Z"), ("measured_at.out_of_range",)),
    "in_future": Corruption(_in_future, ("measured_at.in_future",)),
    "invalid_utf8": Corruption(_invalid_utf8, ("invalid_utf8",)),
    "nan_literal": Corruption(_set(energy_usage_kwh=float("nan")), ("not_json", "non_finite_number")),
}
"""Every kind of corrupted record, in the order in which a replay cycles through them."""
