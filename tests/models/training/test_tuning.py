"""Tuning by small trials: what it finds, goes on with, gives up, keeps its eyes from, and refuses."""

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
from wattcast_models.mlflow_store import asked
from wattcast_models.options import TrainingOptions, as_yaml, read_options
from wattcast_models.readings import Building
from wattcast_models.registry import Registry
from wattcast_models.search_space import Space, Values, read_space
from wattcast_models.synthetic import synthetic_buildings
from wattcast_models.tuning import Found, search

BASE = TrainingOptions(members=("mlp",), hidden=8, summary=4, batch_windows=64, context_hours=672, seed=5)
SPACE = Space(
    trial_steps=6,
    check_every_steps=3,
    options={
        "learning_rate": Values(low=1e-4, high=1e-2, log=True),
        "hidden": Values(low=8, high=32, step=8),
        "members": Values(choices=(["mlp"], ["mlp", "profile"])),
    },
)
BUILDINGS = synthetic_buildings(2, days=70)
Search = Callable[..., Found]


@pytest.fixture
def look(registry: Registry, tmp_path: Path) -> Search:
    """Searches a space, by default as above, and keeps the trials in a file of this name."""
    torch.set_num_threads(1)

    def look(name: str = "tuned", *, space: Space = SPACE, buildings: list[Building] = BUILDINGS, **more: Any) -> Found:
        known = {"minutes": 10, "tracking_uri": registry.uri, "show_progress": False} | more
        return search(buildings, BASE, space, storage=tmp_path / f"{name}.db", **known)

    return look


def kept(tmp_path: Path, name: str = "tuned") -> list[optuna.trial.FrozenTrial]:
    storage = f"sqlite:///{tmp_path / name}.db"
    [study] = optuna.get_all_study_names(storage)
    return optuna.load_study(study_name=study, storage=storage).trials


def test_the_best_trial_gives_the_options_and_the_rest_is_as_before(look: Search) -> None:
    found = look(trials=4)
    assert [each.loss for each in found.tried] == sorted(each.loss for each in found.tried)
    changes = found.tried[0].changes
    assert set(changes) == set(SPACE.options)
    assert asdict(found.options) == asdict(BASE) | changes | {"members": tuple(changes["members"])}
    assert len({each.loss for each in found.tried}) == 4


def test_a_search_that_was_killed_in_a_trial_goes_on_to_what_it_would_have_found(look: Search, tmp_path: Path) -> None:
    whole = look("whole", trials=4)
    look("killed", trials=2)
    storage = f"sqlite:///{tmp_path / 'killed.db'}"
    [study] = optuna.get_all_study_names(storage)
    optuna.load_study(study_name=study, storage=storage).ask()  # what a killed process leaves behind
    assert look("killed", trials=4) == whole
    assert look("killed", trials=4) == whole
    assert len(kept(tmp_path, "killed")) == 5


def test_another_seed_or_other_data_are_a_search_of_their_own(look: Search, tmp_path: Path) -> None:
    first = look(trials=1)
    changed = [replace(BUILDINGS[0], values=BUILDINGS[0].values * 1.5), BUILDINGS[1]]
    other = look(trials=1, buildings=changed)
    assert len(first.tried) == len(other.tried) == 1
    assert len(optuna.get_all_study_names(f"sqlite:///{tmp_path / 'tuned.db'}")) == 2


def test_a_trial_that_is_worse_than_half_of_the_others_is_given_up(look: Search, tmp_path: Path) -> None:
    look(trials=10, space=replace(SPACE, trial_steps=9))
    pruned = [trial for trial in kept(tmp_path) if trial.state == TrialState.PRUNED]
    complete = [trial for trial in kept(tmp_path) if trial.state == TrialState.COMPLETE]
    assert pruned
    assert all(list(trial.intermediate_values) == [3, 6, 9] for trial in complete)
    assert all(max(trial.intermediate_values) < 9 for trial in pruned)


def test_after_ten_whole_trials_it_says_which_options_mattered(look: Search) -> None:
    short = replace(SPACE, trial_steps=2, check_every_steps=2)
    assert look(trials=9, space=short).importance == {}
    importance = look(trials=10, space=short).importance
    assert set(importance) == set(SPACE.options)
    assert sum(importance.values()) == pytest.approx(1)


def test_the_end_of_the_time_cuts_a_trial_short_and_what_it_had_counts(look: Search, tmp_path: Path) -> None:
    endless = replace(SPACE, trial_steps=1_000_000)
    found = look(minutes=0.05, space=endless)
    assert [trial.state for trial in kept(tmp_path)] == [TrialState.FAIL]
    assert found.tried[0].steps % 3 == 0
    assert found.options.steps == BASE.steps


def test_a_time_without_a_check_is_said(look: Search) -> None:
    with pytest.raises(ValueError, match="first check, at step 1000: give more --minutes"):
        look(minutes=1e-4, space=replace(SPACE, trial_steps=1000, check_every_steps=1000))


def test_a_trial_whose_loss_is_no_number_does_not_end_the_search(look: Search, tmp_path: Path) -> None:
    space = replace(SPACE, options={"weight_decay": Values(choices=(1e30, 0.01))})
    found = look(trials=6, space=space)
    assert {trial.params["weight_decay"] for trial in kept(tmp_path)} == {"1e+30", "0.01"}
    assert {each.changes["weight_decay"] for each in found.tried} == {0.01}


def test_each_trial_is_a_run_with_its_options_and_checks(look: Search, registry: Registry) -> None:
    look(trials=2)
    runs = asked(
        registry.uri, lambda client: client.search_runs([client.get_experiment_by_name("wattcast").experiment_id])
    )
    assert sorted(run.info.run_name.rsplit("-", 1)[1] for run in runs) == ["0", "1"]
    assert all(run.data.params["steps"] == "6" and "validation_loss" in run.data.metrics for run in runs)


def test_a_file_that_keeps_no_trials_is_refused(look: Search, tmp_path: Path) -> None:
    (tmp_path / "tuned.db").write_text("rubbish" * 1000)
    with pytest.raises(ValueError, match=r"tuned\.db cannot be used"):
        look(trials=1)


def test_too_little_data_is_said(look: Search) -> None:
    with pytest.raises(ValueError, match="Too little data"):
        look(trials=1, buildings=synthetic_buildings(1, days=12))


def test_the_space_in_conf_can_be_searched_and_gives_options_that_train_reads(tmp_path: Path) -> None:
    base = read_options(project_folder("conf") / "training.yaml", {})
    space = read_space(project_folder("conf") / "tuning.yaml", base)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(20):
        trial = study.ask()
        options = replace(base, **{name: values.suggest(trial, name) for name, values in space.options.items()})
        (tmp_path / "tuned.yaml").write_text(as_yaml(options))
        assert asdict(read_options(tmp_path / "tuned.yaml", {})) == asdict(
            replace(options, members=tuple(options.members))
        )
        assert all(
            values.read(trial.params[name]) == values.suggest(trial, name) for name, values in space.options.items()
        )


@pytest.mark.parametrize(
    ("options", "says"),
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
def test_a_space_that_cannot_be_searched_is_refused(options: Mapping[str, Any], says: str, tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(yaml.safe_dump({"trial_steps": 10, "check_every_steps": 5, "options": options}))
    with pytest.raises(ValueError, match=says):
        read_space(file, BASE)


@pytest.mark.parametrize("content", ["- 1\n", "options: [\n", "trial_steps: 5\n"])
def test_a_file_that_holds_no_space_is_said(tmp_path: Path, content: str) -> None:
    (tmp_path / "space.yaml").write_text(content)
    with pytest.raises(ValueError, match=r"space\.yaml"):
        read_space(tmp_path / "space.yaml", BASE)
