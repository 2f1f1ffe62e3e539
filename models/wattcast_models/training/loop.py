"""The training loop: steps on windows sampled from long hourly series, until the validation loss stops falling."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor, nn

from wattcast_models.artifact.weights import LOAD_ERRORS, untrained_network
from wattcast_models.data.readings import Building
from wattcast_models.networks.losses import pinball_losses
from wattcast_models.networks.networks import ensemble_members
from wattcast_models.training.batches import STEP, Batch, WindowSampler
from wattcast_models.training.calibrate import measured_calibration
from wattcast_models.training.checkpoint import StaleCheckpoint, read_checkpoint, write_checkpoint
from wattcast_models.training.options import TrainingOptions
from wattcast_models.training.process_group import SINGLE_PROCESS, ProcessGroup

log = logging.getLogger("wattcast.training")

MAX_GRADIENT_NORM = 1.0  # of each member of an ensemble
SAVED_ATTRIBUTES = ("step", "loss", "averaged", "best_weights", "best_loss", "best_step", "checks_without_gain")
SAVED_STATES = ("network", "optimizer", "schedule")

OnCheck = Callable[[int, Mapping[str, float]], None]
OnStep = Callable[[int, str], None]


class Diverged(ValueError):
    """The loss is not finite. The cause is in the options, not in the data."""


@dataclass(frozen=True)
class TrainedModel:
    """The network with the weights of its best check, its calibration, and the losses in scaled units."""

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
    on_step: OnStep = lambda step, losses: None,
) -> TrainedModel:
    """A network trained on all buildings together; ValueError if there are too few data, Diverged if the loss is not finite.

    The same seed, data and options give the same weights, unless the time limit ends the run. With a `checkpoint` file, a run
    that was killed continues from its last check and ends with the same weights; a finished run removes the file. A checkpoint
    that is unreadable or of other data or options is a ValueError, or is removed with `begin_anew`. `on_check` receives the step
    and the losses, in scaled units, of each check, `on_step` after each step their text.
    """
    run = TrainingRun.start(buildings, options, device)
    if checkpoint and begin_anew:
        run.discard_stale_checkpoint(checkpoint)
    run.resume(
        checkpoint=checkpoint, minutes=options.minutes, show_progress=show_progress, on_check=on_check, on_step=on_step
    )
    return run.finish(checkpoint)


class TrainingRun:
    """The state of a training run.

    The random numbers of a step depend only on the seed and the step and, if several processes share each batch, on the process.
    """

    def __init__(self, sampler: WindowSampler, options: TrainingOptions, device: str, group: ProcessGroup) -> None:
        self.sampler, self.options, self.device, self.group = sampler, options, device, group
        torch.manual_seed(options.seed)
        self.network = untrained_network(options.network, sampler.inputs, options.quantiles).to(device)
        self.averaged = {name: weight.detach().clone() for name, weight in self.network.state_dict().items()}
        self.best_weights, self.best_loss, self.best_step, self.checks_without_gain = self.averaged, float("inf"), 0, 0
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, options.learning_rate, total_steps=options.steps, pct_start=0.1
        )
        self.step, self.loss = 0, float("nan")
        self.validation = [batch.to(device) for batch in sampler.validation_batches()]

    @classmethod
    def start(
        cls,
        buildings: Sequence[Building],
        options: TrainingOptions,
        device: str = "cpu",
        group: ProcessGroup = SINGLE_PROCESS,
    ) -> "TrainingRun":
        return cls(WindowSampler.of(buildings, options), options, device, group)

    @property
    def is_over(self) -> bool:
        return self.step >= self.options.steps or self.checks_without_gain >= self.options.patience_checks

    @property
    def is_check_due(self) -> bool:
        return self.step == self.options.steps or self.step % self.options.check_every_steps == 0

    def resume(
        self,
        *,
        minutes: float,
        checkpoint: Path | None = None,
        show_progress: bool = False,
        on_check: OnCheck = lambda step, losses: None,
        on_step: OnStep = lambda step, losses: None,
    ) -> None:
        """Train, from the checkpoint if it exists, until the run or the time is over; write a checkpoint at each check."""
        if checkpoint and checkpoint.exists():
            self.load(checkpoint)
        started = time.monotonic()
        with _progress_bar(show_progress) as progress:
            task = progress.add_task("training", total=self.options.steps, completed=self.step, loss="")
            while not self.is_over:
                # one step of the optimiser
                self.take_step()

                # a check on the validation weeks
                is_time_over = self.group.any_rank(time.monotonic() - started > 60 * minutes)
                if self.is_check_due or is_time_over:
                    losses = self.check()
                    if self.group.is_first:
                        on_check(self.step, losses)
                        if checkpoint:
                            self.save(checkpoint)

                # progress and time limit
                losses_text = f"loss {self.loss:.4f}, validation loss {self.best_loss:.4f}"
                progress.update(task, completed=self.step, loss=losses_text)
                on_step(self.step, losses_text)
                if is_time_over:
                    break

    def take_step(self) -> None:
        """One step of the optimiser on one batch."""
        options, group = self.options, self.group

        # sample: most steps learn the first target day, the others a later one
        rng = self.sampler.rng(STEP, self.step, *group.seed_offset)
        torch.manual_seed(int(rng.integers(2**62)))  # for dropout
        is_first_day = options.days == 1 or rng.random() < options.first_day_share
        day = 0 if is_first_day else int(rng.integers(1, options.days))
        batch = self.sampler.training_batch(group.local_batch_size(options.batch_windows), day, rng).to(self.device)

        # forward and backward: every member of an ensemble learns on its own
        members = ensemble_members(self.network)
        loss = torch.stack([_loss(member, batch, options.quantiles) for member in members]).mean()
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)

        # average loss and gradients over the processes
        gradients = [weight.grad for weight in self.network.parameters() if weight.grad is not None]
        group.average([loss.detach(), *gradients])
        if not torch.isfinite(loss):
            raise Diverged(f"The loss at step {self.step + 1} is {loss.item()}: try a lower learning rate.")

        # update the weights
        for member in members:
            nn.utils.clip_grad_norm_(member.parameters(), MAX_GRADIENT_NORM)
        self.optimizer.step()
        self.schedule.step()
        self.step += 1
        self._update_averages(loss.item())

    def _update_averages(self, loss: float) -> None:
        """Moving averages of the loss and of the weights. The averaged weights are the ones that are checked and kept."""
        self.loss = loss if self.step == 1 else 0.98 * self.loss + 0.02 * loss
        decay = min(self.options.averaging, self.step / (self.step + 9))  # shorter in the first steps
        for name, weight in self.network.state_dict().items():
            self.averaged[name].mul_(decay).add_(weight.detach(), alpha=1 - decay)

    def check(self) -> dict[str, float]:
        """The losses of the averaged weights on the validation weeks; the weights are kept if they are the best so far."""
        network = self._network_with(self.averaged)
        with torch.inference_mode():
            losses = [_loss(network, batch, self.options.quantiles).item() for batch in self.validation]
        mean = torch.tensor(np.average(losses, weights=[len(batch.actual) for batch in self.validation]))
        self.group.average([mean])  # machines that compute slightly differently must agree on when to stop
        loss = mean.item()
        self.checks_without_gain += 1
        if loss < self.best_loss:
            self.best_weights = {name: weight.clone() for name, weight in self.averaged.items()}
            self.best_loss, self.best_step, self.checks_without_gain = loss, self.step, 0
        return {"training_loss": self.loss, "validation_loss": loss}

    def finish(self, checkpoint: Path | None = None) -> TrainedModel:
        """The network of the best check, calibrated; the checkpoint is removed."""
        network = self._network_with(self.best_weights)
        metrics = {
            "steps": self.step,
            "best_step": self.best_step,
            "training_loss": round(self.loss, 4),
            "validation_loss": round(self.best_loss, 4),
        }
        calibration = measured_calibration(network, self.sampler, self.device)
        if checkpoint:
            checkpoint.unlink(missing_ok=True)
        return TrainedModel(network.cpu(), self.sampler.inputs, calibration, metrics)

    def save(self, file: Path) -> None:
        """Write a checkpoint, atomically."""
        state = {name: getattr(self, name) for name in SAVED_ATTRIBUTES}
        state |= {name: getattr(self, name).state_dict() for name in SAVED_STATES}
        write_checkpoint(file, state, identity=self._identity())

    def load(self, file: Path) -> None:
        """Continue from a checkpoint; ValueError if it is unreadable or belongs to another run."""
        state = read_checkpoint(file, identity=self._identity(), device=self.device)
        try:
            for name in SAVED_STATES:
                getattr(self, name).load_state_dict(state[name])
            for name in SAVED_ATTRIBUTES:
                setattr(self, name, state[name])
        except LOAD_ERRORS as error:
            raise ValueError(f"The checkpoint cannot be used: {error}") from error

    def discard_stale_checkpoint(self, file: Path) -> None:
        """Remove the checkpoint if this run cannot continue from it."""
        try:
            if file.exists():
                read_checkpoint(file, identity=self._identity(), device=self.device)
        except StaleCheckpoint as error:
            log.warning("%s It is removed and the training starts from the beginning.", error)
            file.unlink()

    def _identity(self) -> dict[str, Any]:
        """What must be the same for a run to continue from a checkpoint."""
        options = {name: value for name, value in asdict(self.options).items() if name != "minutes"}
        spans = [(building.building_id, building.start, building.hours) for building in self.sampler.buildings]
        return {"options": options, "inputs": self.sampler.inputs, "buildings": spans, "processes": self.group.size}

    def _network_with(self, weights: Mapping[str, Tensor]) -> nn.Module:
        """A network with these weights, in evaluation mode."""
        network = untrained_network(self.options.network, self.sampler.inputs, self.options.quantiles).to(self.device)
        network.load_state_dict(weights)
        return network.eval()


def _loss(network: nn.Module, batch: Batch, quantiles: Sequence[float]) -> Tensor:
    """The mean pinball loss over the known hours, a scalar."""
    losses = pinball_losses(network(batch.inputs), batch.actual, quantiles).mean(dim=-1)  # (n, 24)
    return (losses * batch.is_known).sum() / batch.is_known.sum().clamp(min=1)


def _progress_bar(show: bool) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} {task.fields[loss]}"),
    )
    return Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), disable=not show)
