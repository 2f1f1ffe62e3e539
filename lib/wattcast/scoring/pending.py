"""The scores that `forecast_scores` lacks, read from the tables of the lake."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from wattcast.lake.tables import Snapshot
from wattcast.runtime.context import Run
from wattcast.scoring.scores import ScoringTables, pending_score_rows


def pending_scores(run: Run, touched: DataFrame, existing: Snapshot) -> DataFrame | None:
    """The scores that the touched (building_id, hour) lack; None while there are no hours. An hour of a forecast that has not
    ended yet has no score."""
    hourly = run.lake.snapshot("hourly_usage")
    (newest,) = run.lake.newest_times(hourly, "hour")
    if newest is None:
        return None
    tables = ScoringTables(
        forecasts=run.lake.snapshot("forecasts").frame,
        hourly=hourly.frame,
        existing=existing.frame,
        buildings=run.lake.table("buildings"),
    )
    is_over = F.col("hour") <= F.lit(newest)
    return pending_score_rows(tables, touched=touched.where(is_over), lead_hours=run.settings.forecasting.lead_hours)
