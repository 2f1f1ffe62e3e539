"""When an hour of a building counts as closed: the values that training and serving must share."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from wattcast_models.time_units import HOUR_US

TRAINED_UNDER = "trained_under"  # the key of the config of an artifact; older artifacts lack it


@dataclass(frozen=True)
class ClosingRules:
    """The settings `closing` of the platform that the contexts of forecasts depend on.

    A live forecast is issued when the hour before its origin closes, at the latest `max_wait_minutes` after the origin. So a
    context contains the hours that were known then, and training must cut its contexts in the same way.
    """

    grace_minutes: int
    max_wait_minutes: int

    @property
    def max_wait_us(self) -> int:
        return self.max_wait_minutes * HOUR_US // 60


def trained_under(closing: ClosingRules) -> dict[str, dict[str, dict[str, int]]]:
    """The entry of an artifact's config that records the rules."""
    return {TRAINED_UNDER: {"closing": asdict(closing)}}


def closing_mismatch(config: Mapping[str, Any], current: ClosingRules) -> str:
    """How the rules that a model was trained under differ from the current ones; empty if they do not.

    Also empty for an artifact that does not record its rules.
    """
    recorded = (config.get(TRAINED_UNDER) or {}).get("closing") or {}
    differences = [
        f"closing.{name} {recorded[name]}, not {value}"
        for name, value in asdict(current).items()
        if name in recorded and recorded[name] != value
    ]
    return " and ".join(differences)
