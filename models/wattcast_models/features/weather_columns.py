"""The columns of temperature, humidity and occupancy."""

import torch
from torch import Tensor

from wattcast_models.features.columns import MAX_SCALED, Columns
from wattcast_models.features.grid import Grid, recent_mean, standardised, weighted_mean


def temperature_columns(past: Tensor, future: Tensor, grid: Grid) -> Columns:
    """Temperature of the last day and weeks and, where forecast, of the target hour, and how that differs from usual.

    `past` is (n, days, 24) and `future` (n, 24) deg C, NaN where missing.
    """
    value, is_present = standardised(past, 10, 10)
    forecast, has_forecast = standardised(future, 10, 10)
    usual, has_no_usual = weighted_mean(
        value, is_present * grid.same_kind, dim=1
    )  # (n, 24), over days of the same kind
    return {
        "temperature_day_1": value[:, -1],
        "future_temperature": forecast,
        "future_temperature_missing": 1 - has_forecast,
        "future_temperature_change": (forecast - usual) * has_forecast * (1 - has_no_usual),
        "temperature_24h": recent_mean(value, is_present, 1),
        "temperature_168h": recent_mean(value, is_present, 7),
        "temperature_mean": recent_mean(value, is_present, grid.days),
        "temperature_missing": 1 - is_present.amax(dim=(1, 2))[:, None],
    }


def humidity_columns(past: Tensor, future: Tensor) -> Columns:
    """Humidity of the last day and, where forecast, of the target hour; `past` (n, days, 24), `future` (n, 24), %."""
    value, is_present = standardised(past[:, -1:], 70, 30)
    forecast, has_forecast = standardised(future, 70, 30)
    return {
        "future_humidity": forecast,
        "future_humidity_missing": 1 - has_forecast,
        "humidity_24h": recent_mean(value, is_present, 1),
        "humidity_missing": 1 - is_present.amax(dim=(1, 2))[:, None],
    }


def occupancy_columns(past: Tensor, grid: Grid) -> Columns:
    """Occupancy as a share of the window's own mean; `past` is (n, days, 24) people."""
    is_present = torch.isfinite(past).float()
    people = past.nan_to_num()
    usual = weighted_mean(people.flatten(1), is_present.flatten(1), dim=1)[0].clamp(min=0.1)[:, None, None]
    share = (people / usual).clamp(0, MAX_SCALED) * is_present
    row = grid.row_of("week_1")
    return {
        "occupancy_day_1": share[:, -1],
        "occupancy_week_1": share[:, row] if row >= 0 else torch.zeros_like(share[:, 0]),
        "occupancy_kind": weighted_mean(share, is_present * grid.same_kind, dim=1)[0],
        "occupancy_24h": recent_mean(share, is_present, 1),
        "occupancy_168h": recent_mean(share, is_present, 7),
        "occupancy_missing": 1 - is_present.amax(dim=(1, 2))[:, None],
    }
