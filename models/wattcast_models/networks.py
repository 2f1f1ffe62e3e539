"""The networks: a global MLP and a global LSTM that forecast three quantiles which never cross."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from wattcast_models.columns import CANDIDATES, LAGS
from wattcast_models.features import SEQUENCE, SEQUENCE_HOURS

QUANTILES = (0.1, 0.5, 0.9)
Kind = Literal["mlp", "lstm"]
KINDS: tuple[Kind, ...] = ("mlp", "lstm")


class Forecaster(nn.Module):
    """Encodes the last week, then reads each target hour with it; all in scaled units of the row.

    The median is a weighted mean of past hours worth repeating plus a correction, so an untrained network already
    repeats the past and a trained one says which past, and by how much today differs.
    """

    def __init__(self, kind: Kind, features: int, hidden: int, summary: int) -> None:
        super().__init__()
        encoders = {"mlp": MlpEncoder, "lstm": LstmEncoder}
        self.encoder: nn.Module = encoders[kind](summary)
        self.body = nn.Sequential(
            nn.Linear(summary + features, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU()
        )
        self.head = nn.Linear(hidden, len(CANDIDATES) + 3)
        with torch.no_grad():
            self.head.weight *= 0.1
            self.head.bias.zero_()
            self.head.bias[[LAGS.index("week_1"), len(LAGS)]] = 1.0

    def forward(self, sequence: Tensor, leads: Tensor, candidates: Tensor, missing: Tensor) -> Tensor:
        """Scaled quantiles (n, leads, 3) in ascending order."""
        summary = self.encoder(sequence)  # (n, summary)
        repeated = summary[:, None, :].expand(-1, leads.shape[1], -1)  # (n, leads, summary)
        out = self.head(self.body(torch.cat([repeated, leads], dim=-1)))  # (n, leads, candidates + 3)
        score, correction, widths = torch.split(out, [len(CANDIDATES), 1, 2], dim=-1)
        weight = score.masked_fill(missing, -1e4).softmax(dim=-1)  # (n, leads, candidates)
        median = (weight * candidates).sum(dim=-1, keepdim=True) + correction  # (n, leads, 1)
        width = functional.softplus(widths)  # (n, leads, 2), > 0
        return torch.cat([median - width[..., :1], median, median + width[..., 1:]], dim=-1)  # (n, leads, 3)


class MlpEncoder(nn.Module):
    """The energy of the last week and its mask, through one hidden layer."""

    def __init__(self, summary: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2 * SEQUENCE_HOURS, 128), nn.GELU(), nn.Linear(128, summary), nn.GELU())

    def forward(self, sequence: Tensor) -> Tensor:
        energy = sequence[..., :2].flatten(start_dim=1)  # (n, hours, channels) -> (n, 2 hours)
        return self.layers(energy)  # type: ignore[no-any-return]  # (n, summary)


class LstmEncoder(nn.Module):
    """Two LSTM layers with 64 units over the hours of the last week."""

    def __init__(self, summary: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(len(SEQUENCE), 64, num_layers=2, batch_first=True)
        self.project = nn.Linear(64, summary)

    def forward(self, sequence: Tensor) -> Tensor:
        states, _ = self.lstm(sequence)  # (n, hours, 64)
        return functional.gelu(self.project(states[:, -1]))  # (n, summary)


def pinball(quantiles: Tensor, actual: Tensor) -> Tensor:
    """The pinball loss summed over the three quantiles, (n, leads); `actual` is (n, leads)."""
    error = actual[..., None] - quantiles  # (n, leads, 3)
    levels = quantiles.new_tensor(QUANTILES)
    return torch.maximum(levels * error, (levels - 1) * error).sum(dim=-1)
