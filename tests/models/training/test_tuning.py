"""Tuning with small trials: its result, resuming, pruning, time limits, and what it refuses."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
import yaml
from optuna.trial import TrialState

from wattcast.settings import project_folder
from wattcast_models.data.readings import Building
from wattcast_models.data.synthetic import synthetic_buildings
from wattcast_models.registry.registry import Registry
from wattcast_models.tracking.mlflow_store import with_client
from wattcast_models.training.options import TrainingOptions, options_yaml, read_options
from wattcast_models.training.search_space import OptionRange, SearchSpace, read_search_space
from wattcast_models.training.tuning import SearchResult, search_options

BASE = TrainingOptions(members=("mlp",), hidden=8, summary=4, batch_windows=64, context_hours=672, seed=5)
SPACE = SearchSpace(
    trial_steps=6,
    check_every_steps=3,
    options={
        "learning_rate": OptionRange(low=1e-4, high=1e-2, log=True),
        "hidden": OptionRange(low=8, high=32, step=8),
        "members": OptionRange(choices=(["mlp"], ["mlp", "profile"])),
    },
)
BUILDINGS = synthetic_buildings(2, days=70)
Search = Callable[..., SearchResult]


@pytest.fixture
def run_search(registry: Registry, tmp_path: Path) -> Search:
    """Runs a search, by default in SPACE, that stores its trials in a file of this name."""
    torch.set_num_threads(1)

    def run_search(
        name: str = "tuned", *, space: SearchSpace = SPACE, buildings: list[Building] = BUILDINGS, **more: Any
    ) -> SearchResult:
        known = {"minutes": 10, "tracking_uri": registry.uri, "show_progress": False} | more
        return search_options(buildings, BASE, space, storage=tmp_path / f"{name}.db", **known)

    return run_search


def stored_trials(tmp_path: Path, name: str = "tuned") -> list[optuna.trial.FrozenTrial]:
    storage = f"sqlite:///{tmp_path / name}.db"
    [study] = optuna.get_all_study_names(storage)
    return optuna.load_study(study_name=study, storage=storage).trials


def test_the_best_trial_gives_the_options_and_the_rest_is_as_before(run_search: Search) -> None:
    result = run_search(trials=4)
    assert [trial.loss for trial in result.trials] == sorted(trial.loss for trial in result.trials)
    changes = result.trials[0].changes
    assert set(changes) == set(SPACE.options)
    assert asdict(result.options) == asdict(BASE) | changes | {"members": tuple(changes["members"])}
    assert len({trial.loss for trial in result.trials}) == 4


def test_a_search_that_was_killed_in_a_trial_resumes_to_the_same_result(run_search: Search, tmp_path: Path) -> None:
    whole = run_search("whole", trials=4)
    run_search("killed", trials=2)
    storage = f"sqlite:///{tmp_path / 'killed.db'}"
    [study] = optuna.get_all_study_names(storage)
    optuna.load_study(study_name=study, storage=storage).ask()  # as a killed process leaves it
    assert run_search("killed", trials=4) == whole
    assert run_search("killed", trials=4) == whole
    assert len(stored_trials(tmp_path, "killed")) == 5


def test_other_data_are_another_search_in_the_same_file(run_search: Search, tmp_path: Path) -> None:
    first = run_search(trials=1)
    changed = [replace(BUILDINGS[0], values=BUILDINGS[0].values * 1.5), BUILDINGS[1]]
    other = run_search(trials=1, buildings=changed)
    assert len(first.trials) == len(other.trials) == 1
    assert len(optuna.get_all_study_names(f"sqlite:///{tmp_path / 'tuned.db'}")) == 2


def test_a_trial_that_is_worse_than_the_median_is_pruned(run_search: Search, tmp_path: Path) -> None:
    run_search(trials=10, space=replace(SPACE, trial_steps=9))
    pruned = [trial for trial in stored_trials(tmp_path) if trial.state == TrialState.PRUNED]
    complete = [trial for trial in stored_trials(tmp_path) if trial.state == TrialState.COMPLETE]
    assert pruned
    assert all(list(trial.intermediate_values) == [3, 6, 9] for trial in complete)
    assert all(max(trial.intermediate_values) < 9 for trial in pruned)


def test_after_ten_complete_trials_the_options_have_an_importance(run_search: Search) -> None:
    short = replace(SPACE, trial_steps=2, check_every_steps=2)
    assert run_search(trials=9, space=short).importance == {}
    importance = run_search(trials=10, space=short).importance
    assert set(importance) == set(SPACE.options)
    assert sum(importance.values()) == pytest.approx(1)


def test_a_trial_that_the_time_limit_ends_counts_with_its_last_check(run_search: Search, tmp_path: Path) -> None:
    endless = replace(SPACE, trial_steps=1_000_000)
    result = run_search(minutes=0.05, space=endless)
    assert [trial.state for trial in stored_trials(tmp_path)] == [TrialState.FAIL]
    assert result.trials[0].steps % 3 == 0
    assert result.options.steps == BASE.steps


def test_a_time_limit_before_the_first_check_is_a_value_error(run_search: Search) -> None:
    with pytest.raises(ValueError, match="first check, at step 1000: give more --minutes"):
        run_search(minutes=1e-4, space=replace(SPACE, trial_steps=1000, check_every_steps=1000))


def test_a_trial_that_diverges_does_not_end_the_search(run_search: Search, tmp_path: Path) -> None:
    space = replace(SPACE, options={"weight_decay": OptionRange(choices=(1e30, 0.01))})
    result = run_search(trials=6, space=space)
    assert {trial.params["weight_decay"] for trial in stored_trials(tmp_path)} == {"1e+30", "0.01"}
    assert {trial.changes["weight_decay"] for trial in result.trials} == {0.01}


def test_each_trial_is_a_run_with_its_options_and_checks(run_search: Search, registry: Registry) -> None:
    run_search(trials=2)
    runs = with_client(
        registry.uri, lambda client: client.search_runs([client.get_experiment_by_name("wattcast").experiment_id])
    )
    assert sorted(run.info.run_name.rsplit("-", 1)[1] for run in runs) == ["0", "1"]
    assert all(run.data.params["steps"] == "6" and "validation_loss" in run.data.metrics for run in runs)


def test_a_file_without_trials_is_refused(run_search: Search, tmp_path: Path) -> None:
    (tmp_path / "tuned.db").write_text("rubbish" * 1000)
    with pytest.raises(ValueError, match=r"tuned\.db is not a file of trials"):
        run_search(trials=1)


def test_too_little_data_is_a_value_error(run_search: Search) -> None:
    with pytest.raises(ValueError, match="Too little data"):
        run_search(trials=1, buildings=synthetic_buildings(1, days=12))


def test_the_space_in_conf_can_be_searched_and_gives_options_that_train_reads(tmp_path: Path) -> None:
    base = read_options(project_folder("conf") / "training.yaml", {})
    space = read_search_space(project_folder("conf") / "tuning.yaml", base)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(20):
        trial = study.ask()
        options = replace(base, **{name: values.suggest(trial, name) for name, values in space.options.items()})
        (tmp_path / "tuned.yaml").write_text(options_yaml(options))
        assert asdict(read_options(tmp_path / "tuned.yaml", {})) == asdict(
            replace(options, members=tuple(options.members))
        )
        assert all(
            values.decode(trial.params[name]) == values.suggest(trial, name) for name, values in space.options.items()
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hiden": {"low": 8, "high": 16}}, "hiden"),
        ({}, "at least 1"),
        ({"steps": {"low": 8, "high": 16}}, "steps must be the same in all trials"),
        ({"lead_hours": {"choices": [24, 48]}}, "lead_hours must be the same"),
        ({"hidden": {"low": 16, "high": 8}}, "a higher high"),
        ({"hidden": {"low": 16}}, "a higher high"),
        ({"hidden": {"low": 8, "high": 16, "choices": [8]}}, "choices come without"),
        ({"hidden": {"low": 8, "high": 16, "most": 3}}, "most"),
        ({"hidden": {"low": 8, "high": 16, "step": 3}}, "a number of steps above low"),
        ({"hidden": {"low": 8, "high": 9999}}, "training option hidden"),
        ({"summary": {"low": 4, "high": 16}}, "training option summary: .*multiple of 4"),
        ({"learning_rate": {"low": 0, "high": 0.1, "log": True}}, "log needs a low above 0"),
        ({"members": {"choices": [["mlp"], ["oracle"]]}}, "not oracle"),
        ({"dropout": 0.1}, "dropout"),
    ],
    ids=str,
)
def test_a_space_that_cannot_be_searched_is_refused(options: Mapping[str, Any], message: str, tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(yaml.safe_dump({"trial_steps": 10, "check_every_steps": 5, "options": options}))
    with pytest.raises(ValueError, match=message):
        read_search_space(file, BASE)


@pytest.mark.parametrize("content", ["- 1\n", "options: [\n", "trial_steps: 5\n"])
def test_a_file_without_a_search_space_is_a_value_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "space.yaml").write_text(content)
    with pytest.raises(ValueError, match=r"space\.yaml"):
        read_search_space(tmp_path / "space.yaml", BASE)
