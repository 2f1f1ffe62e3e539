"""The outbox: each live row of `forecasts` becomes one message of the topic forecasts, at least once."""

from collections.abc import Sequence

from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery

from wattcast.contracts import contract
from wattcast.messages import messages
from wattcast.runtime.context import Run
from wattcast.runtime.job import Job, run


def publish(run: Run) -> list[StreamingQuery]:
    """A repeated message has the `forecast_id` of the first. Backfills stay in the table."""
    topic = run.settings.kafka.forecasts_topic
    run.broker.ensure_topics([topic])
    live = run.streams.read_stream("forecasts").where(F.col("purpose") == "live")
    return [run.streams.start(run.broker.sink(messages(live, contract("forecast-messages")), topic), query="publish")]


PUBLISH = Job("publish", publish)


def main(argv: Sequence[str] | None = None) -> None:
    run(PUBLISH, name="publish", argv=argv)


if __name__ == "__main__":
    main()
