"""Tuning: training options tried one after another, by Optuna, on the loss of later weeks, until the time is over."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy.exc import SQLAlchemyError

from wattcast_models.options import TrainingOptions, changed
from wattcast_models.readings import Building
from wattcast_models.search_space import Space
from wattcast_models.tracking import tracked
from wattcast_models.training import Diverged, Run

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
LEAST_TO_COMPARE = 10  # complete trials, to say which option mattered


@dataclass(frozen=True)
class Tried:
    """A trial: its lowest loss on later weeks, in scaled units, how far it came, and the options that were its own."""

    loss: float
    steps: int
    changes: dict[str, object]


@dataclass(frozen=True)
class Found:
    """What a search has found so far: the best options, the trials from the best on, and how much each option mattered
    (shares of 1; empty after few trials)."""

    options: TrainingOptions
    tried: list[Tried]
    importance: dict[str, float]


def search(
    buildings: Sequence[Building],
    base: TrainingOptions,
    space: Space,
    *,
    storage: Path,
    minutes: float,
    trials: int | None = None,
    tracking_uri: str,
    show_progress: bool = True,
) -> Found:
    """The best of the options in this space, the others as in `base`; ValueError when no trial came to a check.

    The trials are kept in the `storage` file: the same search (seed, data, options, space) goes on there and tries what it
    would have tried without the break. It ends after these minutes, at most a step and a check late, or when there are so
    many `trials` in all. A trial that the end cut short is made anew next time.
    """
    deadline = time.monotonic() + 60 * minutes
    trial_options = space.trial_options(base)
    study = _study(storage, _name(buildings, trial_options, space))
    with _progress(show_progress) as progress:
        task = progress.add_task("tuning", total=1.0, best="")

        def show() -> None:
            done = (
                1 - (deadline - time.monotonic()) / (60 * minutes),
                len(_trials(study, *FINISHED)) / (trials or np.inf),
            )
            progress.update(task, completed=max(done), best=_so_far(study))

        while time.monotonic() < deadline and (trials is None or len(_trials(study, *FINISHED)) < trials):
            _try(study, buildings, trial_options, space, deadline=deadline, tracking_uri=tracking_uri, on_check=show)
            show()
    return _found(study, base, space)


def _study(storage: Path, name: str) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage.parent.mkdir(parents=True, exist_ok=True)
    try:
        study = optuna.create_study(
            storage=f"sqlite:///{storage}", study_name=name, load_if_exists=True, pruner=optuna.pruners.MedianPruner()
        )
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        raise ValueError(f"{storage.name} cannot be used to keep trials in: remove it to begin anew.") from error
    for trial in _trials(study, TrialState.RUNNING):  # a search that was killed left it
        study.tell(trial.number, state=TrialState.FAIL)
    return study


def _name(buildings: Sequence[Building], options: TrainingOptions, space: Space) -> str:
    """The same for the same search."""
    known = {name: value for name, value in asdict(options).items() if name != "minutes"}
    digest = hashlib.sha256(json.dumps([known, asdict(space)], sort_keys=True).encode())
    for each in buildings:
        digest.update(json.dumps([each.building_id, each.start, each.place], sort_keys=True).encode())
        digest.update(each.values.tobytes())
    return digest.hexdigest()[:16]


def _try(
    study: optuna.Study,
    buildings: Sequence[Building],
    base: TrainingOptions,
    space: Space,
    *,
    deadline: float,
    tracking_uri: str,
    on_check: Callable[[], None],
) -> None:
    """One trial more. What it tries depends on the seed and on the trials that were finished before, alone."""
    number = len(_trials(study, *FINISHED))
    seed = int(np.random.SeedSequence([base.seed, number]).generate_state(1)[0])
    study.sampler = optuna.samplers.TPESampler(seed=seed)
    trial = study.ask()
    options = changed(base, {name: values.suggest(trial, name) for name, values in space.options.items()})
    run = Run.start(buildings, options)

    def report(step: int, losses: Mapping[str, float]) -> None:
        tracking.metrics(step, losses)
        if run.is_to_be_checked:  # and not only because the time is over
            trial.report(losses["validation_loss"], step)
            on_check()
            if not run.is_over and trial.should_prune():
                raise optuna.TrialPruned

    with tracked(f"tune-{study.study_name}-{number}", asdict(options), tracking_uri=tracking_uri) as tracking:
        try:
            run.go_on(minutes=(deadline - time.monotonic()) / 60, on_check=report)
        except (optuna.TrialPruned, Diverged):
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, run.best_loss) if run.is_over else study.tell(trial, state=TrialState.FAIL)


def _found(study: optuna.Study, base: TrainingOptions, space: Space) -> Found:
    checked = [trial for trial in _trials(study, *FINISHED) or _trials(study) if trial.intermediate_values]
    if not checked:
        raise ValueError(
            f"No trial came to its first check, at step {space.check_every_steps}: give more --minutes, or in the space "
            "a lower check_every_steps and lower learning rates."
        )
    tried = sorted((_tried(trial, space) for trial in checked), key=lambda each: each.loss)
    is_enough = len(_trials(study, TrialState.COMPLETE)) >= LEAST_TO_COMPARE
    importance = optuna.importance.get_param_importances(study) if is_enough else {}
    return Found(changed(base, tried[0].changes), tried, importance)


def _tried(trial: FrozenTrial, space: Space) -> Tried:
    changes = {name: values.read(trial.params[name]) for name, values in space.options.items()}
    return Tried(min(trial.intermediate_values.values()), max(trial.intermediate_values), changes)


def _trials(study: optuna.Study, *states: TrialState) -> list[FrozenTrial]:
    """Those in one of these states; without states all."""
    return study.get_trials(deepcopy=False, states=states or None)


def _so_far(study: optuna.Study) -> str:
    losses = [loss for trial in _trials(study) for loss in trial.intermediate_values.values()]
    return f"{len(_trials(study, *FINISHED))} trials, best loss {min(losses):.4f}" if losses else ""


def _progress(show: bool) -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[best]}"), TimeElapsedColumn()
    return Progress(*columns, disable=not show, transient=True)
