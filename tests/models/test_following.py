"""Forecasts follow the champions of a registry, and go on without it."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.models.test_registry import AWAY, damage

import serve
from wattcast.settings import settings
from wattcast_models.artifact import shipped_artifact
from wattcast_models.champions import Champions, current_champions, use, use_champions
from wattcast_models.following import Following
from wattcast_models.predictor import Predictor
from wattcast_models.registry import Registry
from wattcast_models.scopes import ALL, Scope


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def champion(registry: Registry, write_artifact: Callable[..., Path]) -> Callable[..., Predictor]:
    """Makes the artifact of a seed champion and returns its model."""

    def make(seed: int, scope: Scope = ALL) -> Predictor:
        folder = write_artifact(seed)
        registry.set_alias(scope.alias("champion"), registry.register(folder))
        return Predictor.read(folder)

    return make


def test_champions_are_followed_from_call_to_call(
    registry: Registry, models: Path, champion: Callable[..., Predictor]
) -> None:
    following, own = Following(models, registry), Scope("building", "B 1")
    assert following.champions() == {}
    first = champion(1)
    assert following.champions() == following.champions() == {ALL: first}
    second, third = champion(2), champion(3, own)
    assert following.champions() == following.champions() == {ALL: second, own: third}
    registry.drop_alias(own.alias("champion"))
    assert following.champions() == {ALL: second}


def test_without_the_registry_the_known_champions_go_on_and_it_is_said_once(
    registry: Registry, models: Path, champion: Callable[..., Predictor], caplog: pytest.LogCaptureFixture
) -> None:
    made = {ALL: champion(1), Scope("site", "s"): champion(2, Scope("site", "s"))}
    following = Following(models, registry)
    assert following.champions() == made
    following._registry = AWAY
    assert [following.champions() for _ in range(5)] == [made] * 5
    following._silent_until = 0.0  # half a minute later
    assert following.champions() == made
    restarted = Following(models, AWAY)
    assert restarted.champions() == restarted.champions() == made
    assert [record.message.split(":")[0] for record in caplog.records if record.levelno >= logging.WARNING] == [
        "Forecasts go on with the champions that were known"
    ] * 2
    following._registry, following._silent_until = registry, 0.0
    third = champion(3)
    assert following.champions() == {**made, ALL: third}


def test_a_registry_that_talks_rubbish_changes_nothing(
    registry: Registry, models: Path, champion: Callable[..., Predictor], rubbish_server: str
) -> None:
    following, made = Following(models, registry), champion(1)
    assert following.champions() == {ALL: made}
    following._registry = Registry(rubbish_server)
    assert following.champions() == {ALL: made}


def test_a_registry_that_lost_everything_changes_nothing_and_a_last_rollback_does(
    registry: Registry, models: Path, tmp_path: Path, champion: Callable[..., Predictor]
) -> None:
    following, made = Following(models, registry), champion(1)
    assert following.champions() == {ALL: made}
    (tmp_path / "mlflow").rename(tmp_path / "away")
    assert following.champions() == {ALL: made} == Following(models, registry).champions()
    (tmp_path / "away").rename(tmp_path / "mlflow")
    registry.drop_alias("champion")
    following._silent_until = 0.0
    assert following.champions() == {}
    assert Following(models, AWAY).champions() == {}


def test_a_tampered_champion_is_refused_once_and_the_one_before_goes_on(
    registry: Registry,
    models: Path,
    tmp_path: Path,
    champion: Callable[..., Predictor],
    caplog: pytest.LogCaptureFixture,
) -> None:
    following, first = Following(models, registry), champion(1)
    assert following.champions() == {ALL: first}
    champion(2)
    damage(tmp_path / "mlflow", lead_hours=24)
    assert [following.champions() for _ in range(3)] == [{ALL: first}] * 3
    refusals = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert len(refusals) == 1
    assert "Version 2 is refused as champion of all buildings, forecasts go on as before" in refusals[0]
    assert Following(models, AWAY).champions() == {ALL: first}


def test_a_champion_without_an_artifact_does_not_keep_the_others_from_changing(
    registry: Registry, models: Path, tmp_path: Path, champion: Callable[..., Predictor]
) -> None:
    following, site = Following(models, registry), Scope("site", "s")
    champion(1, site)
    shutil.rmtree(tmp_path / "mlflow" / "artifacts")
    second = champion(2)
    assert following.champions() == {ALL: second}


def test_champions_are_followed_where_it_cannot_be_kept_who_they_are_and_it_is_said_once(
    registry: Registry, models: Path, champion: Callable[..., Predictor], caplog: pytest.LogCaptureFixture
) -> None:
    (models / "champions.json").mkdir(parents=True)  # where the file would be
    following, first = Following(models, registry), champion(1)
    assert following.champions() == {ALL: first}
    assert following.champions() == {ALL: first}
    second = champion(2)
    assert following.champions() == {ALL: second}
    assert [record.message.split(" in ")[0] for record in caplog.records if record.levelno >= logging.WARNING] == [
        "The champions are followed, but cannot be kept"
    ]


def test_server_follows_the_champion_of_a_state_folder_that_it_can_only_read(
    registry: Registry,
    tmp_path: Path,
    champion: Callable[..., Predictor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WATTCAST_CACHE", str(tmp_path / "cache"))
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "models").write_text("")  # no folder, so that nothing can be put into it
    first = champion(1)
    of_registry = {"tracking_uri": registry.uri, "registered_name": registry.name}
    current = settings().with_changes(model=of_registry).model_copy(update={"state": tmp_path / "state"})
    with serve.Following(current) as following:
        assert following.forecaster().model_of("b", "s") == first
        assert following._thread.is_alive()
    assert Following(tmp_path / "cache" / "models", AWAY).champions() == {ALL: first}


def test_server_goes_on_asking_where_the_folder_of_models_cannot_be_read(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WATTCAST_CACHE", str(tmp_path / "cache"))
    current = settings().with_changes(model={"tracking_uri": registry.uri})
    following = serve.Following(current.model_copy(update={"state": tmp_path / ("long" * 100)}))  # no name of a folder
    with following:
        assert following._asked.wait(timeout=60)
        assert following.forecaster().model_of("b", "s") is None
        assert following._thread.is_alive()
    assert [record.message.split(",")[0] for record in caplog.records if record.name == "wattcast"] == [
        "Which model forecasts cannot be found out"
    ]


def test_a_damaged_cache_is_fetched_again(registry: Registry, models: Path, champion: Callable[..., Predictor]) -> None:
    first = champion(1)
    assert Following(models, registry).champions() == {ALL: first}
    damage(models / "cache", lead_hours=24)
    assert Following(models, AWAY).champions() == {}
    assert Following(models, registry).champions() == {ALL: first}
    assert Following(models, AWAY).champions() == {ALL: first}


def test_a_building_has_its_own_champion_else_that_of_its_site_else_that_of_all(
    write_artifact: Callable[..., Path],
) -> None:
    overall, of_site, of_building = (Predictor.read(write_artifact(seed)) for seed in range(3))
    champions = Champions(overall, {Scope("site", "s"): of_site, Scope("building", "b"): of_building})
    assert [champions(*asked) for asked in (("b", "s"), ("c", "s"), ("c", "t"), ("s", ""))] == [
        of_building, of_site, overall, overall
    ]  # fmt: skip


def test_an_artifact_that_was_set_comes_before_the_champions_until_they_are_wanted_again(
    registry: Registry, models: Path, champion: Callable[..., Predictor], write_artifact: Callable[..., Path]
) -> None:
    def forecasts_now(named: str = "") -> Predictor | None:
        return current_champions(named, models=models, registry=registry)("b", "s")

    assert forecasts_now() == Predictor.read(shipped_artifact())
    promoted, folder = champion(1), write_artifact(2)
    assert forecasts_now() == promoted
    champion(3, Scope("building", "b"))
    use(folder, models=models)
    assert forecasts_now() == Predictor.read(folder)
    assert forecasts_now(str(write_artifact(4))) == Predictor.read(write_artifact(4))
    assert forecasts_now("nowhere") is None
    use_champions(models=models)
    assert forecasts_now() == Predictor.read(write_artifact(3))
