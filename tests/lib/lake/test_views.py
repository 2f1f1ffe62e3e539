"""The views over the tables."""

from datetime import datetime

from tests.lib.lake.test_tables import hours

from wattcast.lake.views import register_views
from wattcast.runtime.context import Run


def test_the_views_show_the_newest_revision_and_one_row_per_forecast_hour(once: Run) -> None:
    once.lake.append("hourly_usage", lambda _: hours(once, ("b1", 10), ("b1", 11)))
    corrected = hours(once, ("b1", 10)).selectExpr(
        "* EXCEPT (available_at, revision, energy_usage_kwh)",
        "available_at + INTERVAL 1 HOUR AS available_at", "2 AS revision", "9.0 AS energy_usage_kwh",
    )  # fmt: skip
    once.lake.append("hourly_usage", lambda _: corrected)
    register_views(once.lake)
    rows = once.spark.sql("SELECT hour, revision, energy_usage_kwh FROM hourly_usage_latest ORDER BY hour").collect()
    assert [tuple(row) for row in rows] == [(datetime(2017, 6, 1, 10), 2, 9.0), (datetime(2017, 6, 1, 11), 1, 1.0)]
