"""Training: one loop over windows sampled from long hourly series, until the error on later weeks stops falling."""

import io
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor, nn

from wattcast_models import artifact
from wattcast_models.calibration import factors
from wattcast_models.features import CONTEXT_INPUTS, DAY_HOURS, Features, Inputs, features, features_by_day
from wattcast_models.group import ALONE, Group
from wattcast_models.networks import members, pinball
from wattcast_models.options import TrainingOptions
from wattcast_models.readings import Building
from wattcast_models.windows import Stretches, as_in_use, cut, split_by_time

log = logging.getLogger("wattcast.training")

VALIDATION_WINDOWS, CALIBRATION_WINDOWS = 2048, 4096
VALIDATING, CALIBRATING, STEPPING = range(3)  # each draws from a random stream of its own
WILDEST = 50.0  # scaled units: an hour beyond it pulls no harder than one there

OnCheck = Callable[[int, Mapping[str, float]], None]


class Diverged(ValueError):
    """The loss is no number any more: of these options, not of the data."""


@dataclass(frozen=True)
class Trained:
    """The network at its best check, how its widths are to be mended, and what was measured in scaled units."""

    network: nn.Module
    inputs: list[str]
    calibration: dict[str, list[float]]
    metrics: dict[str, float]


def train(
    buildings: Sequence[Building],
    options: TrainingOptions,
    *,
    checkpoint: Path | None = None,
    begin_anew: bool = False,
    device: str = "cpu",
    show_progress: bool = True,
    on_check: OnCheck = lambda step, losses: None,
) -> Trained:
    """A network trained on all buildings together; ValueError when there is too little data, Diverged when the loss is no
    number.

    The same seed, data and options give the same weights, unless the minutes end the run. With a `checkpoint` file, a
    run that was killed goes on from its last check and ends with the same weights; a finished run removes the file. One
    that is of other data or options, or unreadable, is a ValueError, or with `begin_anew` removed.
    `on_check` hears of each check on later weeks: the step, and the losses in scaled units.
    """
    run = Run.start(buildings, options, device)
    if checkpoint and begin_anew:
        run.make_way(checkpoint)
    run.go_on(checkpoint=checkpoint, minutes=options.minutes, show_progress=show_progress, on_check=on_check)
    return run.finish(checkpoint)


class Run:
    """The state of a training run. What is random at a step depends on the seed and the step alone, and, where several
    processes share each batch, on which of them draws."""

    def __init__(
        self,
        buildings: Sequence[Building],
        parts: tuple[Stretches, Stretches],
        inputs: list[str],
        options: TrainingOptions,
        device: str,
        group: Group,
    ) -> None:
        self.buildings, self.options, self.inputs, self.device, self.group = buildings, options, inputs, device, group
        self.training, self.later = parts
        torch.manual_seed(options.seed)
        self.network = artifact.untrained(options.network, inputs, options.quantiles).to(device)
        self.averaged = _copied(self.network)
        self.best_weights, self.best_loss, self.best_step, self.checks_without_gain = self.averaged, float("inf"), 0, 0
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, options.learning_rate, total_steps=options.steps, pct_start=0.1
        )
        self.step, self.loss = 0, float("nan")
        self.validation = list(self._batches(VALIDATING))

    @classmethod
    def start(
        cls,
        buildings: Sequence[Building],
        options: TrainingOptions,
        device: str = "cpu",
        group: Group = ALONE,
    ) -> "Run":
        training, later = split_by_time(
            buildings, lead_hours=options.lead_hours, validation_share=options.validation_share
        )
        if training.windows < options.batch_windows or not later.windows:
            raise ValueError(
                f"Too little data: {training.windows} training windows; give each building some months of hours."
            )
        return cls(buildings, (training, later), inputs_present(buildings), options, device, group)

    @property
    def is_over(self) -> bool:
        return self.step >= self.options.steps or self.checks_without_gain >= self.options.patience_checks

    def go_on(
        self,
        *,
        minutes: float,
        checkpoint: Path | None = None,
        show_progress: bool = False,
        on_check: OnCheck = lambda step, losses: None,
    ) -> None:
        """Train until it is over or the minutes are, from the checkpoint if there is one, and leave one behind."""
        if checkpoint and checkpoint.exists():
            self.load(checkpoint)
        started = time.monotonic()
        with _progress(show_progress) as progress:
            task = progress.add_task("training", total=self.options.steps, completed=self.step, loss="")
            while not self.is_over:
                self.take_step()
                is_late = self.group.any(time.monotonic() - started > 60 * minutes)
                if is_late or self.is_to_be_checked:
                    losses = self.check()
                    if self.group.is_first:
                        on_check(self.step, losses)
                        if checkpoint:
                            self.save(checkpoint)
                text = f"loss {self.loss:.4f}, on later weeks {self.best_loss:.4f}"
                progress.update(task, completed=self.step, loss=text)
                if is_late:
                    break

    @property
    def is_to_be_checked(self) -> bool:
        return self.step == self.options.steps or self.step % self.options.check_every_steps == 0

    def take_step(self) -> None:
        options, rng = self.options, self._random(STEPPING, self.step, *self.group.stream)
        torch.manual_seed(int(rng.integers(2**62)))  # for dropout
        is_first = options.days == 1 or rng.random() < options.first_day_share
        day = 0 if is_first else int(rng.integers(1, options.days))
        batch = self._batch(self.training, self.group.share(options.batch_windows), day, rng)
        losses = [_loss(member, batch, options.quantiles) for member in members(self.network)]
        loss = torch.stack(losses).mean()
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        gradients = [weight.grad for weight in self.network.parameters() if weight.grad is not None]
        self.group.average([loss.detach(), *gradients])
        if not torch.isfinite(loss):
            raise Diverged(f"The loss at step {self.step + 1} is {loss.item()}: try a lower learning rate.")
        for member in members(self.network):
            nn.utils.clip_grad_norm_(member.parameters(), 1.0)
        self.optimizer.step()
        self.schedule.step()
        self.step += 1
        self.loss = loss.item() if self.step == 1 else 0.98 * self.loss + 0.02 * loss.item()
        kept = min(options.averaging, self.step / (self.step + 9))
        for name, weight in self.network.state_dict().items():
            self.averaged[name].mul_(kept).add_(weight.detach(), alpha=1 - kept)

    def check(self) -> dict[str, float]:
        """The losses of the averaged weights on later weeks, remembered when they are the best so far."""
        network = self._with(self.averaged)
        with torch.inference_mode():
            losses = [_loss(network, batch, self.options.quantiles).item() for batch in self.validation]
        mean = torch.tensor(np.average(losses, weights=[len(batch.actual) for batch in self.validation]))
        self.group.average([mean])  # unequal machines must not disagree on when to stop
        loss = mean.item()
        self.checks_without_gain += 1
        if loss < self.best_loss:
            self.best_weights = {name: weight.clone() for name, weight in self.averaged.items()}
            self.best_loss, self.best_step, self.checks_without_gain = loss, self.step, 0
        return {"training_loss": self.loss, "validation_loss": loss}

    def finish(self, checkpoint: Path | None = None) -> Trained:
        """The network of the best check, calibrated; a checkpoint is removed."""
        network = self._with(self.best_weights)
        metrics = {
            "steps": self.step,
            "best_step": self.best_step,
            "training_loss": round(self.loss, 4),
            "validation_loss": round(self.best_loss, 4),
        }
        trained = Trained(network.cpu(), self.inputs, self._calibration(network), metrics)
        if checkpoint:
            checkpoint.unlink(missing_ok=True)
        return trained

    def save(self, file: Path) -> None:
        """Written whole or not at all."""
        state = {name: getattr(self, name) for name in REMEMBERED} | {
            "run": self._identity(),
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        file.parent.mkdir(parents=True, exist_ok=True)
        artifact.write_whole(file, buffer.getvalue())

    def load(self, file: Path) -> None:
        """Goes on from a checkpoint; ValueError for one that is unreadable or of another run."""
        state = self._state(file)
        try:
            for name in ("network", "optimizer", "schedule"):
                getattr(self, name).load_state_dict(state[name])
            for name in REMEMBERED:
                setattr(self, name, state[name])
        except artifact.UNREADABLE as error:
            raise ValueError(f"The checkpoint cannot be used: {error}") from error

    def make_way(self, file: Path) -> None:
        """Remove a checkpoint, if there is one, that this run cannot go on from."""
        try:
            if file.exists():
                self._state(file)
        except ValueError as error:
            log.warning("%s It is removed, and the training begins anew.", error)
            file.unlink()

    def _state(self, file: Path) -> dict[str, Any]:
        try:
            state: dict[str, Any] = torch.load(file, map_location=self.device, weights_only=True)
            is_mine = state["run"] == self._identity()
        except artifact.UNREADABLE as error:
            raise ValueError(f"The checkpoint cannot be used: {error}") from error
        if not is_mine:
            raise ValueError(f"{file.name} is of a run with other data or options: remove it to begin anew.")
        return state

    def _identity(self) -> dict[str, Any]:
        """What must be the same for a checkpoint to go on."""
        known = {name: value for name, value in asdict(self.options).items() if name != "minutes"}
        lengths = [(each.building_id, each.start, each.hours) for each in self.buildings]
        return {"options": known, "inputs": self.inputs, "buildings": lengths, "processes": self.group.size}

    def _with(self, weights: Mapping[str, Tensor]) -> nn.Module:
        network = artifact.untrained(self.options.network, self.inputs, self.options.quantiles).to(self.device)
        network.load_state_dict(weights)
        return network.eval()

    def _random(self, *stream: int) -> np.random.Generator:
        return np.random.default_rng([self.options.seed, *stream])

    def _batch(self, stretches: Stretches, windows: int, day: int, rng: np.random.Generator) -> "Batch":
        raw, actual = self._cut(stretches, windows, rng, lead_hours=DAY_HOURS * (day + 1))
        raw, actual = as_in_use(raw, actual, rng)
        made = features(raw, inputs_used=self.inputs, context_hours=self.options.context_hours, day=day)
        return Batch.of(made, actual).to(self.device)

    def _cut(
        self, stretches: Stretches, windows: int, rng: np.random.Generator, *, lead_hours: int
    ) -> tuple[Inputs, NDArray[np.float32]]:
        chosen = stretches.sample(windows, rng)
        return cut(self.buildings, chosen, context_hours=self.options.context_hours, lead_hours=lead_hours)

    def _batches(self, stream: int) -> Iterator["Batch"]:
        """The same first days of later weeks at every check."""
        windows = self.options.batch_windows
        for number in range(-(-min(VALIDATION_WINDOWS, self.later.windows) // windows)):
            yield self._batch(self.later, windows, 0, self._random(stream, number))

    def _calibration(self, network: nn.Module) -> dict[str, list[float]]:
        """How wide the forecasts of later weeks had to be, of meters as they are, half of them with forecast weather."""
        options = self.options
        forecast, happened = [], []
        for number in range(-(-min(CALIBRATION_WINDOWS, self.later.windows) // options.batch_windows)):
            rng = self._random(CALIBRATING, number)
            raw, actual = self._cut(self.later, options.batch_windows, rng, lead_hours=DAY_HOURS * options.days)
            raw = _half_without_forecast_weather(raw, rng)
            days = features_by_day(
                raw, inputs_used=self.inputs, context_hours=options.context_hours, days=range(options.days)
            )
            forecast.append(_quantiles(network, days, self.device))
            loc_and_scale = features(raw, inputs_used=self.inputs, context_hours=options.context_hours)
            happened.append((actual - loc_and_scale.loc.numpy()) / loc_and_scale.scale.numpy())
        leads = slice(0, options.lead_hours)
        return factors(np.concatenate(forecast)[:, leads], np.concatenate(happened)[:, leads], options.quantiles)


REMEMBERED = ("step", "loss", "averaged", "best_weights", "best_loss", "best_step", "checks_without_gain")


@dataclass(frozen=True)
class Batch:
    """Features of n windows and what happened, (n, 24) scaled, 0 where unknown; `known` is 0 or 1."""

    made: Features
    actual: Tensor
    known: Tensor

    @classmethod
    def of(cls, made: Features, actual: NDArray[np.float32]) -> "Batch":
        """`actual` is (n, hours) kWh up to the end of the target day."""
        happened = torch.from_numpy(np.array(actual[:, -DAY_HOURS:]))
        scaled = ((happened - made.loc) / made.scale).clamp(-WILDEST, WILDEST)
        return cls(made, scaled.nan_to_num().float(), torch.isfinite(scaled).float())

    def to(self, device: str) -> "Batch":
        return Batch(self.made.to(device), self.actual.to(device), self.known.to(device))


def inputs_present(buildings: Sequence[Building]) -> list[str]:
    """The inputs that these buildings can teach: a series that is missing throughout would leave its weights random."""
    measured = [any(np.isfinite(building.values[:, column]).any() for building in buildings) for column in range(4)]
    known = [name for name, is_measured in zip(CONTEXT_INPUTS, measured, strict=True) if is_measured]
    spans_a_year = max(building.hours for building in buildings) >= 365 * 24
    return known + ["calendar"] + ["day_of_year"] * spans_a_year


def _loss(network: nn.Module, batch: Batch, quantiles: Sequence[float]) -> Tensor:
    loss = pinball(network(batch.made), batch.actual, quantiles)  # (n, 24)
    return (loss * batch.known).sum() / batch.known.sum().clamp(min=1)


def _quantiles(network: nn.Module, days: Iterable[Features], device: str) -> NDArray[np.float64]:
    with torch.inference_mode():
        parts = [network(made.to(device)).cpu().double().numpy() for made in days]
    return np.concatenate(parts, axis=1)


def _half_without_forecast_weather(inputs: Inputs, rng: np.random.Generator) -> Inputs:
    is_unknown = rng.random((len(inputs["origin"]), 1)) < 0.5
    changed = dict(inputs)
    for name in ("future_temperature_c", "future_humidity_pct"):
        changed[name] = np.where(is_unknown, np.float32(np.nan), inputs[name])
    return changed


def _copied(network: nn.Module) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in network.state_dict().items()}


def _progress(show: bool) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} {task.fields[loss]}"),
    )
    return Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), disable=not show)
