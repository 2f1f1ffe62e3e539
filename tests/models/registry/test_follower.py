"""Forecasts follow the champions of a registry, and go on without it."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.models.registry.test_registry import AWAY, damage

from wattcast_models.artifact.predictor import Predictor
from wattcast_models.registry.follower import ChampionFollower
from wattcast_models.registry.registry import Registry
from wattcast_models.registry.scopes import ALL, Scope


def test_champions_are_followed_from_call_to_call(
    registry: Registry, models: Path, champion: Callable[..., Predictor]
) -> None:
    following, own = ChampionFollower(models, registry), Scope("building", "B 1")
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
    following = ChampionFollower(models, registry)
    assert following.champions() == made
    following._registry = AWAY
    assert [following.champions() for _ in range(5)] == [made] * 5
    following._retry_registry_at = 0.0  # half a minute later
    assert following.champions() == made
    restarted = ChampionFollower(models, AWAY)
    assert restarted.champions() == restarted.champions() == made
    assert [record.getMessage().split(":")[0] for record in caplog.records if record.levelno >= logging.WARNING] == [
        "Forecasts continue with the last known champions"
    ] * 2
    following._registry, following._retry_registry_at = registry, 0.0
    third = champion(3)
    assert following.champions() == {**made, ALL: third}


def test_a_registry_that_talks_rubbish_changes_nothing(
    registry: Registry, models: Path, champion: Callable[..., Predictor], rubbish_server: str
) -> None:
    following, made = ChampionFollower(models, registry), champion(1)
    assert following.champions() == {ALL: made}
    following._registry = Registry(rubbish_server)
    assert following.champions() == {ALL: made}


def test_a_registry_that_lost_everything_changes_nothing_and_a_last_rollback_does(
    registry: Registry, models: Path, tmp_path: Path, champion: Callable[..., Predictor]
) -> None:
    following, made = ChampionFollower(models, registry), champion(1)
    assert following.champions() == {ALL: made}
    (tmp_path / "mlflow").rename(tmp_path / "away")
    assert following.champions() == {ALL: made} == ChampionFollower(models, registry).champions()
    (tmp_path / "away").rename(tmp_path / "mlflow")
    registry.drop_alias("champion")
    following._retry_registry_at = 0.0
    assert following.champions() == {}
    assert ChampionFollower(models, AWAY).champions() == {}


def test_a_tampered_champion_is_refused_once_and_the_one_before_goes_on(
    registry: Registry,
    models: Path,
    tmp_path: Path,
    champion: Callable[..., Predictor],
    caplog: pytest.LogCaptureFixture,
) -> None:
    following, first = ChampionFollower(models, registry), champion(1)
    assert following.champions() == {ALL: first}
    champion(2)
    damage(tmp_path / "mlflow", lead_hours=24)
    assert [following.champions() for _ in range(3)] == [{ALL: first}] * 3
    refusals = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(refusals) == 1
    assert "Version 2 cannot be the champion of all buildings, forecasts continue as before" in refusals[0]
    assert ChampionFollower(models, AWAY).champions() == {ALL: first}


def test_a_champion_without_an_artifact_does_not_keep_the_others_from_changing(
    registry: Registry, models: Path, tmp_path: Path, champion: Callable[..., Predictor]
) -> None:
    following, site = ChampionFollower(models, registry), Scope("site", "s")
    champion(1, site)
    shutil.rmtree(tmp_path / "mlflow" / "artifacts")
    second = champion(2)
    assert following.champions() == {ALL: second}


def test_champions_are_followed_where_it_cannot_be_kept_who_they_are_and_it_is_said_once(
    registry: Registry, models: Path, champion: Callable[..., Predictor], caplog: pytest.LogCaptureFixture
) -> None:
    (models / "champions.json").mkdir(parents=True)  # where the file would be
    following, first = ChampionFollower(models, registry), champion(1)
    assert following.champions() == {ALL: first}
    assert following.champions() == {ALL: first}
    second = champion(2)
    assert following.champions() == {ALL: second}
    assert [record.getMessage().split(" to ")[0] for record in caplog.records if record.levelno >= logging.WARNING] == [
        "The list of champions cannot be written"
    ]


def test_a_damaged_cache_is_fetched_again(registry: Registry, models: Path, champion: Callable[..., Predictor]) -> None:
    first = champion(1)
    assert ChampionFollower(models, registry).champions() == {ALL: first}
    damage(models / "cache", lead_hours=24)
    assert ChampionFollower(models, AWAY).champions() == {}
    assert ChampionFollower(models, registry).champions() == {ALL: first}
    assert ChampionFollower(models, AWAY).champions() == {ALL: first}
