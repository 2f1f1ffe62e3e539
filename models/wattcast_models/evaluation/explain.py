"""The contributions of calendar, recent level, weather and occupancy to each hour of a forecast.

P50 = base + calendar + recent level + weather + occupancy, in kWh, at every hour:

- base: what the building uses on average at that hour of the day, on any day;
- calendar: the effect of the day: weekday, holiday and season;
- recent level: the effect of the last days and weeks running above or below what is usual on such days;
- weather and occupancy: the effect of their known values.

The contributions are exact Shapley values (Shapley 1953, "A value for n-person games"). The groups are the players: the model
forecasts with the real inputs of every coalition of groups, and neutral inputs for the others. The contribution of a group is
what its real inputs change, averaged over all orders in which the groups can join the coalition. Neutral inputs are:

- weather and occupancy: their series are missing;
- energy: it is the sum course + (usual - course) + (energy - usual) at each past hour. The last term is 0 without the recent
  level, the middle term is 0 without the calendar. The course is the mean of all days at that hour of the local clock, the usual
  energy is the mean of the same weekday, of a holiday the mean of all days off;
- calendar: ordinary weeks, Monday to Friday and a weekend, without holidays. The value is the mean of seven forecasts in which
  the target day is each weekday once, at seven times of the year. The local clock stays real.

A forecast of a meter without a negative hour is never below zero. That holds for the forecast of every coalition, so the sum
still holds.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from wattcast_models.artifact.predictor import Predictor
from wattcast_models.evaluation.explanation import (
    CALENDAR,
    GROUPS,
    OCCUPANCY,
    RECENT_LEVEL,
    WEATHER,
    Explanation,
    Floats,
    day_in_words,
)
from wattcast_models.features import calendar as local
from wattcast_models.features.raw_inputs import CONTEXT_INPUTS, Inputs, calendar_at
from wattcast_models.quantiles import MEDIAN, QUANTILES

Coalition = frozenset[str]  # the groups with real inputs

# The raw inputs of a group, by the input of an artifact that reads them. Calendar and recent level only have the energy.
SERIES: dict[str, dict[str, tuple[str, ...]]] = {
    WEATHER: {
        "temperature_c": ("temperature_c", "future_temperature_c"),
        "humidity_pct": ("humidity_pct", "future_humidity_pct"),
    },
    OCCUPANCY: {"occupancy": ("occupancy",)},
}
ENERGY = CONTEXT_INPUTS[0]

ASSUMED = "assumed_calendar"  # (n,): REAL, or the weekday of the origin in one of the NEUTRAL calendars
REAL, NEUTRAL = -1, range(7)
SATURDAY = 5


def explain(predictor: Predictor, inputs: Inputs) -> Explanation:
    """The explanation of the one forecast from these inputs of a `Predictor`.

    A group without a known value, or that the model does not read, contributes exactly 0. Raises ValueError for inputs with wrong
    shapes or several rows.
    """
    forecast = predictor(inputs)  # (1, L, 3)
    if len(forecast) != 1:
        raise ValueError(f"Only one forecast can be explained at a time, not {len(forecast)}.")
    players = [group for group in GROUPS if group not in SERIES or _has_known_input(predictor, inputs, group)]
    p50 = forecast[0, :, QUANTILES.index(MEDIAN)]
    values = coalition_values(predictor, inputs, proper_coalitions(players)) | {frozenset(players): p50}
    target = calendar_at(inputs, np.arange(len(p50))).numpy()[0]  # (L, local.COLUMNS)
    utc = np.asarray(inputs["origin"])[0].astype("datetime64[h]") + np.arange(len(p50))
    return Explanation(
        local_time=pd.DatetimeIndex(utc, tz="UTC").tz_convert(local.zone(str(inputs["timezone"][0] or ""))),
        day=[day_in_words(hour) for hour in target],
        quantiles_kwh=forecast[0],
        base_kwh=values[frozenset()],
        contributions_kwh=dict.fromkeys(GROUPS, np.zeros(len(p50))) | shapley(values, players),
    )


def shapley(values: Mapping[Coalition, Floats], players: Sequence[str]) -> dict[str, Floats]:
    """The Shapley value of each player from the values of all coalitions.

    Their sum is the value of the coalition of all players less that of the empty one.
    """
    others = len(players) - 1
    return {
        player: np.sum(
            [
                (values[coalition | {player}] - value) / (len(players) * comb(others, len(coalition)))
                for coalition, value in values.items()
                if player not in coalition
            ],
            axis=0,
        )
        for player in players
    }


def proper_coalitions(players: Sequence[str]) -> list[Coalition]:
    """All coalitions but the one of all players."""
    return [frozenset(members) for size in range(len(players)) for members in combinations(players, size)]


def coalition_values(predictor: Predictor, inputs: Inputs, coalitions: Iterable[Coalition]) -> dict[Coalition, Floats]:
    """The median forecast in kWh, (L,), by coalition whose groups have their real inputs; `inputs` has one row."""
    rows = [
        (coalition, part)
        for coalition in coalitions
        for part in masked_inputs(inputs, coalition, predictor.context_hours)
    ]
    stacked = {name: np.concatenate([part[name] for _, part in rows]) for name in rows[0][1]}
    medians = predictor.forecast(stacked, calendar=assumed_calendar)[..., predictor.quantiles.index(MEDIAN)]
    by_coalition: dict[Coalition, list[Floats]] = {}
    for (coalition, _), median in zip(rows, medians, strict=True):
        by_coalition.setdefault(coalition, []).append(median)
    return {coalition: np.mean(forecasts, axis=0) for coalition, forecasts in by_coalition.items()}


def masked_inputs(inputs: Inputs, coalition: Coalition, context_hours: int) -> list[dict[str, NDArray[Any]]]:
    """The inputs, of one row, with neutral values for all groups outside the coalition; seven of them without the calendar."""
    outside = [series for group, series in SERIES.items() if group not in coalition]
    missing = [name for series in outside for names in series.values() for name in names]
    masked = dict(inputs) | {name: np.full_like(inputs[name], np.nan) for name in missing}
    masked[ENERGY] = _masked_energy(inputs, coalition, context_hours)
    calendars = [REAL] if CALENDAR in coalition else NEUTRAL
    return [masked | {ASSUMED: np.array([number])} for number in calendars]


def assumed_calendar(inputs: Inputs, offsets: NDArray[np.int64]) -> Tensor:
    """As `calendar_at`, but the calendar of ordinary weeks, on the local clock, in the rows where ASSUMED is not REAL."""
    real = calendar_at(inputs, offsets)  # (n, offsets, local.COLUMNS)
    first = calendar_at(inputs, np.zeros(1, np.int64))[..., local.WEEKDAY]  # (n, 1): of the origin
    number = torch.from_numpy(inputs[ASSUMED].astype(np.int16))[:, None]
    weekday = (real[..., local.WEEKDAY] - first + number) % 7
    neutral = real.clone()
    neutral[..., local.WEEKDAY] = weekday
    neutral[..., local.DAY_OF_YEAR] = 26 + 52 * number  # the middle of a seventh of the year
    neutral[..., local.HOLIDAY] = 0
    for column, shift in ((local.WEEKEND, 0), (local.DAY_OFF, 0), (local.OFF_BEFORE, -1), (local.OFF_AFTER, 1)):
        neutral[..., column] = (weekday + shift) % 7 >= SATURDAY
    return torch.where(number[..., None] == REAL, real, neutral)


def _masked_energy(inputs: Inputs, coalition: Coalition, context_hours: int) -> NDArray[Any]:
    """The energy, (1, hours), without the terms of a calendar or recent level outside the coalition; never below its minimum."""
    context = inputs[ENERGY][:, -context_hours:]
    if {CALENDAR, RECENT_LEVEL} <= coalition:
        return context
    energy = np.where(np.isfinite(context[0]), context[0], np.nan).astype(float)  # (hours,)
    course, usual = _course_and_usual(energy, calendar_at(inputs, np.arange(-len(energy), 0)).numpy()[0])
    masked = usual if CALENDAR in coalition else course
    if RECENT_LEVEL in coalition:
        masked = masked + (energy - usual)
    return np.maximum(masked, np.fmin.reduce(energy))[None]


def _course_and_usual(energy: Floats, past: NDArray[np.int16]) -> tuple[Floats, Floats]:
    """For each past hour the mean of all days, and of the days like its own, at that hour of the day; (hours,) each."""
    is_off = past[:, local.DAY_OFF] > 0
    is_holiday = is_off & (past[:, local.WEEKEND] == 0)
    hours = pd.DataFrame({"kwh": energy, "hour": past[:, local.HOUR], "off": is_off, "holiday": is_holiday})
    hours["weekday"] = past[:, local.WEEKDAY]

    def mean(*like: str) -> pd.Series:
        return hours.groupby(["hour", *like])["kwh"].transform("mean")

    course = mean()
    usual = mean("weekday", "holiday").mask(is_holiday).fillna(mean("off")).fillna(course)
    return course.to_numpy(), usual.to_numpy()


def _has_known_input(predictor: Predictor, inputs: Inputs, group: str) -> bool:
    """Whether the model reads an input of the group that has a known value."""
    names = [name for used, series in SERIES[group].items() if used in predictor.config["inputs"] for name in series]
    return any(bool(np.isfinite(inputs[name]).any()) for name in names)
