"""Uncommitted stand-in for lint."""

from collections.abc import Sequence
from dataclasses import dataclass

from wattcast_models.predictor import Predictor
from wattcast_models.readings import Building


@dataclass(frozen=True)
class GateLimits:
    pass


@dataclass(frozen=True)
class Verdict:
    is_accepted: bool
    reasons: list[str]
    figures: dict[str, float]


def judge(
    challenger: Predictor,
    champion: Predictor,
    buildings: Sequence[Building],
    *,
    test_share: float = 0.2,
    limits: GateLimits = GateLimits(),
) -> Verdict:
    is_accepted = "good" in challenger.version
    return Verdict(is_accepted, [f"stand-in {len(buildings)} buildings"], {"geometric_mean": 0.9})
