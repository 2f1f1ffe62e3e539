"""Forecasts of the API are the rows of the table."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
from deltalake import DeltaTable
from tests.lib.serving.conftest import ServedClient, served, settings_of
from tests.lib.serving.http import as_time, get, pages, rows
from tests.lib.serving.lake import END, append, forecasts_of, write_lake


def assert_same_forecast(forecast: dict[str, Any], row: Any) -> None:
    """Check that a forecast of the API equals this row exactly."""
    for name in ("forecast_id", "building_id", "method", "model_name", "model_version"):
        assert forecast[name] == row[name]
    assert [as_time(forecast[name]) for name in ("origin", "issued_at", "created_at")] == [
        row[name] for name in ("origin", "issued_at", "created_at")
    ]
    assert forecast["warnings"] == list(row["warnings"])
    assert [as_time(hour["target_hour"]) for hour in forecast["hours"]] == list(
        pd.DatetimeIndex(row["target_hour"], tz="UTC")
    )
    for level in ("p10_kwh", "p50_kwh", "p90_kwh"):
        assert [hour[level] for hour in forecast["hours"]] == list(row[level])


def test_current_forecast_is_the_newest_row(client: ServedClient, state: Path) -> None:
    forecasts = rows(state, "forecasts")
    for name, of_building in forecasts.groupby("building_id"):
        assert_same_forecast(get(client, f"/v1/buildings/{name}/forecast"), of_building.sort_values("origin").iloc[-1])


def test_forecast_as_of_a_time_is_the_newest_that_had_been_issued(client: ServedClient, state: Path) -> None:
    forecasts = rows(state, "forecasts")
    at = END - timedelta(
        days=3, minutes=56
    )  # four minutes past an hour, one before the forecast of that hour was issued
    expected = (
        forecasts[(forecasts.building_id == "building-0") & (forecasts.issued_at <= at)].sort_values("origin").iloc[-1]
    )
    forecast = get(client, "/v1/buildings/building-0/forecast", as_of=at.isoformat().replace("+00:00", "Z"))
    assert_same_forecast(forecast, expected)
    assert as_time(forecast["origin"]) == END - timedelta(days=3, hours=2)
    assert forecast["is_stale"]


def test_many_forecasts_come_in_pages_and_by_site(client: ServedClient) -> None:
    everywhere = pages(client, "/v1/forecasts", limit=2)
    assert [item["building_id"] for item in everywhere] == [f"building-{number}" for number in range(5)]
    north = get(client, "/v1/forecasts", site="north")["items"]
    assert [item["building_id"] for item in north] == ["building-0", "building-2", "building-4"]
    selected = get(client, "/v1/forecasts", building_id=["building-3", "nowhere", "building-3"])["items"]
    assert [item["building_id"] for item in selected] == ["building-3"]


def test_compacted_table_keeps_its_current_forecasts(tmp_path: Path) -> None:
    names = write_lake(tmp_path / "lake", buildings=3, days=2)
    with served(settings_of(tmp_path)) as client:
        before = get(client, "/v1/forecasts")["items"]
        append(tmp_path / "lake", "forecasts", forecasts_of(names[:1], END + timedelta(hours=1)))
        DeltaTable(str(tmp_path / "lake" / "forecasts")).optimize.compact()
        client.refresh()
        after = get(client, "/v1/forecasts")["items"]
    assert [item["origin"] for item in after] == ["2026-03-15T01:00:00Z", *(item["origin"] for item in before[1:])]
