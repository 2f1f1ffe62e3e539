"""The outbox: each live row of `forecasts` becomes one message of the topic forecasts, at least once."""

from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery

from wattcast.contracts import contract
from wattcast.forecasting import messages
from wattcast.job import Job, Run, run


def publish(run: Run) -> list[StreamingQuery]:
    """A repeated message has the `forecast_id` of the first. Backfills stay in the table."""
    topic = run.settings.kafka.forecasts_topic
    run.broker.ensure_topics([topic])
    live = run.lake.stream("forecasts").where(F.col("purpose") == "live")
    return [run.lake.start(run.broker.sink(messages(live, contract("forecast-messages")), topic), query="publish")]


PUBLISH = Job("publish", publish)

if __name__ == "__main__":
    run(PUBLISH)
