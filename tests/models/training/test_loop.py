from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.models.fixtures import steady

from wattcast_models.artifact.predictor import Predictor
from wattcast_models.artifact.weights import weights_bytes
from wattcast_models.data.synthetic import synthetic_buildings
from wattcast_models.evaluation.scores import model_scores, score_summary
from wattcast_models.networks.calibration import is_calibration
from wattcast_models.networks.networks import KINDS
from wattcast_models.quantiles import QUANTILES
from wattcast_models.training import loop as training
from wattcast_models.training.loop import TrainedModel, train
from wattcast_models.training.options import TrainingOptions

SMALL = TrainingOptions(
    members=("mlp",), hidden=32, summary=16, steps=60, batch_windows=64, check_every_steps=30, context_hours=672
)
BUILDINGS = synthetic_buildings(3, days=80)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_a_few_steps_already_beat_the_same_hour_last_week_on_buildings_never_seen() -> None:
    trained = train(synthetic_buildings(20, days=100, seed=1), replace(SMALL, steps=300), show_progress=False)
    config = {"name": "t", "version": "1", "network": SMALL.network, "sha256": "t"}
    config |= {
        "calibration": trained.calibration,
        "inputs": trained.inputs,
        "quantiles": list(QUANTILES),
        "context_hours": 672,
        "lead_hours": 168,
    }
    scores = list(
        model_scores(Predictor(config, weights_bytes(trained.network)), synthetic_buildings(12, days=100, seed=2))
    )
    assert score_summary(scores)["beaten"] > 0.75 * len(scores)


@pytest.mark.parametrize("network", KINDS)
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(network: str) -> None:
    few = replace(SMALL, members=(network,), steps=2, lead_hours=24)
    one, same, other = (train(BUILDINGS, replace(few, seed=seed), show_progress=False) for seed in (1, 1, 2))
    assert weights_bytes(one.network) == weights_bytes(same.network) != weights_bytes(other.network)


def test_too_little_data_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="Too little data"):
        train([steady(400)], SMALL, show_progress=False)


class Killed(Exception):
    pass


RESUMED = replace(SMALL, members=("mlp", "profile"), dropout=0.1, steps=40, check_every_steps=10)


@pytest.fixture(scope="module")
def uninterrupted() -> TrainedModel:
    torch.set_num_threads(1)
    return train(BUILDINGS, RESUMED, show_progress=False)


@pytest.mark.parametrize("killed_at", [10, 20, 30])
def test_a_run_that_was_killed_resumes_to_the_same_weights(
    tmp_path: Path, killed_at: int, uninterrupted: TrainedModel
) -> None:
    checkpoint, steps = tmp_path / "checkpoint.pt", []

    def die(step: int, losses: object) -> None:
        steps.append(step)
        if step == killed_at:
            raise Killed

    with pytest.raises(Killed):
        train(BUILDINGS, RESUMED, checkpoint=checkpoint, show_progress=False, on_check=die)
    resumed = train(BUILDINGS, RESUMED, checkpoint=checkpoint, show_progress=False, on_check=append_step(steps))
    assert steps == sorted([*range(10, 41, 10), killed_at])
    assert weights_bytes(resumed.network) == weights_bytes(uninterrupted.network)
    assert (resumed.calibration, resumed.metrics) == (uninterrupted.calibration, uninterrupted.metrics)
    assert not checkpoint.exists()


def append_step(steps: list[int]) -> Callable[[int, object], None]:
    return lambda step, losses: steps.append(step)


SHORT = replace(SMALL, steps=4, check_every_steps=2, lead_hours=24)


@pytest.mark.parametrize("content", [b"", b"rubbish"])
def test_a_broken_checkpoint_is_refused_and_removed_with_begin_anew(tmp_path: Path, content: bytes) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    checkpoint.write_bytes(content)
    with pytest.raises(ValueError, match="checkpoint cannot be used"):
        train(BUILDINGS, SHORT, checkpoint=checkpoint, show_progress=False)
    train(BUILDINGS, SHORT, checkpoint=checkpoint, begin_anew=True, show_progress=False)
    assert not checkpoint.exists()


def test_a_checkpoint_of_another_run_is_refused_and_removed_with_begin_anew(tmp_path: Path) -> None:
    checkpoint, other = tmp_path / "checkpoint.pt", replace(SHORT, seed=9)
    with pytest.raises(Killed):
        train(BUILDINGS, SHORT, checkpoint=checkpoint, show_progress=False, on_check=_die_at_the_second_check())
    with pytest.raises(ValueError, match="other data or options"):
        train(BUILDINGS, other, checkpoint=checkpoint, show_progress=False)
    begun_anew, uninterrupted = (
        train(BUILDINGS, other, checkpoint=file, begin_anew=True, show_progress=False) for file in (checkpoint, None)
    )
    assert weights_bytes(begun_anew.network) == weights_bytes(uninterrupted.network)


def _die_at_the_second_check() -> Callable[[int, object], None]:
    def die(step: int, losses: object) -> None:
        if step == SHORT.steps:
            raise Killed

    return die


def test_a_loss_that_is_not_finite_ends_the_run_with_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "pinball_losses", lambda forecast, actual, levels: forecast * torch.nan)
    with pytest.raises(ValueError, match="The loss at step 1 is nan"):
        train(BUILDINGS, SMALL, show_progress=False)


def test_the_calibration_of_a_run_has_a_factor_per_lead_hour() -> None:
    trained = train(synthetic_buildings(6, days=80), replace(SMALL, steps=5), show_progress=False)
    assert is_calibration(trained.calibration, QUANTILES, lead_hours=168)
    assert any(factor != 1.0 for factor in trained.calibration["0.9"])
