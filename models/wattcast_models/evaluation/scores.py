"""Scores of one method: a line of measures per building, and their medians."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from wattcast_models.artifact.predictor import Predictor
from wattcast_models.data.readings import Building
from wattcast_models.data.rolling import Rolling
from wattcast_models.evaluation.backtest import building_error_sums, model_method, with_reference
from wattcast_models.evaluation.baselines import LAST_WEEK
from wattcast_models.evaluation.results import Results


@dataclass(frozen=True)
class Score:
    """The measures of one building: errors in % of its mean load over the scored hours, coverage of P10 to P90 in %."""

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


def model_scores(predictor: Predictor, buildings: Sequence[Building], *, test_share: float = 0.2) -> Iterator[Score]:
    """One day-ahead score of a model per building that can be scored, with the same hour last week as the naive method."""
    rolling = Rolling(test_share)
    method = model_method(predictor, rolling)
    for building in buildings:
        rows = building_error_sums(building, with_reference([method], rolling), rolling)
        if (rows["by"] != "skipped").all():
            yield from method_scores(Results.from_parts([rows]), method.name)


def method_scores(results: Results, method: str) -> list[Score]:
    """The score of a method for each building."""
    overall = results.measures[results.measures["by"] == "all"].set_index("building_id")
    own, naive = overall[overall["method"] == method], overall[overall["method"] == LAST_WEEK]
    measures = own.assign(
        naive_nrmse_pct=naive["nrmse_pct"], naive_nmae_pct=naive["nmae_pct"], hours=own["hours"].astype(int)
    )
    names = [name for name in Score.__dataclass_fields__ if name != "building_id"]
    return [Score(str(building_id), **_plain_numbers(row)) for building_id, row in measures[names].iterrows()]


def score_summary(scores: Sequence[Score]) -> dict[str, float]:
    """Medians over the buildings, and for how many buildings (`beaten`) the method beats the same hour last week."""
    rows = [asdict(score) for score in scores]
    names = [name for name in rows[0] if name.endswith("_pct")]
    medians = {name: float(np.median([row[name] for row in rows])) for name in names}
    return {"buildings": len(scores), "beaten": sum(score.beats_naive for score in scores), **medians}


def _plain_numbers(row: pd.Series) -> dict[str, Any]:
    return {str(name): float(value) for name, value in row.items()} | {"hours": int(row["hours"])}
