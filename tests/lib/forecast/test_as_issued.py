"""The context of an issued forecast, read again from the tables, is that from which it was computed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from tests.lib.serving.lake import append, write_lake

from wattcast.forecast.as_issued import load_forecast_as_issued
from wattcast.settings import settings

HOUR = timedelta(hours=1)


def test_hours_that_are_capped_or_implausible_are_missing_as_when_the_forecast_was_issued(tmp_path: Path) -> None:
    (building,) = write_lake(tmp_path / "lake", buildings=1, days=5)
    run = settings().model_copy(update={"state": tmp_path})
    before = load_forecast_as_issued(building, run).context
    origin = datetime.fromtimestamp(before.origin * 3600, UTC)
    flagged = {2: ["capped"], 3: ["surplus"], 4: ["surplus", "implausible"]}
    rows = [
        {
            "building_id": building, "hour": origin - back * HOUR, "available_at": origin - timedelta(minutes=1), "revision": 9,
            "energy_usage_kwh": 5.0, "readings_seen": 1, "readings_expected": 1, "coverage": 1.0, "quality_flags": flags,
            "as_of": origin,
        }
        for back, flags in flagged.items()
    ]  # fmt: skip
    append(tmp_path / "lake", "hourly_usage", rows)
    after = load_forecast_as_issued(building, run).context
    assert before.origin == after.origin
    assert np.isfinite(before.past[-4:, 0]).all()
    assert np.isnan(after.past[[-2, -4], 0]).all()
    assert after.past[-3, 0] == 5
