"""Raw inputs to network inputs: each row scaled by its own past, the past by day and hour, and the local calendar."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wattcast_models.features import calendar as local
from wattcast_models.features.calendar_columns import calendar_columns
from wattcast_models.features.columns import CANDIDATES, MAX_SCALED, Columns, hour_names, window_names
from wattcast_models.features.energy_columns import energy_columns, level_columns
from wattcast_models.features.grid import Grid
from wattcast_models.features.raw_inputs import CONTEXT_INPUTS, FUTURE_INPUTS, CalendarAt, Inputs, calendar_at
from wattcast_models.features.weather_columns import humidity_columns, occupancy_columns, temperature_columns
from wattcast_models.time_units import DAY_HOURS


@dataclass(frozen=True)
class NetworkInputs:
    """What a network reads for n forecasts of one target day. Every value is finite."""

    grid: Grid
    hours: Tensor  # (n, 24, columns): the columns of each target hour
    window: Tensor  # (n, columns): the columns of the window as a whole
    candidates: Tensor  # (n, 24, len(CANDIDATES)): scaled past values and means at that hour; 0 where missing
    missing: Tensor  # (n, 24, len(CANDIDATES)), bool
    loc: Tensor  # (n, 1) kWh
    scale: Tensor  # (n, 1) kWh, > 0

    @property
    def first_hour(self) -> Tensor:
        """The hour of the local clock at which the target day begins, (n,)."""
        return self.grid.target[:, 0, local.HOUR].long()

    def to(self, device: str) -> "NetworkInputs":
        """A copy on a torch device."""
        moved = {name: part.to(device) for name, part in vars(self).items()}
        return replace(self, **moved)


def network_inputs(inputs: Inputs, *, inputs_used: Sequence[str], context_hours: int, day: int = 0) -> NetworkInputs:
    """The network inputs for the hours origin + 24 day to origin + 24 day + 23.

    They depend on hours before the origin and on forecast weather only. `context_hours` is a multiple of 24.
    """
    (result,) = network_inputs_by_day(inputs, inputs_used=inputs_used, context_hours=context_hours, days=[day])
    return result


def network_inputs_by_day(
    inputs: Inputs,
    *,
    inputs_used: Sequence[str],
    context_hours: int,
    days: Iterable[int],
    calendar: CalendarAt = calendar_at,
) -> Iterator[NetworkInputs]:
    """`network_inputs` of several target days, which share the scaled context.

    `calendar` may be replaced, to ask what the network would forecast under another calendar.
    """
    context = {name: _last_hours(inputs[name], context_hours) for name in CONTEXT_INPUTS}  # (n, C) each
    energy, present, loc, scale = normalise(context["energy_usage_kwh"])
    past = calendar(inputs, np.arange(-context_hours, 0))  # (n, C, calendar columns)
    for day in days:
        target = calendar(inputs, DAY_HOURS * day + np.arange(DAY_HOURS))  # (n, 24, calendar columns)
        positions = _same_clock_positions(past, target)
        grid = Grid(
            energy=_by_day(energy, positions),
            present=_by_day(present.float(), positions),
            day_off=_by_day(past[..., local.DAY_OFF].float(), positions),
            weekday=_by_day(past[..., local.WEEKDAY], positions),
            target=target,
            days_ahead=day,
        )
        series = {name: _by_day(context[name], positions, outside=torch.nan) for name in CONTEXT_INPUTS[1:]}
        future = {name: _target_day(inputs[name], day) for name in FUTURE_INPUTS}  # (n, 24) each
        columns = _columns(grid, series, future)
        yield NetworkInputs(
            grid=grid,
            hours=torch.stack([columns[name] for name in hour_names(inputs_used)], dim=-1),
            window=torch.cat([columns[name] for name in window_names(inputs_used)], dim=1),
            candidates=torch.stack([columns[name] for name in CANDIDATES], dim=-1),
            missing=torch.stack([columns[f"{name}_missing"] for name in CANDIDATES], dim=-1) > 0,
            loc=loc,
            scale=scale,
        )


def _columns(grid: Grid, series: dict[str, Tensor], future: dict[str, Tensor]) -> Columns:
    """All columns by name; `series` are (n, days, 24) and `future` (n, 24), NaN where missing."""
    return (
        calendar_columns(grid)
        | energy_columns(grid)
        | level_columns(grid)
        | temperature_columns(series["temperature_c"], future["future_temperature_c"], grid)
        | humidity_columns(series["humidity_pct"], future["future_humidity_pct"])
        | occupancy_columns(series["occupancy"], grid)
    )


def normalise(energy: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Energy (n, hours) as (scaled, present, loc, scale); missing hours are 0. Inverse: scaled * scale + loc.

    loc is the median, and scale the mean distance from it without the outer 1 % of hours at either end, so that an outlier
    hardly moves them. The scale is at least 1 % of the median's size plus 1e-4 kWh, so that the scaled load of a
    flat meter stays finite.
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
    scaled = torch.where(present, ((energy - loc) / scale).clamp(-MAX_SCALED, MAX_SCALED), 0.0).float()
    return scaled, present, loc, scale


def _last_hours(values: NDArray[Any], hours: int) -> Tensor:
    """The last `hours` columns as float32. Infinite values are missing; a shorter context is padded with NaN on the left."""
    last = torch.from_numpy(np.array(values[:, -hours:], np.float32))
    last[~torch.isfinite(last)] = torch.nan
    return torch.nn.functional.pad(last, (hours - last.shape[1], 0), value=torch.nan)


def _target_day(values: NDArray[Any], day: int) -> Tensor:
    """The hours of a target day as (n, 24), NaN after the last lead hour."""
    part = torch.from_numpy(np.array(values[:, DAY_HOURS * day : DAY_HOURS * (day + 1)], np.float32))
    return torch.nn.functional.pad(part, (0, DAY_HOURS - part.shape[1]), value=torch.nan)


def _same_clock_positions(past: Tensor, target: Tensor) -> Tensor | None:
    """The positions in the past, (n, hours), at which the clock shows the target hours' local times on each day.

    A clock change in between shifts them by the hour that the clock moved; -1 is outside of the context. None if no row
    has a clock change: the positions are then the hours in order.
    """
    hours = past.shape[1]
    shift = target[:, None, :, local.OFFSET_HOURS] - past[..., local.OFFSET_HOURS].reshape(len(past), -1, DAY_HOURS)
    if not shift.any():
        return None
    positions = torch.arange(hours)[None] + shift.flatten(1)
    return torch.where((positions >= 0) & (positions < hours), positions, -1)


def _by_day(values: Tensor, positions: Tensor | None, *, outside: float = 0) -> Tensor:
    """(n, hours) as (n, days, 24), `outside` where the position is outside of the context."""
    if positions is not None:
        values = torch.where(positions >= 0, values.gather(1, positions.clamp(min=0)), outside)
    return values.reshape(len(values), -1, DAY_HOURS)
