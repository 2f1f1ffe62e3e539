"""The processes that train one network together: each on a share of every batch, all with the same weights."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, distributed


@dataclass(frozen=True)
class Group:
    """Process number `rank` of `size`; alone by default. Several need torch's process group, and must ask it in step."""

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    @property
    def stream(self) -> tuple[int, ...]:
        """What a random stream has beside the seed and the step, so that no two processes draw the same."""
        return (self.rank,) if self.size > 1 else ()

    def share(self, windows: int) -> int:
        """How many of so many windows are of one process, rounded up."""
        return -(-windows // self.size)

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Give each tensor the mean of what it is in all processes, to the same bit in each."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        distributed.all_reduce(flat)
        parts = torch.split(flat / self.size, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def any(self, flag: bool) -> bool:
        """Whether the flag is up in any of the processes."""
        count = torch.tensor([float(flag)])
        self.average([count])
        return bool(count > 0)


ALONE = Group()
