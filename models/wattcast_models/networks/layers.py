"""The layers that the networks share, and the views of the network inputs that they read."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from wattcast_models.features import calendar as local
from wattcast_models.features.columns import CANDIDATES
from wattcast_models.features.network_inputs import NetworkInputs
from wattcast_models.quantiles import MEDIAN
from wattcast_models.time_units import DAY_HOURS

WEEK_DAYS = 7
PAST_HOUR_VALUES = 6  # of `past_hours`
INITIAL_CANDIDATES = ("week_1", "kind")  # their weighted mean is the median of an untrained network
MASKED = -1e4  # a score whose softmax weight is 0


@dataclass(frozen=True)
class Sizes:
    """The numbers of columns of an hour and of the window, the quantile levels, and the sizes of the layers between."""

    hours: int
    window: int
    quantiles: tuple[float, ...]
    hidden: int
    summary: int
    dropout: float


class Head(nn.Module):
    """The median is a weighted mean of the candidates plus a correction; the other quantiles lie around it.

    So an untrained network already repeats the past. Training learns which past hours to repeat and how much the target
    differs from them.
    """

    def __init__(self, hidden: int, hours: int, quantiles: Sequence[float]) -> None:
        super().__init__()
        self.below = sum(level < MEDIAN for level in quantiles)
        self.above = len(quantiles) - 1 - self.below
        outputs = len(CANDIDATES) + len(quantiles)
        self.out = nn.Linear(hidden, hours * outputs)
        with torch.no_grad():
            self.out.weight *= 0.1
            self.out.bias.zero_()
            self.out.bias.view(hours, outputs)[:, [CANDIDATES.index(name) for name in INITIAL_CANDIDATES]] = 1.0

    def forward(self, state: Tensor, inputs: NetworkInputs) -> Tensor:
        """Scaled quantiles (n, 24, quantiles) of a state (n, 24, hidden), or (n, hidden) for a head of a whole day.

        Quantiles never cross: the distances between them are positive.
        """
        out = self.out(state).view(len(state), DAY_HOURS, -1)  # (n, 24, outputs)
        if state.dim() == 2:
            out = rolled(out, inputs.first_hour)
        score, correction, below, above = out.split([len(CANDIDATES), 1, self.below, self.above], dim=-1)
        weight = score.masked_fill(inputs.missing, MASKED).softmax(dim=-1)  # (n, 24, candidates)
        median = (weight * inputs.candidates).sum(dim=-1, keepdim=True) + correction  # (n, 24, 1)
        down, up = (functional.softplus(steps).cumsum(dim=-1) for steps in (below, above))  # outwards, > 0
        return torch.cat([median - down.flip(-1), median, median + up], dim=-1)


def hourly_body(inputs: int, sizes: Sizes) -> nn.Sequential:
    """Two hidden layers for the columns of one hour."""
    return nn.Sequential(
        nn.Linear(inputs, sizes.hidden),
        nn.GELU(),
        nn.Dropout(sizes.dropout),
        nn.Linear(sizes.hidden, sizes.hidden),
        nn.GELU(),
    )


def residual_block(sizes: Sizes) -> nn.Sequential:
    """A layer whose result is added to its input."""
    return nn.Sequential(
        nn.LayerNorm(sizes.hidden),
        nn.Linear(sizes.hidden, sizes.hidden),
        nn.GELU(),
        nn.Dropout(sizes.dropout),
        nn.Linear(sizes.hidden, sizes.hidden),
    )


def whole_day(inputs: NetworkInputs) -> Tensor:
    """(n, 24 columns + window): the columns of all hours from local midnight on, whenever the target day begins."""
    return torch.cat([rolled(inputs.hours, -inputs.first_hour).flatten(1), inputs.window], dim=1)


def rolled(values: Tensor, by: Tensor) -> Tensor:
    """(n, 24, columns) where hour h is taken from hour (h + `by`) modulo 24; `by` is (n,)."""
    hour = (torch.arange(DAY_HOURS, device=values.device) + by[:, None]) % DAY_HOURS  # (n, 24)
    return values.gather(1, hour[..., None].expand_as(values))


def last_week(inputs: NetworkInputs) -> Tensor:
    """(n, 7, 24, 2): the energy of the last week and where it is present."""
    return torch.stack([inputs.grid.energy[:, -WEEK_DAYS:], inputs.grid.present[:, -WEEK_DAYS:]], dim=-1)


def past_hours(inputs: NetworkInputs) -> Tensor:
    """(n, days, 24, PAST_HOUR_VALUES): of each past hour its energy, presence, same kind of day, same weekday, the mean of its
    day and the logarithm of its age in days."""
    grid = inputs.grid
    same_weekday = (grid.weekday == grid.target[:, None, :, local.WEEKDAY]).float()
    day_mean = grid.energy.mean(dim=2, keepdim=True).expand_as(grid.energy)
    age = torch.arange(grid.days, 0, -1.0, device=grid.energy.device).log()[None, :, None].expand_as(grid.energy)
    return torch.stack([grid.energy, grid.present, grid.same_kind, same_weekday, day_mean, age], dim=-1)


def hours_with(inputs: NetworkInputs, summary: Tensor) -> Tensor:
    """(n, 24, hours + window + summary): the columns of each hour beside what is the same for all hours."""
    same_for_all = torch.cat([inputs.window, summary], dim=1)[:, None].expand(-1, DAY_HOURS, -1)
    return torch.cat([inputs.hours, same_for_all], dim=-1)
