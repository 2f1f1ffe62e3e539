"""The server's models: the champions as they are now, also where the folder of the models is read-only or unreadable."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.models.fixtures import champion, empty_store, registry, write_artifact
from tests.models.registry.test_registry import AWAY

from wattcast.cli.model_follower import ModelFollower
from wattcast.settings import settings
from wattcast_models.artifact.predictor import Predictor
from wattcast_models.registry.follower import ChampionFollower
from wattcast_models.registry.registry import Registry
from wattcast_models.registry.scopes import ALL

__all__ = ["champion", "empty_store", "registry", "write_artifact"]


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
    with ModelFollower(current) as follower:
        assert follower.forecaster().model_of("b", "s") == first
        assert follower._thread.is_alive()
    assert ChampionFollower(tmp_path / "cache" / "models", AWAY).champions() == {ALL: first}


def test_server_goes_on_asking_where_the_folder_of_models_cannot_be_read(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WATTCAST_CACHE", str(tmp_path / "cache"))
    current = settings().with_changes(model={"tracking_uri": registry.uri})
    follower = ModelFollower(current.model_copy(update={"state": tmp_path / ("long" * 100)}))  # no name of a folder
    with follower:
        assert follower._first_poll_done.wait(timeout=60)
        assert follower.forecaster().model_of("b", "s") is None
        assert follower._thread.is_alive()
    assert [record.getMessage().split(";")[0] for record in caplog.records if record.name == "wattcast"] == [
        "The models cannot be read"
    ]
