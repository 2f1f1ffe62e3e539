"""Training in several processes: what each of them runs. They are started with torch's variables (RANK, WORLD_SIZE, ...)."""

from collections.abc import Mapping
from pathlib import Path

import torch

# Torch imports this module when the first optimizer is created. If a process group exists then, the module keeps a reference,
# and the threads of the group outlive the end of Python and sometimes abort the process. So import it before the group exists.
import torch.distributed.nn.functional
from torch import distributed

from wattcast_models.data.training_data import TrainingData
from wattcast_models.training.loop import Diverged, OnCheck, TrainingRun
from wattcast_models.training.options import TrainingOptions
from wattcast_models.training.process_group import ProcessGroup


def train_rank(source: TrainingData, options: TrainingOptions, checkpoint: Path, on_check: OnCheck) -> str:
    """Train as one process of the group and leave the state of the run in the checkpoint, which all processes must see.

    Each process reads the data itself. Only the first one prints, writes the checkpoint and calls `on_check`. Returns the message
    if the training diverged, which it does in all processes alike, else an empty text.
    """

    def print_check(step: int, losses: Mapping[str, float]) -> None:
        print(f"step {step}: loss {losses['training_loss']:.4f}, validation loss {losses['validation_loss']:.4f}")
        on_check(step, losses)

    torch.set_num_threads(1)
    distributed.init_process_group("gloo")
    try:
        group = ProcessGroup(distributed.get_rank(), distributed.get_world_size())
        buildings = [*source.recorded_buildings(), *source.synthetic_buildings()]
        run = TrainingRun.start(buildings, options, group=group)
        run.resume(checkpoint=checkpoint, minutes=options.minutes, on_check=print_check)
    except Diverged as error:
        return str(error)
    finally:
        distributed.destroy_process_group()
    return ""
