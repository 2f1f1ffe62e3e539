"""Promotion and rollback: a registered version becomes the champion of a scope if the gate accepts it.

The last step of each is to move the alias `champion`, which the forecasting jobs follow.
"""

import getpass
import platform
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from wattcast_models.artifact.folder import shipped_artifact
from wattcast_models.artifact.predictor import Predictor
from wattcast_models.data.readings import Building
from wattcast_models.registry.model_refs import load_version
from wattcast_models.registry.registry import Event, Registry, Version
from wattcast_models.registry.scopes import ALL, Scope

if TYPE_CHECKING:
    from wattcast_models.registry.gate import GateDecision

PROMOTED, REFUSED = "promoted", "refused"

Judge = Callable[[Predictor, Predictor, Sequence[Building]], "GateDecision"]


class PromotionError(ValueError):
    """The promotion or rollback is not possible; the message says why."""


def register(registry: Registry, folder: Path) -> Version:
    """Register an artifact. The shipped model is registered before it, so that a rollback can return to it."""
    registry.register(shipped_artifact())
    return registry.register(folder)


def incumbent(registry: Registry, scope: Scope, site: str = "") -> Version | None:
    """The version that forecasts `scope` now; `site` is the site of a building. None for the shipped model."""
    wider = [Scope("site", site)] if scope.kind == "building" and site else []
    return next(filter(None, (champion(registry, candidate) for candidate in (scope, *wider, ALL))), None)


def promote(
    registry: Registry,
    challenger: Version,
    buildings: Sequence[Building],
    *,
    judge: Judge,
    scope: Scope = ALL,
    sites: Mapping[str, str] | None = None,
    forced_because: str = "",
) -> Event:
    """Make the challenger the champion of `scope` if the judge accepts it, or if it is forced; records and returns the event.

    The judge compares it, on the scope's `buildings`, with the model that forecasts them now. A forced promotion without
    buildings skips the judge. The former champion becomes `previous`. `sites` has the site by building id.
    """
    sites = sites or {}
    former, current = champion(registry, scope), incumbent(registry, scope, sites.get(scope.name, ""))
    if current and current.number == challenger.number:
        raise PromotionError(f"The model that forecasts {scope} is {challenger} already.")
    decision = None
    if buildings or not forced_because:
        members = buildings_in_scope(scope, buildings, sites)
        new, old = (load_version(version, registry).predictor for version in (challenger, current))
        decision = judge(new, old, members)
    if former is None and scope == ALL:
        former = registry.register(shipped_artifact())
    is_promoted = bool(forced_because) or (decision is not None and decision.is_accepted)
    event = Event(
        PROMOTED if is_promoted else REFUSED, utc_now(), current_user(), str(scope),
        against=str(former or current or "the shipped model"),
        reasons=list(decision.reasons) if decision else ["the gate was skipped"],
        figures=dict(decision.figures) if decision else {}, forced_because=forced_because,
    )  # fmt: skip
    registry.record_event(challenger, event)
    if is_promoted:
        if former:
            registry.set_alias(scope.alias("previous"), former)
        registry.set_alias(scope.alias("champion"), challenger)
    return event


def rollback(registry: Registry, scope: Scope = ALL) -> Version | None:
    """Make the previous champion the champion again and return it; possible once per promotion.

    None for a site or building without a previous champion: the champion of the wider scope forecasts it again.
    """
    replaced, aliases = champion(registry, scope), registry.aliases()
    if replaced is None:
        raise PromotionError(f"No version has been promoted for {scope}: there is nothing to roll back.")
    number = aliases.get(scope.alias("previous"))
    if number is None and scope == ALL:
        raise PromotionError(f"{replaced} has no previous champion: promote the version that you want.")
    restored = None if number is None else registry.version(number)
    at, by = utc_now(), current_user()
    registry.record_event(replaced, Event("rolled back from", at, by, str(scope), against=str(restored or "")))
    if restored is None:
        registry.drop_alias(scope.alias("champion"))
        return None
    registry.record_event(restored, Event("rolled back to", at, by, str(scope), against=str(replaced)))
    registry.set_alias(scope.alias("champion"), restored)
    registry.drop_alias(scope.alias("previous"))
    return restored


def champion(registry: Registry, scope: Scope) -> Version | None:
    """The version that was promoted for exactly this scope."""
    number = registry.aliases().get(scope.alias("champion"))
    return None if number is None else registry.version(number)


def buildings_in_scope(scope: Scope, buildings: Sequence[Building], sites: Mapping[str, str]) -> list[Building]:
    """The buildings of a scope, for which `sites` has the site by building id."""
    if scope.kind == "building":
        members = [building for building in buildings if building.building_id == scope.name]
    elif scope.kind == "site":
        members = [building for building in buildings if sites.get(building.building_id) == scope.name]
    else:
        members = list(buildings)
    if not members:
        raise PromotionError(f"The readings have no building of {scope}.")
    return members


def read_sites(metadata: Path) -> dict[str, str]:
    """The site by building id from a CSV file of buildings; PromotionError if it lacks a column."""
    table = pd.read_csv(metadata, dtype=str, keep_default_na=False)
    if missing := [name for name in ("building_id", "site") if name not in table]:
        raise PromotionError(f"{metadata.name} lacks the column {missing[0]}.")
    return dict(zip(table["building_id"], table["site"], strict=True))


def utc_now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def current_user() -> str:
    try:
        return f"{getpass.getuser()}@{platform.node()}"
    except (OSError, KeyError, ImportError):  # the user of a container may have no name
        return f"unknown@{platform.node()}"
