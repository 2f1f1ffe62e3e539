"""Scores of real tables equal a plain computation from the stored doubles, whatever is late, repeated or missing."""

from collections.abc import Callable, Iterator
from datetime import datetime

import numpy as np
import pandas as pd
import pytest
from jobs.score import SCORE
from pyspark.sql import SparkSession
from tests.jobs.scored import DAY, HOUR, append, expected_scores, forecast_row, hour_row, scored
from tests.jobs.steps import put_buildings, work

from wattcast.contracts import contract
from wattcast.lake.views import register_views
from wattcast.runtime.context import Run, build_run
from wattcast.scoring.pending import pending_scores
from wattcast.settings import settings

FIRST, DAYS, LEADS = datetime(2026, 3, 20), 12, 24  # over the change of the clock in London
END = FIRST + DAYS * DAY
ZONES = {"a": "Europe/London", "b": "Asia/Kathmandu"}
EXACT = {"check_dtype": False, "check_exact": False, "rtol": 1e-9, "atol": 0}


@pytest.fixture
def run(new_run: Callable[..., Run], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """An empty lake; no broker is used."""
    own = settings().model_copy(update={"state": tmp_path_factory.mktemp("scores")})
    run = new_run(own, once=True)
    yield run
    run.close()


def usage(building: str, number: int) -> float:
    return float(20 + 7 * np.sin(number / 24 * 2 * np.pi) + number * 37 % 101 / 10 + ord(building) % 5)


def check(run: Run) -> pd.DataFrame:
    """The whole table against the plain computation."""
    found = scored(run)
    expected = expected_scores(run.lake.table("hourly_usage").toPandas(), run.lake.table("forecasts").toPandas(), ZONES)
    pd.testing.assert_frame_equal(found[list(expected)], expected, **EXACT)
    assert not found[list(contract("forecast_scores").key)].duplicated().any()
    return found


def test_scores_and_views_are_what_plain_pandas_makes_of_the_stored_doubles(run: Run) -> None:
    put_buildings(run, *({"building_id": name, "timezone": zone} for name, zone in ZONES.items()))
    hours = [FIRST + HOUR * number for number in range(24 * DAYS)]
    rows = [hour_row(name, hour, usage(name, at)) for name in "abc" for at, hour in enumerate(hours)]
    rows += [hour_row("a", hour, 99.5, revision=2, known_after=30 * HOUR) for hour in hours[::7]]
    rows += [hour_row("b", hour, 1.5, revision=2, known_after=2 * HOUR, coverage=0.5) for hour in hours[::5]]
    rows += [hour_row("c", hour, 3.5, revision=2, known_after=2 * HOUR, coverage=None) for hour in hours[::11]]
    lost = {("c", hour) for hour in hours[40:60]}
    rows = [row for row in rows if (row["building_id"], row["hour"]) not in lost]
    origins = [FIRST + HOUR * number for number in range(5 * 24, 24 * DAYS, 9)]
    made = [
        forecast_row(name, o, [usage(name, o.hour + lead) for lead in range(LEADS)]) for name in "abc" for o in origins
    ]
    is_early = [row["available_at"] < FIRST + 8 * DAY for row in rows]
    append(run, "forecasts", made[::2])
    append(run, "hourly_usage", [row for row, early in zip(rows, is_early, strict=True) if early])
    work(run, SCORE)
    append(run, "hourly_usage", [row for row, early in zip(rows, is_early, strict=True) if not early])
    append(run, "forecasts", made[1::2])
    work(run, SCORE)
    found = check(run)
    assert len(found) > 1300
    assert found.last_week_kwh.isna().any()
    assert found.last_day_kwh.isna().any()
    assert found.in_interval.nunique() == 2
    check_views(run, found)
    work(run, SCORE)
    assert len(scored(run)) == len(found), "again adds nothing"


def check_views(run: Run, found: pd.DataFrame) -> None:
    """The views of accuracy by their definitions, over the newest score of each forecast hour."""
    register_views(run.lake)
    newest = found.drop_duplicates(["forecast_id", "lead_hours"], keep="last").assign(
        day=lambda rows: rows.target_hour.dt.date
    )
    of_model = ["purpose", "model_name", "model_version"]
    for view, by in {
        "building": "building_id",
        "lead": "lead_hours",
        "model": "method",
        "hour": "local_hour",
        "day": "day",
    }.items():
        seen = run.spark.table(f"accuracy_by_{view}").toPandas()
        expected = newest.groupby([by, *of_model]).apply(measures, include_groups=False).reset_index()
        key = [by, *of_model]
        pd.testing.assert_frame_equal(
            seen[list(expected)].sort_values(key, ignore_index=True),
            expected.sort_values(key, ignore_index=True),
            **EXACT,
        )
        assert seen.hours.sum() == len(newest)


def measures(rows: pd.DataFrame) -> pd.Series:
    actual, error = rows.actual_kwh.to_numpy(), (rows.p50_kwh - rows.actual_kwh).to_numpy()
    rmse = np.sqrt(np.mean(error**2))
    has_week, has_day = rows.last_week_kwh.notna(), rows.last_day_kwh.notna()
    of_week, of_day = np.abs(rows.last_week_kwh - actual)[has_week], np.abs(rows.last_day_kwh - actual)[has_day]
    return pd.Series({
        "hours": len(rows), "mean_kwh": actual.mean(), "mae_kwh": np.abs(error).mean(), "rmse_kwh": rmse,
        "cv_rmse": rmse / actual.mean(), "nmbe": error.sum() / actual.sum(), "pinball_kwh": rows.pinball_kwh.mean(),
        "interval_coverage": ((rows.p10_kwh <= actual) & (actual <= rows.p90_kwh)).mean(),
        "last_week_mae_kwh": of_week.mean(), "last_day_mae_kwh": of_day.mean(),
        "mae_ratio_to_last_week": np.abs(error)[has_week].sum() / of_week.sum() if has_week.any() else np.nan,
        "mae_ratio_to_last_day": np.abs(error)[has_day].sum() / of_day.sum() if has_day.any() else np.nan,
    })  # fmt: skip


def energies(run: Run, lead_hours: int = 1) -> list[tuple[float, float, float]]:
    """Actual, error and pinball of every score of a lead hour, oldest first."""
    scores = scored(run)
    scores = scores[scores.lead_hours == lead_hours]
    return [
        tuple(round(value, 9) for value in row) for row in scores[["actual_kwh", "error_kwh", "pinball_kwh"]].to_numpy()
    ]


def test_a_corrected_actual_adds_a_score_and_keeps_the_old_one(run: Run) -> None:
    append(run, "forecasts", [forecast_row("a", FIRST, [10.0, 10.0])])
    append(run, "hourly_usage", [hour_row("a", FIRST, 9.5)])
    work(run, SCORE)
    before = scored(run)
    assert energies(run) == [(9.5, 0.5, round((0.05 + 0.25 + 0.15) / 3, 9))]
    append(run, "hourly_usage", [hour_row("a", FIRST, 12.0, revision=2, known_after=50 * HOUR)])
    append(
        run, "hourly_usage", [hour_row("a", FIRST, 12.0, revision=3, known_after=60 * HOUR)]
    )  # its weather alone changed
    work(run, SCORE)
    assert energies(run) == [*[(9.5, 0.5, 0.15)], (12.0, -2.0, round((0.3 + 1.0 + 0.9) / 3, 9))]
    after = scored(run)
    pd.testing.assert_frame_equal(after[after.available_at == FIRST + HOUR].reset_index(drop=True), before)
    assert list(after.available_at) == [FIRST + HOUR, FIRST + 50 * HOUR]
    register_views(run.lake)
    assert [row.mae_kwh for row in run.spark.table("accuracy_by_building").collect()] == [2.0]


def test_a_partial_hour_has_no_score_until_it_is_complete(run: Run) -> None:
    append(run, "forecasts", [forecast_row("a", FIRST, [10.0, 10.0])])
    append(run, "hourly_usage", [hour_row("a", FIRST, 5.0, coverage=0.5), hour_row("a", FIRST + HOUR, 8.0)])
    work(run, SCORE)
    assert (energies(run, 1), len(energies(run, 2))) == ([], 1)
    append(run, "hourly_usage", [hour_row("a", FIRST, 10.0, revision=2, known_after=3 * HOUR)])
    work(run, SCORE)
    assert energies(run, 1) == [(10.0, 0.0, round(0.2 / 3, 9))]
    assert len(scored(run)) == 2


def test_a_backfill_after_the_actuals_is_scored_under_its_purpose(run: Run) -> None:
    append(run, "hourly_usage", [hour_row("a", FIRST + HOUR * number, 10.0 + number) for number in range(48)])
    append(run, "forecasts", [forecast_row("a", FIRST + 24 * HOUR, [10.0] * LEADS)])
    work(run, SCORE)
    assert len(scored(run)) == LEADS
    append(run, "forecasts", [forecast_row("a", FIRST + 24 * HOUR, [10.0] * LEADS, purpose="again")])
    work(run, SCORE)
    assert dict(check(run).purpose.value_counts()) == {"live": LEADS, "again": LEADS}


def test_a_score_lost_in_a_crash_or_repeated_after_a_lost_checkpoint_exists_once(run: Run, spark: SparkSession) -> None:
    append(run, "hourly_usage", [hour_row("a", FIRST + HOUR * number, 10.0 + number) for number in range(48)])
    append(run, "forecasts", [forecast_row("a", FIRST + HOUR * origin, [11.0] * 6) for origin in range(30, 42)])
    work(run, SCORE)
    before = check(run)
    run.close()
    path = run.lake.path("forecast_scores")
    spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ('delta.appendOnly' = 'false')")
    spark.sql(f"DELETE FROM delta.`{path}` WHERE lead_hours > 3")
    elsewhere = run.settings.model_copy(update={"checkpoints": run.settings.checkpoints_uri + "-new"})
    again = build_run(spark, elsewhere, once=True)
    work(again, SCORE)
    again.close()
    pd.testing.assert_frame_equal(scored(run).drop(columns="scored_at"), before.drop(columns="scored_at"))


def test_scores_read_no_more_of_the_history_than_their_window(run: Run) -> None:
    for day in range(0, 40, 8):
        append(run, "hourly_usage", [hour_row("a", FIRST + DAY * day + HOUR * number, 10.0) for number in range(192)])
        append(
            run, "forecasts", [forecast_row("a", FIRST + DAY * (day + later), [10.0] * LEADS) for later in range(1, 7)]
        )
    append(run, "hourly_usage", [hour_row("a", FIRST + DAY * 40, 12.0)])
    append(run, "forecasts", [forecast_row("a", FIRST + DAY * 40, [10.0] * LEADS)])
    batch = run.spark.createDataFrame([("a", FIRST + DAY * 40)], "building_id string, hour timestamp")
    pending = pending_scores(run, batch, run.lake.snapshot("forecast_scores"))
    assert pending is not None
    files = {file.split("/lake/")[1] for file in pending.inputFiles()}
    assert (
        len([file for file in files if file.startswith("hourly_usage")]) <= 3
    )  # of the hour, the day and the week before
    assert len([file for file in files if file.startswith("forecasts/")]) <= 1
    assert [row.lead_hours for row in pending.collect()] == [1]
