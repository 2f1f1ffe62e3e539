"""Training: one loop over windows sampled from long hourly series, until the error on later weeks stops falling."""

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor

from wattcast_models.columns import feature_names
from wattcast_models.features import CONTEXT_INPUTS, Inputs, features
from wattcast_models.networks import Forecaster, Kind, pinball
from wattcast_models.readings import Building
from wattcast_models.windows import Origins, cut, hidden, split_origins

VALIDATION_WINDOWS = 2048


@dataclass(frozen=True)
class TrainingOptions:
    """What a training run does; every value is written into the artifact."""

    network: Kind = "mlp"
    hidden: int = 192
    summary: int = 64
    context_hours: int = 672
    lead_hours: int = 168
    steps: int = 2000
    minutes: float = 10.0  # a run ends here even when steps are left
    batch_windows: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    later_days_weight: float = 0.3  # of a lead hour after the first 24 in the loss
    validation_share: float = 0.1
    check_every_steps: int = 200
    patience_checks: int = 8
    seed: int = 0


@dataclass(frozen=True)
class Trained:
    """The network at its best check and what was measured there; losses are in scaled units of each window."""

    network: Forecaster
    inputs: list[str]
    metrics: dict[str, float]


def train(
    buildings: Sequence[Building],
    options: TrainingOptions,
    *,
    show_progress: bool = True,
    on_check: Callable[[int, Mapping[str, float]], None] = lambda step, losses: None,
) -> Trained:
    """A network trained on all buildings together; ValueError when there is too little data.

    `on_check` hears of each check on later weeks: the step, and the losses in scaled units.

    The same seed, data and options give the same weights, unless the minutes end the run.
    """
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    inputs = inputs_present(buildings)
    origins, later = split_origins(buildings, lead_hours=options.lead_hours, validation_share=options.validation_share)
    if len(origins) < options.batch_windows or not len(later):
        raise ValueError(f"Too little data: {len(origins)} training windows; give each building some months of hours.")
    validation = _validation(buildings, later, inputs, options)
    network = Forecaster(options.network, len(feature_names(inputs)), options.hidden, options.summary)
    optimizer = torch.optim.AdamW(network.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, options.learning_rate, total_steps=options.steps, pct_start=0.05
    )
    best, average, started = _Best(network), float("nan"), time.monotonic()
    with _progress(show_progress) as progress:
        task = progress.add_task("training", total=options.steps, loss="")
        for step in range(1, options.steps + 1):
            loss = _loss(network, _sample(buildings, origins, inputs, options, rng), options)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            average = loss.item() if step == 1 else 0.98 * average + 0.02 * loss.item()
            is_over = step == options.steps or time.monotonic() - started > 60 * options.minutes
            if is_over or step % options.check_every_steps == 0:
                loss_later = _validation_loss(network, validation, options)
                best.take(network, loss_later, step)
                on_check(step, {"training_loss": average, "validation_loss": loss_later})
            progress.update(task, completed=step, loss=f"loss {average:.4f}, on later weeks {best.loss:.4f}")
            if is_over or best.checks_without_gain >= options.patience_checks:
                break
    network.load_state_dict(best.weights)
    metrics = {"steps": step, "best_step": best.step, "training_loss": average, "validation_loss": best.loss}
    return Trained(network.eval(), inputs, {name: round(value, 4) for name, value in metrics.items()})


class _Best:
    """The weights at the check with the least loss on later weeks."""

    def __init__(self, network: Forecaster) -> None:
        self.weights = copy.deepcopy(network.state_dict())
        self.loss, self.step, self.checks_without_gain = float("inf"), 0, 0

    def take(self, network: Forecaster, loss: float, step: int) -> None:
        self.checks_without_gain += 1
        if loss < self.loss:
            self.weights = copy.deepcopy(network.state_dict())
            self.loss, self.step, self.checks_without_gain = loss, step, 0


def inputs_present(buildings: Sequence[Building]) -> list[str]:
    """The inputs that these buildings can teach: a series that is missing throughout would leave its weights random."""
    measured = [any(np.isfinite(building.values[:, column]).any() for building in buildings) for column in range(4)]
    known = [name for name, is_measured in zip(CONTEXT_INPUTS, measured, strict=True) if is_measured]
    spans_a_year = max(building.hours for building in buildings) >= 365 * 24
    return known + ["calendar"] + ["day_of_year"] * spans_a_year


Batch = tuple[list[Tensor], Tensor, Tensor]  # network inputs, scaled actual (n, leads), loss weight (n, leads)


def _sample(
    buildings: Sequence[Building],
    origins: Origins,
    inputs: list[str],
    options: TrainingOptions,
    rng: np.random.Generator,
) -> Batch:
    """Random windows; the first day of each and one later day, the same for all of the batch, count."""
    chosen = origins.pick(rng.integers(0, len(origins), options.batch_windows))
    raw, actual = cut(buildings, chosen, context_hours=options.context_hours, lead_hours=options.lead_hours)
    return as_batch(hidden(raw, rng), actual, inputs, _leads(options, rng), options)


def _leads(options: TrainingOptions, rng: np.random.Generator) -> NDArray[np.int64]:
    later_days = options.lead_hours // 24
    if later_days < 2:
        return np.arange(options.lead_hours)
    return np.concatenate([np.arange(24), np.arange(24) + 24 * rng.integers(1, later_days)])


def as_batch(
    raw: Inputs, actual: NDArray[np.float32], inputs: list[str], leads: NDArray[np.int64], options: TrainingOptions
) -> Batch:
    """Tensors of these windows at `leads`; missing actual hours weigh nothing."""
    made = features(raw, inputs_used=inputs, context_hours=options.context_hours, leads=leads)
    scaled = np.clip((actual[:, leads] - made.loc) / made.scale, -50, 50)  # (n, leads)
    weight = np.isfinite(scaled) * np.where(leads < 24, 1.0, options.later_days_weight)[None, :]
    tensors = [torch.from_numpy(array) for array in (made.sequence, made.leads, made.candidates, made.missing)]
    scaled, weight = np.nan_to_num(scaled).astype(np.float32), weight.astype(np.float32)
    return tensors, torch.from_numpy(scaled), torch.from_numpy(weight)


def _loss(network: Forecaster, batch: Batch, options: TrainingOptions) -> Tensor:
    tensors, actual, weight = batch
    quantiles = network(*tensors)  # (n, leads, 3)
    loss = pinball(quantiles, actual)  # (n, leads)
    return (loss * weight).sum() / weight.sum()


def _validation(
    buildings: Sequence[Building], later: Origins, inputs: list[str], options: TrainingOptions
) -> list[Batch]:
    """The same windows and hidden parts at every check."""
    rng = np.random.default_rng(options.seed + 1)
    chosen = later.pick(rng.choice(len(later), min(VALIDATION_WINDOWS, len(later)), replace=False))
    batches = []
    for start in range(0, len(chosen), options.batch_windows):
        part = chosen.pick(np.arange(start, min(start + options.batch_windows, len(chosen))))
        raw, actual = cut(buildings, part, context_hours=options.context_hours, lead_hours=options.lead_hours)
        batches.append(as_batch(hidden(raw, rng), actual, inputs, np.arange(min(24, options.lead_hours)), options))
    return batches


def _validation_loss(network: Forecaster, batches: list[Batch], options: TrainingOptions) -> float:
    network.eval()
    with torch.inference_mode():
        losses = [_loss(network, batch, options).item() * len(batch[1]) for batch in batches]
    network.train()
    return sum(losses) / sum(len(batch[1]) for batch in batches)


def _progress(show: bool) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} {task.fields[loss]}"),
    )
    return Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), disable=not show)
