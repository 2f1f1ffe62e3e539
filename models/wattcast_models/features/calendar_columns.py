"""The columns of the clock and the calendar."""

import math

import torch

from wattcast_models.features import calendar as local
from wattcast_models.features.columns import HOUR_COLUMNS, Columns
from wattcast_models.features.grid import Grid


def calendar_columns(grid: Grid) -> Columns:
    """Clock, weekday, season and days off of each target hour, and how far ahead it is."""
    target = grid.target.float()
    hour = 2 * math.pi * target[..., local.HOUR] / 24
    season = 2 * math.pi * target[..., local.DAY_OF_YEAR] / 365.25
    waves = [hour.sin(), hour.cos(), (2 * hour).sin(), (2 * hour).cos()]
    weekdays = [(grid.target[..., local.WEEKDAY] == day).float() for day in range(7)]
    flags = (local.WEEKEND, local.HOLIDAY, local.DAY_OFF, local.OFF_BEFORE, local.OFF_AFTER)
    ahead = [(torch.arange(24) / 24).expand(hour.shape), torch.full_like(hour, grid.days_ahead / 6)]
    columns = [*waves, *weekdays, *(target[..., flag] for flag in flags), *ahead]
    named = dict(zip(HOUR_COLUMNS["calendar"], columns, strict=True))
    return named | {"season_sin": season.sin(), "season_cos": season.cos()}
