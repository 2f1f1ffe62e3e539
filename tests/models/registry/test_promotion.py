"""A version becomes champion of its buildings if the judge accepts it there, and gives the place back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from tests.models.fixtures import SHIPPED

from wattcast_models.artifact.predictor import Predictor
from wattcast_models.data.readings import Building
from wattcast_models.registry.model_refs import resolve_model
from wattcast_models.registry.promotion import PromotionError, champion, promote, read_sites, register, rollback
from wattcast_models.registry.registry import Registry, Version
from wattcast_models.registry.scopes import ALL, Scope

BUILDINGS = [Building(name, 0, np.ones((24, 4), np.float32)) for name in ("b1", "b2", "b3")]
SITES = {"b1": "north", "b2": "north", "b3": "south"}
NORTH, B1 = Scope("site", "north"), Scope("building", "b1")


@dataclass(frozen=True)
class Verdict:
    is_accepted: bool
    reasons: list[str]
    figures: dict[str, float]


@dataclass
class Judge:
    """Decides as configured and records its cases."""

    accepts: bool = True
    cases: list[tuple[str, str, list[str]]] = field(default_factory=list)

    def __call__(self, challenger: Predictor, champion: Predictor, buildings: Sequence[Building]) -> Verdict:
        self.cases.append((challenger.version, champion.version, [building.building_id for building in buildings]))
        return Verdict(self.accepts, ["a reason"], {"ratio": 0.9})


@pytest.fixture
def version(registry: Registry, write_artifact: Callable[..., Path]) -> Callable[[int], Version]:
    """Registers the artifact of a seed."""
    return lambda seed: register(registry, write_artifact(seed))


def numbers(registry: Registry) -> dict[str, str]:
    """The model versions by alias."""
    return {alias: registry.version(number).model_version for alias, number in registry.aliases().items()}


def test_the_first_champion_takes_over_from_the_model_of_the_package_and_a_rollback_gives_it_back(
    registry: Registry, version: Callable[[int], Version]
) -> None:
    judge = Judge()
    event = promote(registry, version(1), BUILDINGS, judge=judge)
    assert judge.cases == [("v1", SHIPPED, ["b1", "b2", "b3"])]
    assert (event.what, event.reasons, event.figures) == ("promoted", ["a reason"], {"ratio": 0.9})
    assert numbers(registry) == {"champion": "v1", "previous": SHIPPED}
    promote(registry, version(2), BUILDINGS, judge=judge)
    assert numbers(registry) == {"champion": "v2", "previous": "v1"}
    assert rollback(registry).model_version == "v1"
    assert numbers(registry) == {"champion": "v1"}
    with pytest.raises(PromotionError, match=r"version 2 \(test v1\) has no previous champion"):
        rollback(registry)
    told = [(event.what, event.by != "", event.against) for event in champion(registry, ALL).events]
    assert told == [
        ("promoted", True, f"version 1 (wattcast-mlp {SHIPPED})"),
        ("rolled back to", True, "version 3 (test v2)"),
    ]


def test_what_the_judge_refuses_stays_out_and_is_remembered(
    registry: Registry, version: Callable[[int], Version]
) -> None:
    event = promote(registry, version(1), BUILDINGS, judge=Judge(accepts=False))
    assert (event.what, numbers(registry)) == ("refused", {})
    assert version(1).events == [event]


def test_force_needs_no_readings_and_its_reason_is_kept(registry: Registry, version: Callable[[int], Version]) -> None:
    promote(registry, version(1), BUILDINGS, judge=Judge(accepts=False), forced_because="the old one fails")
    judge = Judge()
    promote(registry, version(2), [], judge=judge, forced_because="this one, too")
    assert numbers(registry)["champion"] == "v2"
    assert judge.cases == []
    assert [version(seed).events[0].forced_because for seed in (1, 2)] == ["the old one fails", "this one, too"]


def test_a_site_or_building_is_judged_on_its_rows_against_what_forecasts_it_now(
    registry: Registry, version: Callable[[int], Version]
) -> None:
    judge = Judge()
    for seed, scope in ((1, ALL), (2, NORTH), (3, B1), (4, B1)):
        promote(registry, version(seed), BUILDINGS, judge=judge, scope=scope, sites=SITES)
    assert judge.cases[1:] == [("v2", "v1", ["b1", "b2"]), ("v3", "v2", ["b1"]), ("v4", "v3", ["b1"])]
    aliases = {"champion": "v1", "previous": SHIPPED, "champion-site-north": "v2"}
    assert numbers(registry) == aliases | {"champion-building-b1": "v4", "previous-building-b1": "v3"}
    assert rollback(registry, B1).model_version == "v3"
    assert rollback(registry, B1) is None
    assert numbers(registry) == aliases


def test_nothing_to_do_is_a_sentence(registry: Registry, version: Callable[[int], Version]) -> None:
    with pytest.raises(PromotionError, match="No version has been promoted for site north"):
        rollback(registry, NORTH)
    with pytest.raises(PromotionError, match="The readings have no building of site west"):
        promote(registry, version(1), BUILDINGS, judge=Judge(), scope=Scope("site", "west"), sites=SITES)
    promote(registry, version(1), BUILDINGS, judge=Judge())
    for scope in (ALL, NORTH):
        with pytest.raises(
            PromotionError, match=r"The model that forecasts (all buildings|site north) is version 2 .* already"
        ):
            promote(registry, version(1), BUILDINGS, judge=Judge(), scope=scope, sites=SITES)


def test_sites_come_from_the_metadata(tmp_path: Path) -> None:
    file = tmp_path / "buildings.csv"
    file.write_text("building_id,site\nb1,north\nb3,\n")
    assert read_sites(file) == {"b1": "north", "b3": ""}
    file.write_text("building_id\nb1\n")
    with pytest.raises(PromotionError, match="lacks the column site"):
        read_sites(file)


def test_a_model_is_called_by_number_role_or_folder(
    registry: Registry, version: Callable[[int], Version], write_artifact: Callable[..., Path]
) -> None:
    assert (
        str(resolve_model("champion", registry)) == str(resolve_model("shipped", registry)) == f"wattcast-mlp {SHIPPED}"
    )
    with pytest.raises(ValueError, match="no previous champion"):
        resolve_model("previous", registry)
    promote(registry, version(1), BUILDINGS, judge=Judge())
    called = {
        name: str(resolve_model(name, registry)) for name in ("champion", "previous", "2", str(write_artifact(1)))
    }
    assert list(called.values()) == [
        "version 2 (test v1)",
        f"version 1 (wattcast-mlp {SHIPPED})",
        "version 2 (test v1)",
        "test v1",
    ]
    with pytest.raises(ValueError, match="There is no model v1: give a version number"):
        resolve_model("v1", registry)
