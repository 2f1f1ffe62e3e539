"""Which model forecasts now: the named artifact, the pinned one, the champions of the registry, or the shipped model."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from wattcast_models.artifact.files import extend_config
from wattcast_models.artifact.folder import CONFIG, shipped_artifact
from wattcast_models.artifact.predictor import Predictor
from wattcast_models.data.closing import ClosingRules, trained_under
from wattcast_models.registry.champions import Champions, ChampionSource, pin_artifact, unpin_artifact
from wattcast_models.registry.registry import Registry
from wattcast_models.registry.scopes import Scope


def test_a_building_has_its_own_champion_else_that_of_its_site_else_that_of_all(
    write_artifact: Callable[..., Path],
) -> None:
    overall, of_site, of_building = (Predictor.read(write_artifact(seed)) for seed in range(3))
    champions = Champions(overall, {Scope("site", "s"): of_site, Scope("building", "b"): of_building})
    assert [champions(*place) for place in (("b", "s"), ("c", "s"), ("c", "t"), ("s", ""))] == [
        of_building, of_site, overall, overall
    ]  # fmt: skip


def test_a_pinned_artifact_comes_before_the_champions_until_it_is_unpinned(
    registry: Registry, models: Path, champion: Callable[..., Predictor], write_artifact: Callable[..., Path]
) -> None:
    source = ChampionSource(registry, models=models)

    def forecasts_now(source: ChampionSource = source) -> Predictor | None:
        return source.current()("b", "s")

    assert forecasts_now() == Predictor.read(shipped_artifact())
    promoted, folder = champion(1), write_artifact(2)
    assert forecasts_now() == promoted
    champion(3, Scope("building", "b"))
    pin_artifact(folder, models=models)
    assert forecasts_now() == Predictor.read(folder)
    named = ChampionSource(registry, models=models, artifact=str(write_artifact(4)))
    assert forecasts_now(named) == Predictor.read(write_artifact(4))
    assert forecasts_now(ChampionSource(registry, models=models, artifact="nowhere")) is None
    unpin_artifact(models=models)
    assert forecasts_now() == Predictor.read(write_artifact(3))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that were read as artifacts, in order."""
    folders: list[Path] = []
    read = Predictor.read

    def read_and_record(folder: Path) -> Predictor:
        folders.append(folder)
        return read(folder)

    monkeypatch.setattr(Predictor, "read", read_and_record)
    return folders


def test_a_source_reads_each_version_of_a_model_once(
    registry: Registry, models: Path, write_artifact: Callable[..., Path], reads: list[Path]
) -> None:
    folder = write_artifact(1)
    source = ChampionSource(registry, models=models, artifact=str(folder))
    assert source.current() == source.current() == source.current()
    assert reads == [folder]
    config = folder / CONFIG
    config.write_text(config.read_text().replace('"v1"', '"v2"'))
    overall = source.current().overall
    assert overall is not None
    assert overall.version == "v2"
    assert reads == [folder, folder]


def test_two_sources_of_one_process_keep_their_models_apart(
    registry: Registry, models: Path, write_artifact: Callable[..., Path], reads: list[Path]
) -> None:
    folders = [write_artifact(1), write_artifact(2)]
    sources = [ChampionSource(registry, models=models, artifact=str(folder)) for folder in folders]
    for _ in range(3):
        assert [source.current().overall.version for source in sources] == ["v1", "v2"]
    assert reads == folders


def test_an_artifact_that_cannot_be_used_is_logged_once_and_used_once_it_is_mended(
    registry: Registry, models: Path, write_artifact: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_artifact(1)
    weights = (folder / "model.pt").read_bytes()
    (folder / "model.pt").write_bytes(b"damaged")
    source = ChampionSource(registry, models=models, artifact=str(folder))
    assert [source.current().overall for _ in range(3)] == [None] * 3
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1
    assert errors[0].startswith(f"The model in {folder} cannot be used, forecasts use their fallbacks: ")
    (folder / "model.pt").write_bytes(weights)
    assert source.current().overall == Predictor.read(folder)


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_a_model_trained_under_other_closing_rules_is_one_warning_per_version(
    registry: Registry, models: Path, write_artifact: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_artifact(1)
    extend_config(folder, **trained_under(ClosingRules(grace_minutes=5, max_wait_minutes=180)))
    current = ClosingRules(grace_minutes=5, max_wait_minutes=60)
    source = ChampionSource(registry, models=models, artifact=str(folder), closing=current)
    assert [source.current().overall is not None for _ in range(3)] == [True] * 3
    (warning,) = warnings_of(caplog)
    assert warning.startswith("Model test v1 was trained under closing.max_wait_minutes 180, not 60: ")
    extend_config(folder, version="v2")
    source.current()
    assert [text.split(" was ")[0] for text in warnings_of(caplog)] == ["Model test v1", "Model test v2"]


def test_both_closing_rules_that_differ_are_in_the_warning(
    registry: Registry, models: Path, write_artifact: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_artifact(1)
    extend_config(folder, **trained_under(ClosingRules(grace_minutes=5, max_wait_minutes=180)))
    current = ClosingRules(grace_minutes=15, max_wait_minutes=60)
    ChampionSource(registry, models=models, artifact=str(folder), closing=current).current()
    (warning,) = warnings_of(caplog)
    assert "closing.grace_minutes 5, not 15 and closing.max_wait_minutes 180, not 60" in warning


@pytest.mark.parametrize("is_old", [False, True])
def test_a_model_trained_under_the_same_closing_rules_or_an_older_one_without_them_is_no_warning(
    registry: Registry,
    models: Path,
    write_artifact: Callable[..., Path],
    caplog: pytest.LogCaptureFixture,
    is_old: bool,
) -> None:
    folder, current = write_artifact(1), ClosingRules(grace_minutes=5, max_wait_minutes=60)
    if not is_old:
        extend_config(folder, **trained_under(current))
    ChampionSource(registry, models=models, artifact=str(folder), closing=current).current()
    assert warnings_of(caplog) == []
