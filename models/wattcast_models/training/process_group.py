"""The processes that train one network together: each on a part of every batch, all with the same weights."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, distributed


@dataclass(frozen=True)
class ProcessGroup:
    """Process number `rank` of `size`, by default the only one.

    With several, torch's process group must be initialised, and all processes must call the same methods in the same order.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    @property
    def seed_offset(self) -> tuple[int, ...]:
        """What this process appends to the seed of a step, so that no two processes draw the same random numbers."""
        return (self.rank,) if self.size > 1 else ()

    def local_batch_size(self, batch_windows: int) -> int:
        """The part of a batch that each process computes, rounded up."""
        return -(-batch_windows // self.size)

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over all processes, bit for bit the same in each."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        distributed.all_reduce(flat)
        parts = torch.split(flat / self.size, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def any_rank(self, flag: bool) -> bool:
        """Whether the flag is true in any process."""
        count = torch.tensor([float(flag)])
        self.average([count])
        return bool(count > 0)


SINGLE_PROCESS = ProcessGroup()
