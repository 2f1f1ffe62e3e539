"""Training in several processes: what each of them runs, wherever it was started with torch's variables (RANK and such)."""

from collections.abc import Mapping
from pathlib import Path

import torch

# Torch imports this module when an optimizer is first made, and it then keeps the group of that moment for ever: the threads of
# the group outlive the end of Python, and now and then abort the process. Imported before there is a group, it keeps none.
import torch.distributed.nn.functional
from torch import distributed

from wattcast_models.group import Group
from wattcast_models.options import TrainingOptions
from wattcast_models.training import Diverged, OnCheck, Run
from wattcast_models.training_data import TrainingData


def learn_together(source: TrainingData, options: TrainingOptions, checkpoint: Path, on_check: OnCheck) -> str:
    """Train as one process of the group and leave the state of the run at the checkpoint, which all must see; returns what
    went wrong, which is the same in all processes, or nothing.

    Each process reads the data itself. Only the first prints, writes the checkpoint and calls `on_check`.
    """

    def tell(step: int, losses: Mapping[str, float]) -> None:
        print(f"step {step}: loss {losses['training_loss']:.4f}, on later weeks {losses['validation_loss']:.4f}")
        on_check(step, losses)

    torch.set_num_threads(1)
    distributed.init_process_group("gloo")
    try:
        group = Group(distributed.get_rank(), distributed.get_world_size())
        run = Run.start([*source.recorded(), *source.made_up()], options, group=group)
        run.go_on(checkpoint=checkpoint, minutes=options.minutes, on_check=tell)
    except Diverged as error:
        return str(error)
    finally:
        distributed.destroy_process_group()
    return ""
