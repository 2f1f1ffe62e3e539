"""The columns that a network reads, by name: what is known of each target hour, and of the whole window.

A column of an hour is (n, 24), one of the window (n, 1); all finite, 0 where missing. `inputs` of an artifact say which
are made, so a model that was trained without weather reads none.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wattcast_models import calendar as local

Columns = dict[str, Tensor]

LARGEST = 30.0  # scaled values beyond it are spikes: as an input they say no more than this

DAY_LAGS, WEEK_LAGS = range(1, 8), range(1, 5)
LAGS = tuple([f"day_{lag}" for lag in DAY_LAGS] + [f"week_{lag}" for lag in WEEK_LAGS])
PROFILES = ("kind", "kind_14d", "kind_fading_3d", "kind_fading_10d", "weekday_28d", "weekday", "last_7d")
CANDIDATES = LAGS + PROFILES
LEVEL_HOURS = ((0, 1), (1, 3), (0, 3), (3, 12), (0, 24), (24, 48), (0, 168), (168, 336), (336, 672))
LEVELS = tuple(f"level_{newest}_{oldest}h" for newest, oldest in LEVEL_HOURS)
HABITS = ("lasts_1h", "lasts_24h", "lasts_168h", "of_whole_days", "of_few_hours", "spread", "spread_7d")

HOUR_COLUMNS = {
    "energy_usage_kwh": (
        *CANDIDATES,
        *(f"{name}_missing" for name in CANDIDATES),
        *(f"{name}_same_kind" for name in LAGS),
        "kind_spread",
        "kind_spread_lately",
    ),
    "calendar": (
        "hour_sin", "hour_cos", "hour_sin_2", "hour_cos_2",
        "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
        "weekend", "holiday", "day_off", "off_before", "off_after", "hour_ahead", "days_ahead",
    ),
    "day_of_year": ("season_sin", "season_cos"),
    "temperature_c": (
        "temperature_day_1", "future_temperature", "future_temperature_missing", "future_temperature_change",
    ),
    "humidity_pct": ("future_humidity", "future_humidity_missing"),
    "occupancy": ("occupancy_day_1", "occupancy_week_1", "occupancy_kind"),
}  # fmt: skip
WINDOW_COLUMNS = {
    "energy_usage_kwh": (*LEVELS, *HABITS, "history"),
    "calendar": (),
    "day_of_year": (),
    "temperature_c": ("temperature_24h", "temperature_168h", "temperature_mean", "temperature_missing"),
    "humidity_pct": ("humidity_24h", "humidity_missing"),
    "occupancy": ("occupancy_24h", "occupancy_168h", "occupancy_missing"),
}


def feature_names(inputs: Sequence[str]) -> list[str]:
    """The columns of the hour, then those of the window, of these inputs in the order in which networks read them."""
    return hour_names(inputs) + window_names(inputs)


def hour_names(inputs: Sequence[str]) -> list[str]:
    return [name for used in inputs for name in HOUR_COLUMNS[used]]


def window_names(inputs: Sequence[str]) -> list[str]:
    return [name for used in inputs for name in WINDOW_COLUMNS[used]]


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
        """This grid on a device of torch."""
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
        """Where a past hour was measured on a day off as the target's, or on a working day as the target's."""
        return self.present * (self.day_off == self.target[:, None, :, local.DAY_OFF])

    def row_of(self, lag: str) -> int:
        """The row of "day_2" or "week_1"; weeks count from the target day, days from the origin."""
        unit, number = lag.split("_")
        return self.days - int(number) if unit == "day" else self.days - 7 * int(number) + self.days_ahead


def calendar_columns(grid: Grid) -> Columns:
    """What the clock and the calendar say of each target hour, and how far ahead it is."""
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


def energy_columns(grid: Grid) -> Columns:
    """The past hours worth repeating, whether they are there and of the same kind of day, and how much they differ."""
    same_kind, days = grid.same_kind, grid.days
    columns: Columns = {}
    for name in LAGS:
        row = grid.row_of(name)
        inside = 0 <= row < days
        columns[name] = grid.energy[:, row] if inside else torch.zeros_like(grid.energy[:, 0])
        columns[f"{name}_missing"] = 1 - grid.present[:, row] if inside else torch.ones_like(grid.energy[:, 0])
        columns[f"{name}_same_kind"] = same_kind[:, row] if inside else torch.zeros_like(grid.energy[:, 0])
    ago = torch.arange(days, 0, -1.0)[None, :, None]  # days before the origin
    same_weekday = same_kind * (grid.weekday == grid.target[:, None, :, local.WEEKDAY])
    weights = (
        same_kind,
        same_kind * (ago <= 14),
        same_kind * torch.exp(-ago / 3),
        same_kind * torch.exp(-ago / 10),
        same_weekday * (ago <= 28),
        same_weekday,
        grid.present * (ago <= 7),
    )
    for name, weight in zip(PROFILES, weights, strict=True):
        columns[name], columns[f"{name}_missing"] = mean(grid.energy, weight, dim=1)
    away = (grid.energy - columns["kind"][:, None]) ** 2
    columns["kind_spread"] = mean(away, same_kind, dim=1)[0].sqrt()
    columns["kind_spread_lately"] = mean(away, same_kind * torch.exp(-ago / 14), dim=1)[0].sqrt()
    return columns


def level_columns(grid: Grid) -> Columns:
    """How far the load of the last hours, days and weeks lies above its usual course, and how much is known."""
    fading = grid.present * torch.exp(-torch.arange(grid.days, 0, -1.0) / 10)[None, :, None]
    usual_on = mean(grid.energy, fading * (1 - grid.day_off), dim=1)[0]  # (n, 24)
    usual_off = mean(grid.energy, fading * grid.day_off, dim=1)[0]
    usual = torch.where(grid.day_off > 0, usual_off[:, None], usual_on[:, None])
    above, present = ((grid.energy - usual) * grid.present).flatten(1), grid.present.flatten(1)  # (n, hours)
    hours = above.shape[1]
    columns: Columns = {}
    for name, (newest, oldest) in zip(LEVELS, LEVEL_HOURS, strict=True):
        part = slice(max(hours - oldest, 0), hours - newest)
        columns[name] = mean(above[:, part], present[:, part], dim=1)[0][:, None]
    columns |= habit_columns((grid.energy - usual) * grid.present, grid.present)
    return columns | {"history": present.mean(dim=1, keepdim=True)}


def habit_columns(above: Tensor, present: Tensor) -> Columns:
    """How this load strays from its usual course, (n, days, 24): for how long, by whole days or by single hours, how far.

    What lasts is worth repeating, what does not is noise: this tells one building from another.
    """
    square = mean(above.flatten(1) ** 2, present.flatten(1), dim=1)[0].clamp(min=1e-6)  # (n,)
    size = mean(above.flatten(1).abs(), present.flatten(1), dim=1)[0]
    week = mean(above[:, -7:].flatten(1) ** 2, present[:, -7:].flatten(1), dim=1)[0]
    of_day = mean(above, present, dim=2)[0]  # (n, days)
    is_day = (present.mean(dim=2) > 0.5).float()

    def lasting(hours: int) -> Tensor:
        """The autocorrelation at this lag."""
        values, known = above.flatten(1), present.flatten(1)
        both = known[:, hours:] * known[:, :-hours]
        return mean(values[:, hours:] * values[:, :-hours], both, dim=1)[0] / square

    values = (
        lasting(1), lasting(24), lasting(168),
        mean(of_day**2, is_day, dim=1)[0] / square, size / square.sqrt(), square.sqrt(), week.sqrt(),
    )  # fmt: skip
    return {name: value.clamp(-3, 3)[:, None] for name, value in zip(HABITS, values, strict=True)}


def temperature_columns(past: Tensor, future: Tensor, grid: Grid) -> Columns:
    """Temperature of the last day and weeks and, when forecast, of the target hour: how it differs from usual.

    `past` is (n, days, 24) and `future` (n, 24) deg C, NaN where missing.
    """
    value, seen = standard(past, 10, 10)
    ahead, known = standard(future, 10, 10)
    usual, unusual = mean(value, seen * grid.same_kind, dim=1)  # (n, 24): on the days that the profile is made of
    return {
        "temperature_day_1": value[:, -1],
        "future_temperature": ahead,
        "future_temperature_missing": 1 - known,
        "future_temperature_change": (ahead - usual) * known * (1 - unusual),
        "temperature_24h": _lately(value, seen, 1),
        "temperature_168h": _lately(value, seen, 7),
        "temperature_mean": _lately(value, seen, grid.days),
        "temperature_missing": 1 - seen.amax(dim=(1, 2))[:, None],
    }


def humidity_columns(past: Tensor, future: Tensor) -> Columns:
    """Humidity of the last day and, when forecast, of the target hour; `past` (n, days, 24), `future` (n, 24), %."""
    value, seen = standard(past[:, -1:], 70, 30)
    ahead, known = standard(future, 70, 30)
    return {
        "future_humidity": ahead,
        "future_humidity_missing": 1 - known,
        "humidity_24h": _lately(value, seen, 1),
        "humidity_missing": 1 - seen.amax(dim=(1, 2))[:, None],
    }


def occupancy_columns(past: Tensor, grid: Grid) -> Columns:
    """Occupancy as a share of the window's own mean; `past` is (n, days, 24) people."""
    seen = torch.isfinite(past).float()
    people = past.nan_to_num()
    usual = mean(people.flatten(1), seen.flatten(1), dim=1)[0].clamp(min=0.1)[:, None, None]
    share = (people / usual).clamp(0, LARGEST) * seen
    row = grid.row_of("week_1")
    return {
        "occupancy_day_1": share[:, -1],
        "occupancy_week_1": share[:, row] if row >= 0 else torch.zeros_like(share[:, 0]),
        "occupancy_kind": mean(share, seen * grid.same_kind, dim=1)[0],
        "occupancy_24h": _lately(share, seen, 1),
        "occupancy_168h": _lately(share, seen, 7),
        "occupancy_missing": 1 - seen.amax(dim=(1, 2))[:, None],
    }


def mean(values: Tensor, weight: Tensor, *, dim: int) -> tuple[Tensor, Tensor]:
    """The weighted mean along `dim`, 0 where there is no weight, and 1 where there is none."""
    total = weight.sum(dim)
    return (values * weight).sum(dim) / total.clamp(min=1e-6), (total <= 1e-6).float()


def standard(values: Tensor, middle: float, spread: float) -> tuple[Tensor, Tensor]:
    """Values in network units, 0 where missing, and 1 where present."""
    present = torch.isfinite(values)
    return torch.where(present, ((values - middle) / spread).clamp(-5, 5), 0.0), present.float()


def _lately(values: Tensor, present: Tensor, days: int) -> Tensor:
    return mean(values[:, -days:].flatten(1), present[:, -days:].flatten(1), dim=1)[0][:, None]
