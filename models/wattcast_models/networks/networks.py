"""The networks: global forecasters of the quantiles of a day, and their ensemble.

All read the same `NetworkInputs` and end in the same head, so that quantiles never cross. They differ in how they look at the
past. The names of the layers are keys of the saved weights.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from wattcast_models.features.network_inputs import NetworkInputs
from wattcast_models.networks.layers import (
    MASKED,
    PAST_HOUR_VALUES,
    WEEK_DAYS,
    Head,
    Sizes,
    hourly_body,
    hours_with,
    last_week,
    past_hours,
    residual_block,
    whole_day,
)
from wattcast_models.time_units import DAY_HOURS

ENSEMBLE = "ensemble"


class MlpNetwork(nn.Module):
    """The last week through one hidden layer, then each target hour with that summary."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        week = 2 * WEEK_DAYS * DAY_HOURS
        self.encoder = nn.Sequential(nn.Linear(week, 128), nn.GELU(), nn.Linear(128, sizes.summary), nn.GELU())
        self.body = hourly_body(sizes.hours + sizes.window + sizes.summary, sizes)
        self.head = Head(sizes.hidden, 1, sizes.quantiles)

    def forward(self, inputs: NetworkInputs) -> Tensor:
        """Scaled quantiles, (n, 24, quantiles), ascending."""
        summary = self.encoder(last_week(inputs).flatten(1))  # (n, summary)
        state = self.body(hours_with(inputs, summary))  # (n, 24, hidden)
        forecast: Tensor = self.head(state, inputs)
        return forecast


class LstmNetwork(nn.Module):
    """The last week through two LSTM layers of 64 units, then each target hour with their last state."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.lstm = nn.LSTM(2, 64, num_layers=2, batch_first=True)
        self.project = nn.Linear(64, sizes.summary)
        self.body = hourly_body(sizes.hours + sizes.window + sizes.summary, sizes)
        self.head = Head(sizes.hidden, 1, sizes.quantiles)

    def forward(self, inputs: NetworkInputs) -> Tensor:
        """Scaled quantiles, (n, 24, quantiles), ascending."""
        states, _ = self.lstm(last_week(inputs).flatten(1, 2))  # (n, 168, 64)
        summary = functional.gelu(self.project(states[:, -1]))  # (n, summary)
        state = self.body(hours_with(inputs, summary))  # (n, 24, hidden)
        forecast: Tensor = self.head(state, inputs)
        return forecast


class ProfileNetwork(nn.Module):
    """All columns of the day through residual layers to all its hours together."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.enter = nn.Linear(DAY_HOURS * sizes.hours + sizes.window, sizes.hidden)
        self.layers = nn.ModuleList(residual_block(sizes) for _ in range(2))
        self.head = Head(sizes.hidden, DAY_HOURS, sizes.quantiles)

    def forward(self, inputs: NetworkInputs) -> Tensor:
        """Scaled quantiles, (n, 24, quantiles), ascending."""
        state = functional.gelu(self.enter(whole_day(inputs)))  # (n, hidden)
        for layer in self.layers:
            state = state + layer(state)
        forecast: Tensor = self.head(state, inputs)
        return forecast


class AttentionNetwork(nn.Module):
    """Each target hour attends to the same hour of every past day; the values are the past energies."""

    HEADS = 4

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width = sizes.summary
        self.ask = nn.Linear(sizes.hours + sizes.window, width)  # the query
        self.key = nn.Sequential(nn.Linear(PAST_HOUR_VALUES, width), nn.GELU(), nn.Linear(width, width))
        self.body = hourly_body(sizes.hours + sizes.window + sizes.summary + self.HEADS, sizes)
        self.head = Head(sizes.hidden, 1, sizes.quantiles)

    def forward(self, inputs: NetworkInputs) -> Tensor:
        """Scaled quantiles, (n, 24, quantiles), ascending."""
        hours = hours_with(inputs, inputs.window[:, :0])  # (n, 24, hours + window)
        keys = self.key(past_hours(inputs)).unflatten(-1, (self.HEADS, -1))  # (n, days, 24, heads, width)
        query = self.ask(hours).unflatten(-1, (self.HEADS, -1))[:, None]  # (n, 1, 24, heads, width)
        score = (keys * query).sum(dim=-1) / keys.shape[-1] ** 0.5  # (n, days, 24, heads)
        weight = score.masked_fill(inputs.grid.present[..., None] == 0, MASKED).softmax(dim=1)
        energy = (weight * inputs.grid.energy[..., None]).sum(dim=1)  # (n, 24, heads)
        summary = (weight[..., None] * keys).sum(dim=1).flatten(-2)  # (n, 24, summary)
        state = self.body(torch.cat([hours, summary, energy], dim=-1))  # (n, 24, hidden)
        forecast: Tensor = self.head(state, inputs)
        return forecast


class Ensemble(nn.Module):
    """The mean of the members' quantiles, which keeps their order."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, inputs: NetworkInputs) -> Tensor:
        """Scaled quantiles, (n, 24, quantiles), ascending."""
        return torch.stack([member(inputs) for member in self.members]).mean(dim=0)


NETWORKS: dict[str, Callable[[Sizes], nn.Module]] = {
    "mlp": MlpNetwork,
    "lstm": LstmNetwork,
    "profile": ProfileNetwork,
    "attention": AttentionNetwork,
}
KINDS = tuple(NETWORKS)


def build(config: Mapping[str, Any], *, hours: int, window: int, quantiles: Sequence[float]) -> nn.Module:
    """The untrained network of a config: {"kind", "hidden", "summary", "dropout"}, or an ensemble of such "members".

    `hours` and `window` are the numbers of columns. Raises KeyError or TypeError for a config of another form.
    """
    if config["kind"] == ENSEMBLE:
        members = config["members"]
        return Ensemble([build(member, hours=hours, window=window, quantiles=quantiles) for member in members])
    sizes = {name: config[name] for name in ("hidden", "summary", "dropout")}
    return NETWORKS[config["kind"]](Sizes(hours, window, tuple(quantiles), **sizes))


def ensemble_members(network: nn.Module) -> list[nn.Module]:
    """The members of an ensemble; for any other network a list of the network alone."""
    return list(network.members) if isinstance(network, Ensemble) else [network]
