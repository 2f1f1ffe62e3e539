"""What drove a forecast: how much of each hour comes from the calendar, the recent level, the weather and occupancy.

P50 = base + calendar + recent level + weather + occupancy, in kWh, at every hour:

- base: what the building uses on average at that hour of the day, on whatever day;
- calendar: because of the day that it is, its weekday, holiday or season;
- recent level: because the last days and weeks ran above or below what is usual on such days;
- weather and occupancy: because of what is known of them.

The contributions are exact Shapley values (Shapley 1953, "A value for n-person games"): the model forecasts with every
choice of the groups told to it, and a group's contribution is what telling it changes, averaged over all orders in which
the groups can be told. What is not told is neutral:

- weather and occupancy: their series are missing;
- of the energy, course + (usual - course) + (energy - usual) at each past hour, the last term is 0 without the recent
  level and the middle one without the calendar. The course is the mean of all days at that hour of the local clock, the
  usual energy that of the same weekday, of a holiday that of all days off;
- calendar: ordinary weeks, Monday to Friday and a weekend, without holidays. The value is the mean of seven forecasts in
  which the target day is each weekday once, at seven times of the year. The clock stays: it is the building's own.

Every forecast of a meter without a negative hour ends at zero or above, these too, so the sum holds after that as well.
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

from wattcast_models import calendar as local
from wattcast_models.explanation import (
    CALENDAR,
    GROUPS,
    OCCUPANCY,
    RECENT_LEVEL,
    WEATHER,
    Explanation,
    Floats,
    day_in_words,
)
from wattcast_models.features import CONTEXT_INPUTS, Inputs, calendar_at
from wattcast_models.networks import MEDIAN, QUANTILES
from wattcast_models.predictor import Predictor

Coalition = frozenset[str]  # the groups that are told

# The raw inputs of a group, by the input of an artifact that reads them; those of the other groups are one series, the energy.
SERIES: dict[str, dict[str, tuple[str, ...]]] = {
    WEATHER: {
        "temperature_c": ("temperature_c", "future_temperature_c"),
        "humidity_pct": ("humidity_pct", "future_humidity_pct"),
    },
    OCCUPANCY: {"occupancy": ("occupancy",)},
}
ENERGY = CONTEXT_INPUTS[0]

ASSUMED = "assumed_calendar"  # (n,): the real one, or one of the neutral ones by the weekday of the origin
REAL, NEUTRAL = -1, range(7)
SATURDAY = 5


def explain(predictor: Predictor, inputs: Inputs) -> Explanation:
    """What drives the one forecast of these inputs, which are those of `Predictor`. A group without a known value, or that
    the model does not read, contributes exactly 0. Raises ValueError for inputs of wrong shapes or several rows."""
    forecast = predictor(inputs)  # (1, L, 3)
    if len(forecast) != 1:
        raise ValueError(f"One forecast is explained at a time, not {len(forecast)}.")
    players = [group for group in GROUPS if group not in SERIES or _is_heard(predictor, inputs, group)]
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
    """The Shapley value of each player from the value of every coalition of them; they sum to what all have over none."""
    others = len(players) - 1
    return {
        player: np.sum(
            [
                (values[told | {player}] - value) / (len(players) * comb(others, len(told)))
                for told, value in values.items()
                if player not in told
            ],
            axis=0,
        )
        for player in players
    }


def proper_coalitions(players: Sequence[str]) -> list[Coalition]:
    """All coalitions but the one of all players."""
    return [frozenset(told) for size in range(len(players)) for told in combinations(players, size)]


def coalition_values(predictor: Predictor, inputs: Inputs, coalitions: Iterable[Coalition]) -> dict[Coalition, Floats]:
    """The median forecast in kWh, (L,), when only the groups of a coalition are told; `inputs` has one row."""
    rows = [(told, part) for told in coalitions for part in told_inputs(inputs, told, predictor.context_hours)]
    stacked = {name: np.concatenate([part[name] for _, part in rows]) for name in rows[0][1]}
    medians = predictor.forecast(stacked, calendar=assumed_calendar)[..., predictor.quantiles.index(MEDIAN)]
    by_coalition: dict[Coalition, list[Floats]] = {}
    for (told, _), median in zip(rows, medians, strict=True):
        by_coalition.setdefault(told, []).append(median)
    return {told: np.mean(found, axis=0) for told, found in by_coalition.items()}


def told_inputs(inputs: Inputs, told: Coalition, context_hours: int) -> list[dict[str, NDArray[Any]]]:
    """The inputs, of one row, in which all groups but those of `told` are neutral: one, without the calendar seven."""
    untold = [name for group, read in SERIES.items() if group not in told for names in read.values() for name in names]
    changed = dict(inputs) | {name: np.full_like(inputs[name], np.nan) for name in untold}
    changed[ENERGY] = _told_energy(inputs, told, context_hours)
    calendars = [REAL] if CALENDAR in told else NEUTRAL
    return [changed | {ASSUMED: np.array([number])} for number in calendars]


def assumed_calendar(inputs: Inputs, offsets: NDArray[np.int64]) -> Tensor:
    """As `calendar_at`; where ASSUMED says so that of ordinary weeks, on the building's own clock."""
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


def _told_energy(inputs: Inputs, told: Coalition, context_hours: int) -> NDArray[Any]:
    """The energy, (1, hours), without what an untold calendar or recent level adds; never below its own lowest hour."""
    known = inputs[ENERGY][:, -context_hours:]
    if {CALENDAR, RECENT_LEVEL} <= told:
        return known
    energy = np.where(np.isfinite(known[0]), known[0], np.nan).astype(float)  # (hours,)
    course, usual = _course_and_usual(energy, calendar_at(inputs, np.arange(-len(energy), 0)).numpy()[0])
    made = usual if CALENDAR in told else course
    if RECENT_LEVEL in told:
        made = made + (energy - usual)
    return np.maximum(made, np.fmin.reduce(energy))[None]


def _course_and_usual(energy: Floats, past: NDArray[np.int16]) -> tuple[Floats, Floats]:
    """The mean of all days at each hour's time of the day, and of the days that are like its own; (hours,) each."""
    is_off = past[:, local.DAY_OFF] > 0
    is_holiday = is_off & (past[:, local.WEEKEND] == 0)
    hours = pd.DataFrame({"kwh": energy, "hour": past[:, local.HOUR], "off": is_off, "holiday": is_holiday})
    hours["weekday"] = past[:, local.WEEKDAY]

    def mean(*like: str) -> pd.Series:
        return hours.groupby(["hour", *like])["kwh"].transform("mean")

    course = mean()
    usual = mean("weekday", "holiday").mask(is_holiday).fillna(mean("off")).fillna(course)
    return course.to_numpy(), usual.to_numpy()


def _is_heard(predictor: Predictor, inputs: Inputs, group: str) -> bool:
    """Whether the model reads something of the group, and something of that is known."""
    read = [name for used, names in SERIES[group].items() if used in predictor.config["inputs"] for name in names]
    return any(bool(np.isfinite(inputs[name]).any()) for name in read)
