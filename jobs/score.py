"""Scores: each forecast hour whose actual energy arrived or was corrected, appended to `forecast_scores`."""

from collections.abc import Sequence
from functools import partial

from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery

from wattcast.runtime.context import Run
from wattcast.runtime.job import Job, run
from wattcast.scoring.pending import pending_scores


def score(run: Run) -> list[StreamingQuery]:
    """Triggered by new hours, and also by new forecasts, since a backfill comes after the hours that it forecasts."""
    hours = run.streams.read_stream("hourly_usage").select("building_id", "hour")
    forecasts = run.streams.read_stream("forecasts").select("building_id", F.explode("target_hour").alias("hour"))
    return [
        run.streams.append_pending(
            "forecast_scores",
            trigger=hours.union(forecasts),
            pending=partial(pending_scores, run),
            query="score",
            seconds=run.settings.batch.scoring_seconds,
        )
    ]


SCORE = Job("score", score)


def main(argv: Sequence[str] | None = None) -> None:
    run(SCORE, name="score", argv=argv)


if __name__ == "__main__":
    main()
