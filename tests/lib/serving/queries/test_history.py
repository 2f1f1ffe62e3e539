"""The history of a building has the newest revisions and the forecasts of one lead."""

from datetime import timedelta
from pathlib import Path

import pandas as pd
from tests.lib.serving.conftest import ServedClient
from tests.lib.serving.http import as_time, get, rows
from tests.lib.serving.lake import END


def test_history_has_the_newest_revision_and_the_forecast_of_a_lead(client: ServedClient, state: Path) -> None:
    start = END - timedelta(days=14)
    query = {"from": f"{start:%Y-%m-%dT%H:%M:%SZ}", "to": f"{END:%Y-%m-%dT%H:%M:%SZ}", "lead_hours": 3}
    history = pd.DataFrame(get(client, "/v1/buildings/building-0/history", **query)["items"])
    usage = rows(state, "hourly_usage").query("building_id == 'building-0'").sort_values("available_at")
    newest = usage.drop_duplicates("hour", keep="last").sort_values("hour")
    assert list(map(as_time, history.hour)) == list(newest.hour)
    assert list(history.energy_usage_kwh) == list(newest.energy_usage_kwh)
    assert history["flags"].map(list).tolist()[30] == ["partial"]
    forecasts = rows(state, "forecasts").query("building_id == 'building-0'").set_index("origin")
    for row in history.dropna(subset=["p50_kwh"]).itertuples():
        assert row.p50_kwh == forecasts.p50_kwh[as_time(row.hour) - timedelta(hours=2)][2]
    assert history.p50_kwh.notna().sum() == 13 * 24 - 2
