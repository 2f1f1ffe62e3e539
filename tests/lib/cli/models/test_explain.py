"""`wattcast explain`: of recorded readings, and of what a lake holds; what cannot be explained is a sentence."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from jobs import forecast
from tests.lib.forecast.test_selection import HOUR, ORIGIN, hour, weather
from tests.lib.forecast.test_selection import frame as rows_of
from tests.models.fixtures import frame

from wattcast.lake.tables import LakeTables
from wattcast.runtime.context import Run, build_run
from wattcast.settings import Settings
from wattcast_models.data.readings import Building
from wattcast_models.evaluation.explanation import GROUPS

LONDON = {"timezone": "Europe/London", "country": "GB"}
PARTS = ["base_kwh", *(f"{group}_kwh" for group in GROUPS)]

RunJob = Callable[..., tuple[int, str]]


def office(hours: int = 24 * 40) -> Building:
    """Readings from 2024-04-01 on, without occupancy."""
    start, rng = int(np.datetime64("2024-04-01", "h").astype(int)), np.random.default_rng(5)
    hour = np.arange(hours)
    is_open = (hour % 24 >= 8) & (hour % 24 < 18) & (hour // 24 % 7 < 5)
    values = np.full((hours, 4), np.nan, np.float32)
    values[:, 0] = 10 + 30 * is_open + rng.normal(0, 1, hours)
    values[:, 1] = rng.normal(12, 4, hours)
    return Building("office", start, values, LONDON)


@pytest.fixture
def readings(tmp_path: Path) -> tuple[object, ...]:
    """The options that name a file of readings and one of buildings."""
    data, places = tmp_path / "readings.csv", tmp_path / "buildings.csv"
    silent, young = office(), office(48)
    silent.values[-120:, 0] = np.nan
    frame(
        [office(), Building("silent", silent.start, silent.values), Building("young", young.start, young.values)]
    ).to_csv(data, index=False)
    pd.DataFrame([{"building_id": "office", **LONDON}]).to_csv(places, index=False)
    return "--data", data, "--buildings-file", places


def adds_up(hours: pd.DataFrame) -> bool:
    return bool(np.allclose(hours[PARTS].sum(axis=1), hours["p50_kwh"], rtol=1e-6))


def test_readings_are_explained_from_their_newest_hour_or_from_the_one_given(
    run: RunJob, readings: tuple[object, ...], write_artifact: Callable[..., Path], tmp_path: Path
) -> None:
    figures, table = tmp_path / "figures.json", tmp_path / "hours.csv"
    words = ("explain", "office", *readings, "--model", write_artifact(), "--json", figures, "--csv", table)
    assert run(*words) == (0, "")
    found, hours = json.loads(figures.read_text()), pd.read_csv(table)
    assert (found["building_id"], found["model"], found["remark"]) == ("office", "test v0", "")
    assert found["sentence"].endswith(".")
    assert (hours["target_hour"].iloc[0], hours["local_time"].iloc[0]) == (
        "2024-05-11 00:00:00+00:00",
        "2024-05-11 01:00:00+01:00",
    )
    assert len(hours) == len(found["hours"]) == 24
    pd.testing.assert_frame_equal(pd.DataFrame(found["hours"]), hours, rtol=1e-6, check_dtype=False)
    assert adds_up(hours)
    assert hours["weather_kwh"].any()
    assert not hours["occupancy_kwh"].any()
    assert run(*words, "--at", "2024-05-06T01:00+01:00", "--lead-hours", 30) == (0, "")
    hours = pd.read_csv(table)
    assert (len(hours), hours["target_hour"].iloc[0]) == (30, "2024-05-06 00:00:00+00:00")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("moon",), "readings.csv has no building moon."),
        (("office", "--at", "noon"), "noon is not a time in ISO 8601, such as 2026-03-01"),
        (("office", "--at", "2024-05-01T00:30"), "2024-05-01T00:30 is not on the hour."),
        (("office", "--at", "0001-01-01T00:00+14:00"), "0001-01-01T00:00+14:00 does not lie in the years 1970 to 2199."),
        (("office", "--at", "2025-01-01"), "office can be forecast from 2024-04-01T01:00 to 2024-05-11T00:00 UTC, not from"),
        (("office", "--at", "2024-04-02"), "office has 24 measured hours in the week before 2024-04-02T00:00 UTC; a model"),
        (("young",), "young has 48 measured hours in the week before 2024-04-03T00:00 UTC; a model needs 72."),
        (("silent",), "silent has 48 measured hours in the week before"),
        (("office", "--model", "nowhere"), "There is no model nowhere: give a version number, champion, previous, shipped, or"),
        (("office", "--data", "none.csv"), "none.csv does not exist."),
    ],
)  # fmt: skip
def test_what_cannot_be_explained_is_one_line_and_exit_2(
    run: RunJob,
    readings: tuple[object, ...],
    write_artifact: Callable[..., Path],
    arguments: tuple[str, ...],
    says: str,
) -> None:
    status, said = run("explain", *readings, "--model", write_artifact(), *arguments)
    assert (status, said.count("\n")) == (2, 1), said
    assert said.startswith(f"wattcast explain: {says}")


def append(lake: LakeTables, table: str, rows: list[dict[str, Any]]) -> None:
    lake.append(table, lambda _: rows_of(lake.spark, table, rows))


def test_a_forecast_of_the_lake_is_made_anew_from_what_was_known_then_and_explained(
    run: RunJob, once: Run, write_artifact: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = once.settings.with_changes(
        model={"artifact": str(write_artifact())}, forecasting={"clock": "arrival", "catch_up_hours": 1}
    ).model_copy(update={"state": once.settings.state})
    monkeypatch.setattr("wattcast.cli.models.explain.settings", lambda: own)
    past = build_run(once.spark, own, once=True)
    lake = past.lake
    place = {"building_id": "b", "site": "s1", **LONDON, "reading_interval_minutes": 60}
    lake.replace("buildings", rows_of(lake.spark, "buildings", [place]))
    kwh = np.random.default_rng(2).uniform(5, 9, 481).tolist()
    partial = hour("b", 9, 0.1, coverage=0.5)
    append(lake, "hourly_usage", [partial, *(hour("b", ago, kwh[ago]) for ago in range(480, 0, -1) if ago != 9)])
    append(lake, "received_weather_forecasts", [weather(lead, 15.0, arrived=ORIGIN - HOUR) for lead in range(24)])
    assert forecast.reconcile(past) == 1
    late = ORIGIN + HOUR
    append(lake, "hourly_usage", [hour("b", before, 50.0, available_at=late, revision=2) for before in range(1, 25)])
    append(lake, "received_weather_forecasts", [weather(lead, -15.0, arrived=late) for lead in range(24)])
    past.close()

    figures = tmp_path / "figures.json"
    assert run("explain", "b", "--json", figures) == (0, "")
    found = json.loads(figures.read_text())
    hours = pd.DataFrame(found["hours"])
    (row,) = lake.table("forecasts").collect()
    np.testing.assert_allclose(hours["p50_kwh"], row.p50_kwh, rtol=1e-5)
    assert hours["target_hour"].iloc[0] == "2017-06-05 00:00:00+00:00"
    assert adds_up(hours)
    assert hours["weather_kwh"].any()

    status, said = run("explain", "b", "--at", "2017-06-05", "--model", write_artifact(1))
    assert (status, said) == (
        0,
        "The forecast was made by test v0; explained is the forecast of test v1 from the same history.\n",
    )
    lake.replace("buildings", rows_of(lake.spark, "buildings", [place | {"timezone": "Asia/Tokyo"}]))
    status, said = run("explain", "b")
    assert (status, "differs from the issued one by up to" in said) == (0, True)
    assert run("explain", "c") == (2, "wattcast explain: The lake has no live forecast of building c.\n")
    status, said = run("explain", "b", "--at", "2017-06-04")
    assert (status, "with origin 2017-06-04 00:00 UTC" in said) == (2, True)


def test_a_forecast_that_no_model_made_is_a_sentence(run: RunJob, once: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wattcast.cli.models.explain.settings", lambda: once.settings)
    row = {"forecast_id": "f", "building_id": "b", "origin": ORIGIN, "purpose": "live", "issued_at": ORIGIN}
    row |= {f"{level}_kwh": [1.0] for level in ("p10", "p50", "p90")} | {"target_hour": [ORIGIN], "created_at": ORIGIN}
    made_by = {"method": "weekly_profile", "model_name": "none", "model_version": "none", "warnings": ["short_history"]}
    append(once.lake, "forecasts", [row | made_by])
    why = "The forecast of b was made by weekly_profile, not by a model: there is nothing to explain."
    assert run("explain", "b") == (2, f"wattcast explain: {why}\n")


def test_a_lake_that_is_not_there_is_a_sentence(run: RunJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wattcast.cli.models.explain.settings", lambda: Settings(state=tmp_path))
    status, said = run("explain", "b")
    assert (status, said.count("\n")) == (2, 1)
    assert said.startswith("wattcast explain: The table forecasts of the lake cannot be read: ")
