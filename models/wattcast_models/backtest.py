"""The backtest: forecasts of every building's last weeks from rolling origins, by several methods, against what happened."""

import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wattcast_models import calendar as local
from wattcast_models.baselines import LAST_WEEK, Floats, Method, TooLittleToFit, baseline
from wattcast_models.features import CONTEXT_INPUTS, FUTURE_INPUTS, PLACE_INPUTS, Inputs
from wattcast_models.metrics import KEYS, SUMS, error_sums, measures
from wattcast_models.predictor import Predictor
from wattcast_models.readings import Building, buildings_of
from wattcast_models.rolling import DAY, FORECAST, UNKNOWN, Rolling, scoring_origins
from wattcast_models.windows import Origins, cut, forecast_weather

ORIGINS_AT_ONCE = 256  # bounds the memory of a long test span
SEASONS = ("Dec-Feb", "Mar-May", "Jun-Aug", "Sep-Nov")
COLUMNS = [*KEYS, *SUMS, "unanswered", "skipped"]


@dataclass(frozen=True)
class Results:
    """What a backtest found: `sums` has COLUMNS, one row per building, method, grouping (`by`) and group."""

    sums: pd.DataFrame
    skipped: dict[str, str]  # why, by building id

    @classmethod
    def of(cls, parts: Iterable[pd.DataFrame]) -> Self:
        """The parts of all buildings as one; ValueError when none has a scored hour."""
        found = list(parts)
        rows = pd.concat(found) if found else pd.DataFrame(columns=COLUMNS)
        is_skipped = rows["by"] == "skipped"
        why = rows.loc[is_skipped].set_index("building_id")["skipped"]
        sums = rows[~is_skipped].sort_values(KEYS, kind="stable", ignore_index=True)
        sums = sums.astype(dict.fromkeys([*SUMS, "unanswered"], float) | {"group": int})
        skipped = {str(building_id): str(reason) for building_id, reason in why.items()}
        if not len(sums):
            reasons = "; ".join(f"{building_id} {why}" for building_id, why in list(skipped.items())[:3])
            raise ValueError(f"No building can be scored: {reasons or 'there is none'}.")
        return cls(sums, skipped)

    @cached_property
    def measured(self) -> pd.DataFrame:
        """KEYS, hours and MEASURES, the skill against the same hour last week."""
        return measures(self.sums, reference=LAST_WEEK)

    @property
    def methods(self) -> list[str]:
        return sorted(self.sums["method"].unique())

    @property
    def buildings(self) -> list[str]:
        return sorted(self.sums["building_id"].unique())

    def unanswered(self, method: str) -> int:
        """Measured hours for which the method had no value, so that they were scored for none."""
        return int(self.sums.loc[self.sums["method"] == method, "unanswered"].sum())


def model_method(predictor: Predictor, rolling: Rolling) -> Method:
    """A model as a method; ValueError when it does not forecast as far as the protocol asks."""
    if predictor.lead_hours < rolling.lead_hours:
        raise ValueError(
            f"{predictor.name} {predictor.version} forecasts {predictor.lead_hours} hours, not {rolling.lead_hours}."
        )
    return Method(model_name(predictor), lambda building: predictor, predictor.context_hours)


def model_name(predictor: Predictor) -> str:
    return f"{predictor.name} {predictor.version}"


def with_reference(methods: Sequence[Method], rolling: Rolling) -> list[Method]:
    """The methods and, if it is not among them, the same hour last week; ValueError for two of one name."""
    names = [method.name for method in methods]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"Two methods have the name {', '.join(sorted(repeated))}.")
    return [*methods, *([] if LAST_WEEK in names else [baseline(LAST_WEEK, rolling)])]


def scored(building: Building, methods: Sequence[Method], rolling: Rolling) -> pd.DataFrame:
    """The rows of a building, in COLUMNS; one row that says why when it cannot be scored.

    Hours count where they were measured and all methods have a value.
    """
    origins = scoring_origins(building, rolling)
    if why_not := _unscorable(building, origins):
        return _skipped(building, why_not)
    try:
        forecasts = [(method, method.fitted(building)) for method in methods]
    except TooLittleToFit as error:
        return _skipped(building, str(error))
    tally = _Tally([method.name for method in methods], rolling.lead_hours)
    context_hours = max(method.context_hours for method in methods)
    for first in range(0, len(origins), ORIGINS_AT_ONCE):
        part = origins.pick(np.arange(first, min(first + ORIGINS_AT_ONCE, len(origins))))
        inputs, actual = known_inputs(
            building,
            part,
            context_hours=context_hours,
            lead_hours=rolling.lead_hours,
            future_weather=rolling.future_weather,
            without=rolling.without,
        )
        made = [forecast(_recent(inputs, method.context_hours)) for method, forecast in forecasts]
        tally.add(inputs, actual.astype(float), made)
    why_not = tally.why_not()
    return _skipped(building, why_not) if why_not else tally.rows(building.building_id)


def scored_readings(
    readings: pd.DataFrame, *, places: Mapping[str, dict[str, str]], methods: Sequence[Method], rolling: Rolling
) -> pd.DataFrame:
    """`scored` for the readings of one building, in any order, with the columns of a file of readings."""
    (building,) = buildings_of(readings.sort_values("timestamp", kind="stable"), places)
    return scored(building, methods, rolling)


def known_inputs(
    building: Building,
    origins: Origins,
    *,
    context_hours: int,
    lead_hours: int,
    future_weather: str = UNKNOWN,
    without: Collection[str] = (),
) -> tuple[dict[str, NDArray[np.generic]], NDArray[np.float32]]:
    """What is known at these origins, and the energy that followed, (n, leads); see `Rolling` for the last two."""
    inputs, actual = cut([building], origins, context_hours=context_hours, lead_hours=lead_hours)
    if future_weather == UNKNOWN:
        inputs |= {name: np.full(actual.shape, np.nan, np.float32) for name in FUTURE_INPUTS}
    elif future_weather == FORECAST:
        seed = [zlib.crc32(building.building_id.encode()), int(origins.hour[0])] if len(origins) else 0
        inputs |= forecast_weather(inputs, np.random.default_rng(seed))
    hidden = [name for name in inputs if name.removeprefix("future_") in without]
    return inputs | {name: np.full(inputs[name].shape, np.nan, np.float32) for name in hidden}, actual


def _unscorable(building: Building, origins: Origins) -> str:
    """Why the building's test span has nothing to score; empty when it has."""
    if not len(origins):
        return f"has {building.hours} hours: too few for a week of context and an origin to score"
    energy = building.values[int(origins.hour.min()) :, 0]
    if not np.isfinite(energy).any():
        return "has no measured hour in the test span"
    return "" if energy[np.isfinite(energy)].any() else "used nothing in the test span"


def _recent(inputs: Inputs, hours: int) -> Inputs:
    """The inputs with a context of so many hours, the same as if no other method had asked for more."""
    return {name: value[:, -hours:] if name in CONTEXT_INPUTS else value for name, value in inputs.items()}


def _skipped(building: Building, why: str) -> pd.DataFrame:
    row = dict.fromkeys(COLUMNS, np.nan) | {"building_id": building.building_id, "method": "", "by": "skipped"}
    return pd.DataFrame([row | {"group": 0, "skipped": why}])[COLUMNS]


class _Tally:
    """Sums of errors by method and group, added up over the parts of a building's test span."""

    def __init__(self, names: Sequence[str], lead_hours: int) -> None:
        self.names = names
        sizes = {"all": 1, "lead": lead_hours, "hour": DAY, "weekday": 7, "season": 4}
        self.sums = {by: np.zeros((len(names), size, len(SUMS))) for by, size in sizes.items()}
        self.unanswered = np.zeros(len(names), np.int64)

    def add(self, inputs: Inputs, actual: Floats, forecasts: Sequence[Floats]) -> None:
        """`actual` (n, leads), forecasts (n, leads) or (n, leads, 3)."""
        is_measured = np.isfinite(actual)
        has_value = [np.isfinite(made.reshape(*actual.shape, -1)).all(axis=-1) for made in forecasts]
        is_scored = is_measured & np.logical_and.reduce(has_value)
        self.unanswered += [int((is_measured & ~has).sum()) for has in has_value]
        groups = {by: group[is_scored] for by, group in _groups(inputs, actual.shape[1]).items()}
        for number, made in enumerate(forecasts):
            each = error_sums(actual[is_scored], np.asarray(made[is_scored], float))  # (hours, SUMS)
            for by, group in groups.items():
                np.add.at(self.sums[by][number], group, each)

    def why_not(self) -> str:
        """Why nothing can be said of the building; empty when something can."""
        hours, load = self.sums["all"][0, 0, :2]
        if not hours:
            silent = [name for name, missing in zip(self.names, self.unanswered, strict=True) if missing]
            return f"has no hour for which {', '.join(silent) or 'the meter'} had a value"
        return "" if load else "used nothing in any scored hour"

    def rows(self, building_id: str) -> pd.DataFrame:
        parts = []
        for by, sums in self.sums.items():
            for number, method in enumerate(self.names):
                is_there = np.flatnonzero(sums[number, :, 0])
                part = pd.DataFrame(sums[number, is_there], columns=SUMS).assign(
                    building_id=building_id, method=method, by=by, group=is_there, skipped="",
                    unanswered=float(self.unanswered[number]) if by == "all" else 0.0,
                )  # fmt: skip
                parts.append(part[COLUMNS])
        return pd.concat(parts, ignore_index=True)


def _groups(inputs: Inputs, lead_hours: int) -> dict[str, NDArray[np.int64]]:
    """Which group each target hour is in, (n, leads), by grouping; clock and calendar are local."""
    leads = np.arange(lead_hours)
    hours = np.asarray(inputs["origin"]).astype("datetime64[h]").astype(np.int64)[:, None] + leads
    calendar = local.local_calendar(hours, *([str(value or "") for value in inputs[name]] for name in PLACE_INPUTS))
    months = (
        (hours + calendar[..., local.OFFSET_HOURS]).astype("datetime64[h]").astype("datetime64[M]").astype(np.int64)
    )
    return {
        "all": np.zeros(hours.shape, np.int64),
        "lead": np.broadcast_to(leads, hours.shape),
        "hour": calendar[..., local.HOUR].astype(np.int64),
        "weekday": calendar[..., local.WEEKDAY].astype(np.int64),
        "season": (months % 12 + 1) % 12 // 3,  # December is month 11 and opens season 0
    }


@dataclass(frozen=True)
class Score:
    """How a building was forecast: errors in % of its mean load over the scored hours, coverage of P10 to P90 in %."""

    building_id: str
    hours: int
    nrmse_pct: float
    nmae_pct: float
    pinball_pct: float
    coverage_pct: float
    naive_nrmse_pct: float
    naive_nmae_pct: float
    nmbe_pct: float
    mae_kwh: float
    rmse_kwh: float
    skill_pct: float

    @property
    def beats_naive(self) -> bool:
        return self.nrmse_pct < self.naive_nrmse_pct


def backtest(predictor: Predictor, buildings: Sequence[Building], *, test_share: float = 0.2) -> Iterator[Score]:
    """One day-ahead score of a model per building with anything to score, beside the same hour last week."""
    rolling = Rolling(test_share)
    method = model_method(predictor, rolling)
    for building in buildings:
        rows = scored(building, with_reference([method], rolling), rolling)
        if (rows["by"] != "skipped").all():
            yield from scores(Results.of([rows]), method.name)


def scores(results: Results, method: str) -> list[Score]:
    """A method's score per building."""
    whole = results.measured[results.measured["by"] == "all"].set_index("building_id")
    own, naive = whole[whole["method"] == method], whole[whole["method"] == LAST_WEEK]
    figures = own.assign(
        naive_nrmse_pct=naive["nrmse_pct"], naive_nmae_pct=naive["nmae_pct"], hours=own["hours"].astype(int)
    )
    names = [name for name in Score.__dataclass_fields__ if name != "building_id"]
    return [Score(str(building_id), **_plain(row)) for building_id, row in figures[names].iterrows()]


def _plain(row: pd.Series) -> dict[str, Any]:
    figures = {str(name): float(value) for name, value in row.items()}
    return figures | {"hours": int(row["hours"])}


def summary(scores: Sequence[Score]) -> dict[str, float]:
    """Medians over the buildings and how many of them the model forecast better than the same hour last week."""
    figures = [asdict(score) for score in scores]
    names = [name for name in figures[0] if name.endswith("_pct")]
    medians = {name: float(np.median([row[name] for row in figures])) for name in names}
    return {"buildings": len(scores), "beaten": sum(score.beats_naive for score in scores), **medians}
