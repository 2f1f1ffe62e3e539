"""The backtest: a day-ahead forecast at each local midnight of every building's last weeks, against what happened."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from wattcast_models import calendar as local
from wattcast_models.networks import QUANTILES
from wattcast_models.predictor import Predictor
from wattcast_models.readings import Building
from wattcast_models.windows import Origins, cut

DAY = 24
WEEK = 168


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

    @property
    def beats_naive(self) -> bool:
        return self.nrmse_pct < self.naive_nrmse_pct


def backtest(predictor: Predictor, buildings: Sequence[Building], *, test_share: float = 0.2) -> Iterator[Score]:
    """One score per building with anything to score: an origin a day at midnight of the building's standard time, in
    the last `test_share` of its time, the weather of the target day unknown.

    Hours count where they, and the same hour a week before (the naive forecast), were measured.
    """
    for building in buildings:
        origins = midnights(building, test_share)
        score = _score(predictor, building, origins) if len(origins) else None
        if score:
            yield score


def midnights(building: Building, test_share: float) -> Origins:
    """The origins in the last share of the building's time whose whole target day is inside it."""
    first = int(np.ceil(building.hours * (1 - test_share)))
    position = np.arange(max(first, WEEK), building.hours - DAY + 1)
    hour_of_day = (building.start + position + standard_offset_hours(building)) % DAY
    hours = position[hour_of_day == 0]
    return Origins(np.zeros(len(hours), np.int64), hours)


def standard_offset_hours(building: Building) -> int:
    """The building's distance from UTC outside daylight saving time: the least of the year."""
    year = building.start + np.arange(0, 8766, 24)[None, :]
    place = ([building.place.get(name, "")] for name in ("timezone", "country", "closures"))
    return int(local.local_calendar(year, *place)[..., local.OFFSET_HOURS].min())


def _score(predictor: Predictor, building: Building, origins: Origins) -> Score | None:
    inputs, actual = cut([building], origins, context_hours=predictor.context_hours, lead_hours=DAY)
    unknown = np.full((len(origins), DAY), np.nan, np.float32)
    quantiles = predictor({**inputs, "future_temperature_c": unknown, "future_humidity_pct": unknown})  # (n, 24, 3)
    naive = np.asarray(inputs["energy_usage_kwh"])[:, -WEEK : DAY - WEEK]  # (n, 24)
    is_scored = np.isfinite(actual) & np.isfinite(naive)
    mean = float(np.abs(actual[is_scored]).mean()) if is_scored.any() else 0.0
    if mean == 0:
        return None
    return _errors(building.building_id, actual[is_scored].astype(float), quantiles[is_scored], naive[is_scored], mean)


def _errors(
    building_id: str,
    actual: NDArray[np.float64],
    quantiles: NDArray[np.float64],
    naive: NDArray[np.float32],
    mean: float,
) -> Score:
    """All (hours,), quantiles (hours, 3). Pinball is the mean over quantiles of twice the loss: NMAE for a point."""
    error, naive_error = actual - quantiles[:, 1], actual - naive
    over = actual[:, None] - quantiles  # (hours, 3)
    levels = np.array(QUANTILES)
    pinball = 2 * np.maximum(levels * over, (levels - 1) * over).mean()
    inside = (actual >= quantiles[:, 0]) & (actual <= quantiles[:, 2])
    as_pct = 100 / mean
    return Score(
        building_id=building_id,
        hours=len(actual),
        nrmse_pct=as_pct * float(np.sqrt((error**2).mean())),
        nmae_pct=as_pct * float(np.abs(error).mean()),
        pinball_pct=as_pct * float(pinball),
        coverage_pct=100 * float(inside.mean()),
        naive_nrmse_pct=as_pct * float(np.sqrt((naive_error**2).mean())),
        naive_nmae_pct=as_pct * float(np.abs(naive_error).mean()),
    )


def summary(scores: Sequence[Score]) -> dict[str, float]:
    """Medians over the buildings and how many of them the model forecast better than the same hour last week."""
    figures = [asdict(score) for score in scores]
    names = [name for name in figures[0] if name.endswith("_pct")]
    medians = {name: float(np.median([row[name] for row in figures])) for name in names}
    return {"buildings": len(scores), "beaten": sum(score.beats_naive for score in scores), **medians}
