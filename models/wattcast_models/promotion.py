"""Promotion: a registered version becomes a champion if the gate lets it, and gives the place back on a rollback.

The last step of each is to move the alias `champion`, which is what the forecasting jobs follow.
"""

import getpass
import platform
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from wattcast_models.artifact import shipped_artifact
from wattcast_models.named import of_version
from wattcast_models.predictor import Predictor
from wattcast_models.readings import Building
from wattcast_models.registry import Event, Registry, Version
from wattcast_models.scopes import ALL, Scope

if TYPE_CHECKING:
    from wattcast_models.gate import Verdict

PROMOTED, REFUSED = "promoted", "refused"

Judge = Callable[[Predictor, Predictor, Sequence[Building]], "Verdict"]


class PromotionError(ValueError):
    """There is nothing to promote or to roll back; the message says why."""


def register(registry: Registry, folder: Path) -> Version:
    """The artifact as a version; the model that comes with the package becomes one before it, to be gone back to."""
    registry.register(shipped_artifact())
    return registry.register(folder)


def incumbent(registry: Registry, scope: Scope, site: str = "") -> Version | None:
    """What forecasts the buildings of `scope` now, of a building at `site`; None: the model that comes with the package."""
    wider = [Scope("site", site)] if scope.kind == "building" and site else []
    return next(filter(None, (champion(registry, each) for each in (scope, *wider, ALL))), None)


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
    """Make the challenger champion of `scope` if the judge accepts it against what forecasts the scope's `buildings` now, or if
    it is forced; what came of it is kept in the registry and returned. The champion before it becomes `previous`.

    Forced without buildings, no judge is asked. `sites` has the site by building id.
    """
    sites = sites or {}
    before, present = champion(registry, scope), incumbent(registry, scope, sites.get(scope.name, ""))
    if present and present.number == challenger.number:
        raise PromotionError(f"What forecasts {scope} is {challenger} already.")
    verdict = None
    if buildings or not forced_because:
        models = [of_version(version, registry).predictor for version in (challenger, present)]
        verdict = judge(models[0], models[1], rows_of(scope, buildings, sites))
    if before is None and scope == ALL:
        before = registry.register(shipped_artifact())
    is_promoted = bool(forced_because) or (verdict is not None and verdict.is_accepted)
    event = Event(
        PROMOTED if is_promoted else REFUSED, now(), who(), str(scope), against=str(before or present or "the shipped model"),
        reasons=list(verdict.reasons) if verdict else ["the gate was not asked"],
        figures=dict(verdict.figures) if verdict else {}, forced_because=forced_because,
    )  # fmt: skip
    registry.note(challenger, event)
    if is_promoted:
        if before:
            registry.set_alias(scope.alias("previous"), before)
        registry.set_alias(scope.alias("champion"), challenger)
    return event


def rollback(registry: Registry, scope: Scope = ALL) -> Version | None:
    """Give the place back to the champion before, once; None for a site or building that had none of its own, and is
    forecast by the champion of all again."""
    fallen, aliases = champion(registry, scope), registry.aliases()
    if fallen is None:
        raise PromotionError(f"Nothing was promoted for {scope}: there is nothing to roll back.")
    number = aliases.get(scope.alias("previous"))
    if number is None and scope == ALL:
        raise PromotionError(f"There is no champion before {fallen} any more: promote the version that you want.")
    back = None if number is None else registry.version(number)
    at, by = now(), who()
    registry.note(fallen, Event("rolled back from", at, by, str(scope), against=str(back or "")))
    if back is None:
        registry.drop_alias(scope.alias("champion"))
        return None
    registry.note(back, Event("rolled back to", at, by, str(scope), against=str(fallen)))
    registry.set_alias(scope.alias("champion"), back)
    registry.drop_alias(scope.alias("previous"))
    return back


def champion(registry: Registry, scope: Scope) -> Version | None:
    """The version that was promoted for just this scope."""
    number = registry.aliases().get(scope.alias("champion"))
    return None if number is None else registry.version(number)


def rows_of(scope: Scope, buildings: Sequence[Building], sites: Mapping[str, str]) -> list[Building]:
    """The buildings of a scope, for which `sites` has the site by building id."""
    if scope.kind == "building":
        found = [building for building in buildings if building.building_id == scope.name]
    elif scope.kind == "site":
        found = [building for building in buildings if sites.get(building.building_id) == scope.name]
    else:
        found = list(buildings)
    if not found:
        raise PromotionError(f"The readings have no building of {scope}.")
    return found


def sites_of(metadata: Path) -> dict[str, str]:
    """The site by building id, as far as a CSV of buildings tells it."""
    table = pd.read_csv(metadata, dtype=str, keep_default_na=False)
    if lacking := [name for name in ("building_id", "site") if name not in table]:
        raise PromotionError(f"{metadata.name} lacks the column {lacking[0]}.")
    return dict(zip(table["building_id"], table["site"], strict=True))


def now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def who() -> str:
    try:
        return f"{getpass.getuser()}@{platform.node()}"
    except (OSError, KeyError, ImportError):  # a container may have no name for its user
        return f"unknown@{platform.node()}"
