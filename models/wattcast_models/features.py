"""Raw arrays to network inputs: each row scaled by its own past, the past by day and hour, the local calendar."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wattcast_models import calendar as local
from wattcast_models.columns import (
    CANDIDATES,
    LARGEST,
    Grid,
    calendar_columns,
    energy_columns,
    hour_names,
    humidity_columns,
    level_columns,
    occupancy_columns,
    temperature_columns,
    window_names,
)

Inputs = Mapping[str, NDArray[Any]]
CalendarAt = Callable[[Inputs, NDArray[np.int64]], Tensor]

CONTEXT_INPUTS = ("energy_usage_kwh", "temperature_c", "humidity_pct", "occupancy")  # (n, context hours)
FUTURE_INPUTS = ("future_temperature_c", "future_humidity_pct")  # (n, lead hours)
PLACE_INPUTS = ("timezone", "country", "closures")  # (n,)

DAY_HOURS = 24


@dataclass(frozen=True)
class Features:
    """What a network reads of n forecasts of one target day; every value finite."""

    grid: Grid
    hours: Tensor  # (n, 24, columns): what is known of each target hour
    window: Tensor  # (n, columns): what is known of the whole
    candidates: Tensor  # (n, 24, len(CANDIDATES)): scaled past values and means at that hour; 0 where missing
    missing: Tensor  # (n, 24, len(CANDIDATES)), bool
    loc: Tensor  # (n, 1) kWh
    scale: Tensor  # (n, 1) kWh, > 0

    @property
    def first_hour(self) -> Tensor:
        """The hour of the local clock at which the target day begins, (n,)."""
        return self.grid.target[:, 0, local.HOUR].long()

    def to(self, device: str) -> "Features":
        """These features on a device of torch."""
        moved = {name: part.to(device) for name, part in vars(self).items()}
        return replace(self, **moved)


def features(inputs: Inputs, *, inputs_used: Sequence[str], context_hours: int, day: int = 0) -> Features:
    """The network inputs for the hours origin + 24 day to origin + 24 day + 23, made of hours before the origin and of
    forecast weather only. `context_hours` is a multiple of 24."""
    (made,) = features_by_day(inputs, inputs_used=inputs_used, context_hours=context_hours, days=[day])
    return made


def calendar_at(inputs: Inputs, offsets: NDArray[np.int64]) -> Tensor:
    """The local calendar of the hours at origin + offsets, (n, offsets, local.COLUMNS), int16."""
    origin = np.asarray(inputs["origin"]).astype("datetime64[h]").astype(np.int64)[:, None]  # (n, 1)
    places = ([str(value or "") for value in inputs[name]] for name in PLACE_INPUTS)
    return torch.from_numpy(local.local_calendar(origin + offsets, *places))


def features_by_day(
    inputs: Inputs,
    *,
    inputs_used: Sequence[str],
    context_hours: int,
    days: Iterable[int],
    calendar: CalendarAt = calendar_at,
) -> Iterator[Features]:
    """`features` of several target days, with what they have in common made once; `calendar` may assume another one."""
    context = {name: _tail(inputs[name], context_hours) for name in CONTEXT_INPUTS}  # (n, C) each
    energy, present, loc, scale = normalise(context["energy_usage_kwh"])
    past = calendar(inputs, np.arange(-context_hours, 0))  # (n, C, columns)
    for day in days:
        target = calendar(inputs, DAY_HOURS * day + np.arange(DAY_HOURS))  # (n, 24, columns)
        at = _same_clock(past, target)
        grid = Grid(
            energy=_by_day(energy, at),
            present=_by_day(present.float(), at),
            day_off=_by_day(past[..., local.DAY_OFF].float(), at),
            weekday=_by_day(past[..., local.WEEKDAY], at),
            target=target,
            days_ahead=day,
        )
        series = {name: _by_day(context[name], at, outside=torch.nan) for name in CONTEXT_INPUTS[1:]}
        future = {name: _day(inputs[name], day) for name in FUTURE_INPUTS}  # (n, 24) each
        made = calendar_columns(grid) | energy_columns(grid) | level_columns(grid)
        made |= temperature_columns(series["temperature_c"], future["future_temperature_c"], grid)
        made |= humidity_columns(series["humidity_pct"], future["future_humidity_pct"])
        made |= occupancy_columns(series["occupancy"], grid)
        yield Features(
            grid=grid,
            hours=torch.stack([made[name] for name in hour_names(inputs_used)], dim=-1),
            window=torch.cat([made[name] for name in window_names(inputs_used)], dim=1),
            candidates=torch.stack([made[name] for name in CANDIDATES], dim=-1),
            missing=torch.stack([made[f"{name}_missing"] for name in CANDIDATES], dim=-1) > 0,
            loc=loc,
            scale=scale,
        )


def normalise(energy: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Energy (n, hours) as (scaled, present, loc, scale); missing hours are 0. Inverse: scaled * scale + loc.

    loc is the median and scale the mean distance from it without the outer 1 % of hours at either end, at least 1 % of
    the median's size and 1e-4 kWh, so that a flat meter and one wild reading both give sober values.
    """
    present = torch.isfinite(energy)
    count = present.sum(dim=1, keepdim=True)
    finite_first = np.sort(torch.where(present, energy, torch.inf).numpy(), axis=1)  # 8 times as fast as torch here
    ordered = torch.from_numpy(finite_first).double()
    low, high = (ordered.gather(1, ((count - 1 + up) // 2).clamp(min=0)) for up in (0, 1))
    loc = torch.where(count > 0, (low + high) / 2, 0.0)  # (n, 1)
    rank = torch.arange(energy.shape[1])[None, :]
    is_inner = (rank >= count // 100) & (rank < count - count // 100)
    distance = torch.where(is_inner, (ordered - loc).abs(), 0.0).sum(dim=1, keepdim=True)
    scale = torch.maximum(distance / is_inner.sum(dim=1, keepdim=True).clamp(min=1), 0.01 * loc.abs() + 1e-4)
    scaled = torch.where(present, ((energy - loc) / scale).clamp(-LARGEST, LARGEST), 0.0).float()
    return scaled, present, loc, scale


def _tail(values: NDArray[Any], hours: int) -> Tensor:
    """The last `hours` columns as float32, infinite as missing, filled up on the left with NaN when there are fewer."""
    last = torch.from_numpy(np.array(values[:, -hours:], np.float32))
    last[~torch.isfinite(last)] = torch.nan
    return torch.nn.functional.pad(last, (hours - last.shape[1], 0), value=torch.nan)


def _day(values: NDArray[Any], day: int) -> Tensor:
    """The hours of a target day as (n, 24), NaN beyond the last."""
    part = torch.from_numpy(np.array(values[:, DAY_HOURS * day : DAY_HOURS * (day + 1)], np.float32))
    return torch.nn.functional.pad(part, (0, DAY_HOURS - part.shape[1]), value=torch.nan)


def _same_clock(past: Tensor, target: Tensor) -> Tensor | None:
    """Where in the past, (n, hours), the target hours' local times lie on each day; None: where they lie in UTC too.

    A clock change in between moves them by the hour that it moved; -1 is outside of what came before the origin.
    """
    hours = past.shape[1]
    moved = target[:, None, :, local.OFFSET_HOURS] - past[..., local.OFFSET_HOURS].reshape(len(past), -1, DAY_HOURS)
    if not moved.any():
        return None
    at = torch.arange(hours)[None] + moved.flatten(1)
    return torch.where((at >= 0) & (at < hours), at, -1)


def _by_day(values: Tensor, at: Tensor | None, *, outside: float = 0) -> Tensor:
    """(n, hours) as (n, days, 24), `outside` where the hour lies outside of the past."""
    if at is not None:
        values = torch.where(at >= 0, values.gather(1, at.clamp(min=0)), outside)
    return values.reshape(len(values), -1, DAY_HOURS)
