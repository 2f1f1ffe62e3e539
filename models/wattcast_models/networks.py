"""The networks: global forecasters of the quantiles of a day, which never cross, and their ensemble.

All read the same `Features` and end in the same head; they differ in how they look at the past.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from wattcast_models import calendar as local
from wattcast_models.columns import CANDIDATES
from wattcast_models.features import Features

TOKEN = 6  # what is told of a past hour
MEDIAN = 0.5
QUANTILES = (0.1, MEDIAN, 0.9)  # what every model forecasts; one may forecast others besides
ENSEMBLE = "ensemble"
WEEK_DAYS, DAY_HOURS = 7, 24
REPEATED_FIRST = ("week_1", "kind")  # what an untrained network repeats


@dataclass(frozen=True)
class Sizes:
    """How many columns there are, of an hour and of the window, and how large the layers between are."""

    hours: int
    window: int
    quantiles: tuple[float, ...]
    hidden: int
    summary: int
    dropout: float


class MlpNetwork(nn.Module):
    """The last week through one hidden layer, then each target hour with what came out."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        week = 2 * WEEK_DAYS * DAY_HOURS
        self.encoder = nn.Sequential(nn.Linear(week, 128), nn.GELU(), nn.Linear(128, sizes.summary), nn.GELU())
        self.body = _body(sizes.hours + sizes.window + sizes.summary, sizes)
        self.head = Head(sizes.hidden, 1, sizes.quantiles)

    def forward(self, made: Features) -> Tensor:
        """Scaled quantiles, (n, 24, quantiles), ascending."""
        forecast: Tensor = self.head(self.body(_each_hour(made, self.encoder(_last_week(made).flatten(1)))), made)
        return forecast


class LstmNetwork(nn.Module):
    """The last week through two LSTM layers of 64 units, then each target hour with their last state."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.lstm = nn.LSTM(2, 64, num_layers=2, batch_first=True)
        self.project = nn.Linear(64, sizes.summary)
        self.body = _body(sizes.hours + sizes.window + sizes.summary, sizes)
        self.head = Head(sizes.hidden, 1, sizes.quantiles)

    def forward(self, made: Features) -> Tensor:
        """Scaled quantiles, (n, 24, quantiles), ascending."""
        states, _ = self.lstm(_last_week(made).flatten(1, 2))  # (n, 168, 64)
        forecast: Tensor = self.head(self.body(_each_hour(made, functional.gelu(self.project(states[:, -1])))), made)
        return forecast


class ProfileNetwork(nn.Module):
    """All columns of the day at once, through residual layers, to all its hours at once."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.enter = nn.Linear(DAY_HOURS * sizes.hours + sizes.window, sizes.hidden)
        self.layers = nn.ModuleList(_residual(sizes) for _ in range(2))
        self.head = Head(sizes.hidden, DAY_HOURS, sizes.quantiles)

    def forward(self, made: Features) -> Tensor:
        """Scaled quantiles, (n, 24, quantiles), ascending."""
        state = functional.gelu(self.enter(_whole_day(made)))  # (n, hidden)
        for layer in self.layers:
            state = state + layer(state)
        forecast: Tensor = self.head(state, made)
        return forecast


class AttentionNetwork(nn.Module):
    """Each target hour asks the same hour of every past day how alike it is, and repeats what the likest were."""

    HEADS = 4

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.ask = nn.Linear(sizes.hours + sizes.window, sizes.summary)
        self.key = nn.Sequential(nn.Linear(TOKEN, sizes.summary), nn.GELU(), nn.Linear(sizes.summary, sizes.summary))
        self.body = _body(sizes.hours + sizes.window + sizes.summary + self.HEADS, sizes)
        self.head = Head(sizes.hidden, 1, sizes.quantiles)

    def forward(self, made: Features) -> Tensor:
        """Scaled quantiles, (n, 24, quantiles), ascending."""
        known = _each_hour(made, made.window[:, :0])  # (n, 24, hours + window)
        keys = self.key(_same_hours(made)).unflatten(-1, (self.HEADS, -1))  # (n, days, 24, heads, width)
        asked = self.ask(known).unflatten(-1, (self.HEADS, -1))[:, None]  # (n, 1, 24, heads, width)
        alike = (keys * asked).sum(dim=-1) / keys.shape[-1] ** 0.5  # (n, days, 24, heads)
        weight = alike.masked_fill(made.grid.present[..., None] == 0, -1e4).softmax(dim=1)
        repeated = (weight * made.grid.energy[..., None]).sum(dim=1)  # (n, 24, heads)
        seen = (weight[..., None] * keys).sum(dim=1).flatten(-2)  # (n, 24, summary)
        forecast: Tensor = self.head(self.body(torch.cat([known, seen, repeated], dim=-1)), made)
        return forecast


class Ensemble(nn.Module):
    """The mean of the members' quantiles, which keeps their order."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, made: Features) -> Tensor:
        """Scaled quantiles, (n, 24, quantiles), ascending."""
        return torch.stack([member(made) for member in self.members]).mean(dim=0)


def members(network: nn.Module) -> list[nn.Module]:
    """The networks of an ensemble; of a single one itself."""
    return list(network.members) if isinstance(network, Ensemble) else [network]


class Head(nn.Module):
    """The median is a weighted mean of past hours worth repeating plus a correction; the others lie around it.

    So an untrained network already repeats the past, and a trained one says which past, and by how much today differs.
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
            self.out.bias.view(hours, outputs)[:, [CANDIDATES.index(name) for name in REPEATED_FIRST]] = 1.0

    def forward(self, state: Tensor, made: Features) -> Tensor:
        """`state` is (n, 24, hidden) for a head of one hour, (n, hidden) for one of a day; gives (n, 24, quantiles)."""
        out = self.out(state).view(len(state), DAY_HOURS, -1)
        if state.dim() == 2:
            out = _rolled(out, made.first_hour)
        score, correction, below, above = out.split([len(CANDIDATES), 1, self.below, self.above], dim=-1)
        weight = score.masked_fill(made.missing, -1e4).softmax(dim=-1)  # (n, 24, candidates)
        median = (weight * made.candidates).sum(dim=-1, keepdim=True) + correction  # (n, 24, 1)
        down, up = (functional.softplus(steps).cumsum(dim=-1) for steps in (below, above))  # outwards, > 0
        return torch.cat([median - down.flip(-1), median, median + up], dim=-1)


NETWORKS: dict[str, Callable[[Sizes], nn.Module]] = {
    "mlp": MlpNetwork,
    "lstm": LstmNetwork,
    "profile": ProfileNetwork,
    "attention": AttentionNetwork,
}
KINDS = tuple(NETWORKS)


def build(config: Mapping[str, Any], *, hours: int, window: int, quantiles: Sequence[float]) -> nn.Module:
    """The untrained network of a config: {"kind", "hidden", "summary", "dropout"}, or an ensemble of such "members".

    `hours` and `window` are the numbers of columns. Raises KeyError or TypeError for a config that is none.
    """
    if config["kind"] == ENSEMBLE:
        each = [build(member, hours=hours, window=window, quantiles=quantiles) for member in config["members"]]
        return Ensemble(each)
    known = {name: config[name] for name in ("hidden", "summary", "dropout")}
    return NETWORKS[config["kind"]](Sizes(hours, window, tuple(quantiles), **known))


def pinball(forecast: Tensor, actual: Tensor, quantiles: Sequence[float]) -> Tensor:
    """The mean pinball loss of the quantiles, (n, hours), for a forecast (n, hours, quantiles) of `actual` (n, hours)."""
    error = actual[..., None] - forecast
    levels = forecast.new_tensor(quantiles)
    return torch.maximum(levels * error, (levels - 1) * error).mean(dim=-1)


def _whole_day(made: Features) -> Tensor:
    """(n, 24 columns + window): the columns of all hours from local midnight on, whenever the day begins."""
    return torch.cat([_rolled(made.hours, -made.first_hour).flatten(1), made.window], dim=1)


def _rolled(values: Tensor, by: Tensor) -> Tensor:
    """(n, 24, columns) with hour h taken from hour h + `by`, (n,), round the clock."""
    at = (torch.arange(DAY_HOURS, device=values.device) + by[:, None]) % DAY_HOURS  # (n, 24)
    return values.gather(1, at[..., None].expand_as(values))


def _last_week(made: Features) -> Tensor:
    """(n, 7, 24, 2): the energy of the last week and where it is present."""
    return torch.stack([made.grid.energy[:, -WEEK_DAYS:], made.grid.present[:, -WEEK_DAYS:]], dim=-1)


def _same_hours(made: Features) -> Tensor:
    """(n, days, 24, TOKEN): each past hour, whether it is there and of the same kind and weekday, its day's mean, its age."""
    grid = made.grid
    same_weekday = (grid.weekday == grid.target[:, None, :, local.WEEKDAY]).float()
    of_day = grid.energy.mean(dim=2, keepdim=True).expand_as(grid.energy)
    ago = torch.arange(grid.days, 0, -1.0, device=grid.energy.device).log()[None, :, None].expand_as(grid.energy)
    return torch.stack([grid.energy, grid.present, grid.same_kind, same_weekday, of_day, ago], dim=-1)


def _each_hour(made: Features, summary: Tensor) -> Tensor:
    """(n, 24, hours + window + summary): the columns of each hour with what is the same for all hours."""
    whole = torch.cat([made.window, summary], dim=1)[:, None].expand(-1, DAY_HOURS, -1)
    return torch.cat([made.hours, whole], dim=-1)


def _body(inputs: int, sizes: Sizes) -> nn.Sequential:
    wide = sizes.hidden
    return nn.Sequential(
        nn.Linear(inputs, wide), nn.GELU(), nn.Dropout(sizes.dropout), nn.Linear(wide, wide), nn.GELU()
    )


def _residual(sizes: Sizes) -> nn.Sequential:
    wide = sizes.hidden
    drop = nn.Dropout(sizes.dropout)
    return nn.Sequential(nn.LayerNorm(wide), nn.Linear(wide, wide), nn.GELU(), drop, nn.Linear(wide, wide))
