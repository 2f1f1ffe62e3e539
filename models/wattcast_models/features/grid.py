"""The past of a forecast, arranged by day and by hour of the target day, and statistics over it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from wattcast_models.features import calendar as local


@dataclass(frozen=True)
class Grid:
    """The past by day and by hour of the target day, on the local clock; the last day is the one before the origin."""

    energy: Tensor  # (n, days, 24), scaled, 0 where missing
    present: Tensor  # (n, days, 24), 0 or 1
    day_off: Tensor  # (n, days, 24), 0 or 1
    weekday: Tensor  # (n, days, 24), 0 to 6
    target: Tensor  # (n, 24, calendar.COLUMNS)
    days_ahead: int  # of the target day, 0 for the one that begins at the origin

    def to(self, device: str) -> "Grid":
        """A copy on a torch device."""
        return Grid(
            self.energy.to(device),
            self.present.to(device),
            self.day_off.to(device),
            self.weekday.to(device),
            self.target.to(device),
            self.days_ahead,
        )

    @property
    def days(self) -> int:
        return self.energy.shape[1]

    @property
    def same_kind(self) -> Tensor:
        """(n, days, 24): 1 where a past hour was measured and is of the target's kind of day (day off or working day)."""
        return self.present * (self.day_off == self.target[:, None, :, local.DAY_OFF])

    def row_of(self, lag: str) -> int:
        """The row of "day_2" or "week_1"; weeks count from the target day, days from the origin."""
        unit, number = lag.split("_")
        return self.days - int(number) if unit == "day" else self.days - 7 * int(number) + self.days_ahead


def weighted_mean(values: Tensor, weight: Tensor, *, dim: int) -> tuple[Tensor, Tensor]:
    """The weighted mean along `dim`, 0 where the weights are 0; and a flag that is 1 there."""
    total = weight.sum(dim)
    return (values * weight).sum(dim) / total.clamp(min=1e-6), (total <= 1e-6).float()


def recent_mean(values: Tensor, present: Tensor, days: int) -> Tensor:
    """The mean of the last `days` days of values (n, days, 24), as (n, 1)."""
    return weighted_mean(values[:, -days:].flatten(1), present[:, -days:].flatten(1), dim=1)[0][:, None]


def standardised(values: Tensor, middle: float, spread: float) -> tuple[Tensor, Tensor]:
    """(values - middle) / spread, clipped at 5 and 0 where missing; and a flag that is 1 where present."""
    present = torch.isfinite(values)
    return torch.where(present, ((values - middle) / spread).clamp(-5, 5), 0.0), present.float()
