"""Scores by building, and those of the shipped model."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from wattcast_models.artifact.folder import shipped_artifact
from wattcast_models.artifact.predictor import Predictor
from wattcast_models.data.readings import Building, read_buildings
from wattcast_models.data.synthetic import synthetic_buildings
from wattcast_models.evaluation.scores import model_scores, score_summary


def test_errors_are_shares_of_the_mean_load_on_hours_that_were_measured(write_artifact: Callable[..., Path]) -> None:
    values = np.full((24 * 100, 4), np.nan, np.float32)
    values[:, 0] = 10
    values[24 * 93 :, 0] = 12  # the last week is 2 kWh higher than the week before it
    values[24 * 95 : 24 * 95 + 12, 0] = np.nan
    (score,) = model_scores(Predictor.read(write_artifact()), [Building("b", 420_000, values, {})], test_share=0.07)
    assert score.hours == 7 * 24 - 12
    assert score.naive_nrmse_pct == pytest.approx(100 * 2 / 12)
    assert score.naive_nmae_pct == pytest.approx(100 * 2 / 12)


def test_a_building_without_anything_to_score_has_no_score(write_artifact: Callable[..., Path]) -> None:
    empty = Building("silent", 420_000, np.full((24 * 60, 4), np.nan, np.float32), {})
    assert list(model_scores(Predictor.read(write_artifact()), [empty])) == []


def test_the_shipped_model_is_sane_at_places_and_uses_it_has_never_seen() -> None:
    scores = list(model_scores(Predictor.read(shipped_artifact()), synthetic_buildings(40, days=100, seed=99)))
    figures = score_summary(scores)
    assert figures["beaten"] >= 0.8 * figures["buildings"]
    assert 70 < figures["coverage_pct"] < 92


@pytest.mark.readings
@pytest.mark.skipif("WATTCAST_DATA" not in os.environ, reason="WATTCAST_DATA is not set")
def test_the_shipped_model_beats_the_same_hour_last_week_on_buildings_it_was_not_trained_on() -> None:
    data = Path(os.environ["WATTCAST_DATA"])
    predictor = Predictor.read(shipped_artifact())
    buildings = read_buildings(data / "cambridge_sample.parquet", data / "buildings.csv")
    unseen = [each for each in buildings if each.building_id in predictor.config["excluded_building_ids"]]
    assert not {building.building_id for building in unseen} & set(predictor.config["training_building_ids"])
    scores = {score.building_id: score for score in model_scores(predictor, buildings)}
    every = score_summary(list(scores.values()))
    figures = score_summary([scores[building.building_id] for building in unseen])
    assert (len(unseen), figures["beaten"]) == (8, 8)
    assert figures["nrmse_pct"] < 0.75 * figures["naive_nrmse_pct"]
    assert 77 < figures["coverage_pct"] < 83
    assert every["beaten"] == 36
    assert every["naive_nrmse_pct"] == pytest.approx(17.8, abs=0.5)
    assert every["naive_nmae_pct"] == pytest.approx(11.9, abs=0.1)
