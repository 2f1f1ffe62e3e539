"""Accuracy equals that of pandas over the same scores."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.lib.serving.conftest import ServedClient, served, settings_of
from tests.lib.serving.http import get, problem, rows
from tests.lib.serving.lake import append, write_lake


@pytest.mark.parametrize(
    ("by", "columns"),
    [
        ("building", ["building_id"]),
        ("lead", ["lead_hours"]),
        ("hour", ["local_hour"]),
        ("model", ["method"]),
        ("day", ["day"]),
    ],
)
def test_accuracy_is_that_of_pandas(client: ServedClient, state: Path, by: str, columns: list[str]) -> None:
    columns = [*columns, "model_name", "model_version"]
    scores = rows(state, "forecast_scores").assign(day=lambda each: each.target_hour.dt.strftime("%Y-%m-%d"))
    for row in get(client, "/v1/accuracy", by=by)["items"]:
        is_of_group = np.logical_and.reduce([scores[name] == row[name] for name in columns])
        group = scores[is_of_group]
        error, actual = group.error_kwh, group.actual_kwh
        rmse = np.sqrt((error**2).mean())
        expected = {
            "hours": len(group), "mean_kwh": actual.mean(), "mae_kwh": error.abs().mean(), "rmse_kwh": rmse,
            "cv_rmse": rmse / abs(actual.mean()), "nmbe": error.mean() / actual.mean(), "pinball_kwh": group.pinball_kwh.mean(),
            "interval_coverage": group.in_interval.mean(), "last_day_mae_kwh": (group.last_day_kwh - actual).abs().mean(),
            "last_week_mae_kwh": (group.last_week_kwh - actual).abs().mean(),
        }  # fmt: skip
        accuracy = {name: np.nan if row[name] is None else row[name] for name in expected}
        pd.testing.assert_series_equal(pd.Series(accuracy), pd.Series(expected), rtol=1e-9, check_dtype=False)


def test_corrected_actual_replaces_its_score(tmp_path: Path) -> None:
    write_lake(tmp_path / "lake", buildings=1, days=2)
    scores = rows(tmp_path, "forecast_scores")
    with served(settings_of(tmp_path)) as client:
        before = get(client, "/v1/accuracy", by="building")["items"][0]
        corrected = scores.iloc[[0]].assign(
            error_kwh=1000.0, available_at=scores.available_at.iloc[0] + timedelta(hours=9)
        )
        append(tmp_path / "lake", "forecast_scores", corrected)
        client.refresh()
        after = get(client, "/v1/accuracy", by="building")["items"][0]
    assert after["hours"] == before["hours"]
    gained = (1000.0 - abs(scores.error_kwh.iloc[0])) / before["hours"]
    assert after["mae_kwh"] - before["mae_kwh"] == pytest.approx(gained)


def test_accuracy_is_the_same_in_parts(client: ServedClient, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pd.DataFrame(client.get("/v1/accuracy?by=day").json()["items"])
    monkeypatch.setattr("wattcast.serving.queries.accuracy.HOURS_PER_PART", 500)
    in_parts = pd.DataFrame(client.get("/v1/accuracy?by=day").json()["items"])
    pd.testing.assert_frame_equal(in_parts, whole, rtol=1e-9)


def test_too_many_scored_hours_are_refused_with_the_limit(state: Path) -> None:
    with served(settings_of(state, max_scored_hours=1000)) as client:
        assert "can sum up at most 1,000" in problem(client.get("/v1/accuracy"), 422)
        assert client.get("/v1/overview").json()["mae_kwh_7d"] is None
