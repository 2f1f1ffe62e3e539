"""Tuning: Optuna tries training options one trial after another, by the validation loss, until the time is over."""

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

from wattcast_models.data.readings import Building
from wattcast_models.tracking.runs import tracked_run
from wattcast_models.training.loop import Diverged, TrainingRun
from wattcast_models.training.options import TrainingOptions, with_changes
from wattcast_models.training.search_space import SearchSpace

MIN_TRIALS_FOR_IMPORTANCE = 10  # complete ones


@dataclass(frozen=True)
class TrialResult:
    """A trial: its lowest validation loss in scaled units, the step of its last check, and the options it tried."""

    loss: float
    steps: int
    changes: dict[str, object]


@dataclass(frozen=True)
class SearchResult:
    """The best options of a search so far, its trials from the best to the worst, and the importance of each option (shares of 1;
    empty after few trials)."""

    options: TrainingOptions
    trials: list[TrialResult]
    importance: dict[str, float]


def search_options(
    buildings: Sequence[Building],
    base: TrainingOptions,
    space: SearchSpace,
    *,
    storage: Path,
    minutes: float,
    trials: int | None = None,
    tracking_uri: str,
    show_progress: bool = True,
) -> SearchResult:
    """The best of the options in this space, the others as in `base`; ValueError if no trial reached a check.

    The `storage` file keeps the trials. The same search (seed, data, options, space) continues there, and tries the same options
    as without the interruption. It ends after these minutes, at most one step and one check late, or with `trials` trials in all.
    A trial that was cut short by the end of the time is repeated.
    """
    options = space.trial_options(base)
    study = _study(storage, _study_name(buildings, options, space))
    search = _Search(study, buildings, options, space, time.monotonic() + 60 * minutes, tracking_uri)
    with _progress_bar(show_progress) as progress:
        task = progress.add_task("tuning", total=1.0, best="")

        def show() -> None:
            of_time, of_trials = 1 - search.minutes_left / minutes, len(search.finished) / (trials or np.inf)
            progress.update(task, completed=max(of_time, of_trials), best=search.summary)

        while search.minutes_left > 0 and (trials is None or len(search.finished) < trials):
            search.run_trial(on_check=show)
            show()
    return search.result(base)


@dataclass(frozen=True)
class _Search:
    """A study, and what all of its trials share."""

    study: optuna.Study
    buildings: Sequence[Building]
    options: TrainingOptions
    space: SearchSpace
    deadline: float
    tracking_uri: str

    @property
    def minutes_left(self) -> float:
        return (self.deadline - time.monotonic()) / 60

    @property
    def finished(self) -> list[FrozenTrial]:
        return _trials(self.study, TrialState.COMPLETE, TrialState.PRUNED)

    @property
    def summary(self) -> str:
        losses = [loss for trial in _trials(self.study) for loss in trial.intermediate_values.values()]
        return f"{len(self.finished)} trials, best loss {min(losses):.4f}" if losses else ""

    def run_trial(self, *, on_check: Callable[[], None]) -> None:
        """Run the next trial. Its options depend only on the seed and on the trials that finished before."""
        study, number = self.study, len(self.finished)
        seed = np.random.SeedSequence([self.options.seed, number]).generate_state(1)[0]
        study.sampler = optuna.samplers.TPESampler(seed=int(seed))
        trial = study.ask()
        changes = {name: values.suggest(trial, name) for name, values in self.space.options.items()}
        options = with_changes(self.options, changes)
        run = TrainingRun.start(self.buildings, options)

        def report(step: int, losses: Mapping[str, float]) -> None:
            tracking.log_metrics(step, losses)
            if run.is_check_due:  # not an extra check at the end of the time
                trial.report(losses["validation_loss"], step)
                on_check()
                if not run.is_over and trial.should_prune():
                    raise optuna.TrialPruned

        name = f"tune-{study.study_name}-{number}"
        with tracked_run(name, asdict(options), tracking_uri=self.tracking_uri) as tracking:
            try:
                run.resume(minutes=self.minutes_left, on_check=report)
            except (optuna.TrialPruned, Diverged):
                study.tell(trial, state=TrialState.PRUNED)
            else:
                value, state = (run.best_loss, TrialState.COMPLETE) if run.is_over else (None, TrialState.FAIL)
                study.tell(trial, value, state)

    def result(self, base: TrainingOptions) -> SearchResult:
        checked = [trial for trial in self.finished or _trials(self.study) if trial.intermediate_values]
        if not checked:
            raise ValueError(
                f"No trial reached its first check, at step {self.space.check_every_steps}: give more --minutes, or lower "
                "check_every_steps and the learning rates in the search space."
            )
        results = sorted((_trial_result(trial, self.space) for trial in checked), key=lambda result: result.loss)
        is_enough = len(_trials(self.study, TrialState.COMPLETE)) >= MIN_TRIALS_FOR_IMPORTANCE
        importance = optuna.importance.get_param_importances(self.study) if is_enough else {}
        return SearchResult(with_changes(base, results[0].changes), results, importance)


def _study(storage: Path, name: str) -> optuna.Study:
    """The study of this name in the file, created if it does not exist."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage.parent.mkdir(parents=True, exist_ok=True)
    try:
        study = optuna.create_study(
            storage=f"sqlite:///{storage}", study_name=name, load_if_exists=True, pruner=optuna.pruners.MedianPruner()
        )
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        raise ValueError(f"{storage.name} is not a file of trials: remove it to start a new search.") from error
    for trial in _trials(study, TrialState.RUNNING):  # left by a search that was killed
        study.tell(trial.number, state=TrialState.FAIL)
    return study


def _study_name(buildings: Sequence[Building], options: TrainingOptions, space: SearchSpace) -> str:
    """A hash of the data, the options and the space: the same search has the same name."""
    hashed_options = {name: value for name, value in asdict(options).items() if name != "minutes"}
    digest = hashlib.sha256(json.dumps([hashed_options, asdict(space)], sort_keys=True).encode())
    for building in buildings:
        identity = [building.building_id, building.start, building.metadata]
        digest.update(json.dumps(identity, sort_keys=True).encode())
        digest.update(building.values.tobytes())
        if building.revisions:
            digest.update(building.revisions.newest_us.tobytes())
    return digest.hexdigest()[:16]


def _trial_result(trial: FrozenTrial, space: SearchSpace) -> TrialResult:
    changes = {name: values.decode(trial.params[name]) for name, values in space.options.items()}
    return TrialResult(min(trial.intermediate_values.values()), max(trial.intermediate_values), changes)


def _trials(study: optuna.Study, *states: TrialState) -> list[FrozenTrial]:
    """The trials in one of these states, or all trials."""
    return study.get_trials(deepcopy=False, states=states or None)


def _progress_bar(show: bool) -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[best]}"), TimeElapsedColumn()
    return Progress(*columns, disable=not show, transient=True)
