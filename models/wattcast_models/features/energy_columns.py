"""The columns of past energy: the candidates, the level of the load, and how far the load deviates from its usual profile."""

import torch
from torch import Tensor

from wattcast_models.features import calendar as local
from wattcast_models.features.columns import HABITS, LAGS, LEVEL_HOURS, LEVELS, PROFILES, Columns
from wattcast_models.features.grid import Grid, weighted_mean


def energy_columns(grid: Grid) -> Columns:
    """The candidates (past hours and their means), where they are missing, and how much hours of the same kind of day differ."""
    return _lag_columns(grid) | _profile_columns(grid)


def _lag_columns(grid: Grid) -> Columns:
    """The same hour 1 to 7 days and 1 to 4 weeks back: its energy, whether it is missing, whether its day is of the same kind.

    A day outside of the context is missing.
    """
    same_kind = grid.same_kind
    columns: Columns = {}
    for name in LAGS:
        row = grid.row_of(name)
        is_inside = 0 <= row < grid.days
        columns[name] = grid.energy[:, row] if is_inside else torch.zeros_like(grid.energy[:, 0])
        columns[f"{name}_missing"] = 1 - grid.present[:, row] if is_inside else torch.ones_like(grid.energy[:, 0])
        columns[f"{name}_same_kind"] = same_kind[:, row] if is_inside else torch.zeros_like(grid.energy[:, 0])
    return columns


def _profile_columns(grid: Grid) -> Columns:
    """Weighted means of the same hour over past days, and the standard deviation over days of the same kind."""
    same_kind = grid.same_kind
    days_ago = torch.arange(grid.days, 0, -1.0)[None, :, None]  # before the origin
    same_weekday = same_kind * (grid.weekday == grid.target[:, None, :, local.WEEKDAY])
    weights = (
        same_kind,
        same_kind * (days_ago <= 14),
        same_kind * torch.exp(-days_ago / 3),
        same_kind * torch.exp(-days_ago / 10),
        same_weekday * (days_ago <= 28),
        same_weekday,
        grid.present * (days_ago <= 7),
    )  # (n, days, 24) each
    columns: Columns = {}
    for name, weight in zip(PROFILES, weights, strict=True):
        columns[name], columns[f"{name}_missing"] = weighted_mean(grid.energy, weight, dim=1)
    squared_error = (grid.energy - columns["kind"][:, None]) ** 2
    columns["kind_spread"] = weighted_mean(squared_error, same_kind, dim=1)[0].sqrt()
    recent = same_kind * torch.exp(-days_ago / 14)
    columns["kind_spread_lately"] = weighted_mean(squared_error, recent, dim=1)[0].sqrt()
    return columns


def level_columns(grid: Grid) -> Columns:
    """How far the load of the last hours, days and weeks lies above its usual course, and the share of hours present."""
    fading = grid.present * torch.exp(-torch.arange(grid.days, 0, -1.0) / 10)[None, :, None]
    usual_on = weighted_mean(grid.energy, fading * (1 - grid.day_off), dim=1)[0]  # (n, 24)
    usual_off = weighted_mean(grid.energy, fading * grid.day_off, dim=1)[0]  # (n, 24)
    usual = torch.where(grid.day_off > 0, usual_off[:, None], usual_on[:, None])  # (n, days, 24)
    above, present = ((grid.energy - usual) * grid.present).flatten(1), grid.present.flatten(1)  # (n, hours)
    hours = above.shape[1]
    columns: Columns = {}
    for name, (newest, oldest) in zip(LEVELS, LEVEL_HOURS, strict=True):
        part = slice(max(hours - oldest, 0), hours - newest)
        columns[name] = weighted_mean(above[:, part], present[:, part], dim=1)[0][:, None]
    columns |= habit_columns((grid.energy - usual) * grid.present, grid.present)
    return columns | {"history": present.mean(dim=1, keepdim=True)}


def habit_columns(above: Tensor, present: Tensor) -> Columns:
    """How this load departs from its usual course, `above` (n, days, 24): for how long, for whole days or single hours, how far.

    A departure that lasts should be repeated in the forecast, one that does not is noise. Buildings differ in this.
    """
    square = weighted_mean(above.flatten(1) ** 2, present.flatten(1), dim=1)[0].clamp(min=1e-6)  # (n,)
    size = weighted_mean(above.flatten(1).abs(), present.flatten(1), dim=1)[0]
    week = weighted_mean(above[:, -7:].flatten(1) ** 2, present[:, -7:].flatten(1), dim=1)[0]
    of_day = weighted_mean(above, present, dim=2)[0]  # (n, days)
    has_day = (present.mean(dim=2) > 0.5).float()

    def autocorrelation(lag_hours: int) -> Tensor:
        values, is_present = above.flatten(1), present.flatten(1)
        both = is_present[:, lag_hours:] * is_present[:, :-lag_hours]
        return weighted_mean(values[:, lag_hours:] * values[:, :-lag_hours], both, dim=1)[0] / square

    values = (
        autocorrelation(1), autocorrelation(24), autocorrelation(168),
        weighted_mean(of_day**2, has_day, dim=1)[0] / square, size / square.sqrt(), square.sqrt(), week.sqrt(),
    )  # fmt: skip
    return {name: value.clamp(-3, 3)[:, None] for name, value in zip(HABITS, values, strict=True)}
