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
    options = space.trial_options(base)
    study = _study(storage, _name(buildings, options, space))
    own = _Search(study, buildings, options, space, time.monotonic() + 60 * minutes, tracking_uri)
    with _progress(show_progress) as progress:
        task = progress.add_task("tuning", total=1.0, best="")

        def show() -> None:
            of_time, of_trials = 1 - own.minutes_left / minutes, len(own.finished) / (trials or np.inf)
            progress.update(task, completed=max(of_time, of_trials), best=own.so_far)

        while own.minutes_left > 0 and (trials is None or len(own.finished) < trials):
            own.try_one(on_check=show)
            show()
    return own.found(base)


@dataclass(frozen=True)
class _Search:
    """A study, and what all of its trials share."""

    study: optuna.Study
    buildings: Sequence[Building]
    options: TrainingOptions
    space: Space
    deadline: float
    tracking_uri: str

    @property
    def minutes_left(self) -> float:
        return (self.deadline - time.monotonic()) / 60

    @property
    def finished(self) -> list[FrozenTrial]:
        return _trials(self.study, TrialState.COMPLETE, TrialState.PRUNED)

    @property
    def so_far(self) -> str:
        losses = [loss for trial in _trials(self.study) for loss in trial.intermediate_values.values()]
        return f"{len(self.finished)} trials, best loss {min(losses):.4f}" if losses else ""

    def try_one(self, *, on_check: Callable[[], None]) -> None:
        """One trial more. What it tries depends on the seed and on the trials that were finished before, alone."""
        study, number = self.study, len(self.finished)
        seed = np.random.SeedSequence([self.options.seed, number]).generate_state(1)[0]
        study.sampler = optuna.samplers.TPESampler(seed=int(seed))
        trial = study.ask()
        changes = {name: values.suggest(trial, name) for name, values in self.space.options.items()}
        options = changed(self.options, changes)
        run = Run.start(self.buildings, options)

        def report(step: int, losses: Mapping[str, float]) -> None:
            tracking.metrics(step, losses)
            if run.is_to_be_checked:  # and not only because the time is over
                trial.report(losses["validation_loss"], step)
                on_check()
                if not run.is_over and trial.should_prune():
                    raise optuna.TrialPruned

        name = f"tune-{study.study_name}-{number}"
        with tracked(name, asdict(options), tracking_uri=self.tracking_uri) as tracking:
            try:
                run.go_on(minutes=self.minutes_left, on_check=report)
            except (optuna.TrialPruned, Diverged):
                study.tell(trial, state=TrialState.PRUNED)
            else:
                value, state = (run.best_loss, TrialState.COMPLETE) if run.is_over else (None, TrialState.FAIL)
                study.tell(trial, value, state)

    def found(self, base: TrainingOptions) -> Found:
        checked = [trial for trial in self.finished or _trials(self.study) if trial.intermediate_values]
        if not checked:
            raise ValueError(
                f"No trial came to its first check, at step {self.space.check_every_steps}: give more --minutes, or in the "
                "space a lower check_every_steps and lower learning rates."
            )
        tried = sorted((_tried(trial, self.space) for trial in checked), key=lambda each: each.loss)
        is_enough = len(_trials(self.study, TrialState.COMPLETE)) >= LEAST_TO_COMPARE
        importance = optuna.importance.get_param_importances(self.study) if is_enough else {}
        return Found(changed(base, tried[0].changes), tried, importance)


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
        for part in (each.values, each.revisions.newest_us) if each.revisions else (each.values,):
            digest.update(part.tobytes())
    return digest.hexdigest()[:16]


def _tried(trial: FrozenTrial, space: Space) -> Tried:
    changes = {name: values.read(trial.params[name]) for name, values in space.options.items()}
    return Tried(min(trial.intermediate_values.values()), max(trial.intermediate_values), changes)


def _trials(study: optuna.Study, *states: TrialState) -> list[FrozenTrial]:
    """Those in one of these states; without states all."""
    return study.get_trials(deepcopy=False, states=states or None)


def _progress(show: bool) -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[best]}"), TimeElapsedColumn()
    return Progress(*columns, disable=not show, transient=True)
