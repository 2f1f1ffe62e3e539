"""Scores: each hour of a forecast whose energy came to be known or was corrected, appended to `forecast_scores`."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery

from wattcast.accuracy import wanted_scores
from wattcast.job import Job, Run, run
from wattcast.lakehouse import Snapshot


def score(run: Run) -> list[StreamingQuery]:
    """Driven by new hours, and by new forecasts too, since a backfill comes after what it forecasts."""
    hours = run.lake.stream("hourly_usage").select("building_id", "hour")
    forecast = run.lake.stream("forecasts").select("building_id", F.explode("target_hour").alias("hour"))
    return [
        run.lake.append_wanted(
            "forecast_scores", on=hours.union(forecast), query="score", seconds=run.settings.batch.scoring_seconds,
            wanted=lambda batch, existing: missing(run, batch, existing),
        )
    ]  # fmt: skip


def missing(run: Run, touched: DataFrame, existing: Snapshot) -> DataFrame | None:
    """The scores that the touched hours lack; None where none of them is over."""
    hourly = run.lake.snapshot("hourly_usage")
    (newest,) = run.lake.newest(hourly, "hour")
    if newest is None:
        return None
    return wanted_scores(
        run.lake.snapshot("forecasts").frame,
        touched=touched.where(F.col("hour") <= F.lit(newest)),
        hourly=hourly.frame, existing=existing.frame, buildings=run.lake.table("buildings"),
        lead_hours=run.settings.forecasting.lead_hours,
    )  # fmt: skip


SCORE = Job("score", score)

if __name__ == "__main__":
    run(SCORE)
