"""Kafka records into `received_readings` and `received_weather_forecasts`: one row each, accepted or rejected."""

from pyspark.sql import DataFrame
from pyspark.sql.streaming.query import StreamingQuery

from wattcast.contracts import contract
from wattcast.job import Job, Run, run
from wattcast.readings import received


def ingest(run: Run) -> list[StreamingQuery]:
    """One query per topic; each record becomes one row, exactly once."""
    topics = run.settings.kafka
    run.broker.ensure_topics([topics.readings_topic, topics.weather_forecasts_topic])
    buildings = run.lake.table("buildings")
    return [
        _ledger(run, topics.readings_topic, "readings", table="received_readings", query="ingest", metadata=buildings),
        _ledger(
            run,
            topics.weather_forecasts_topic,
            "weather-forecasts",
            table="received_weather_forecasts",
            query="ingest-weather",
        ),
    ]


def _ledger(
    run: Run, topic: str, rules: str, *, table: str, query: str, metadata: DataFrame | None = None
) -> StreamingQuery:
    after = run.lake.received_offsets(table, topic=topic, query=query)
    records = run.broker.stream(run.spark, topic, after=after, max_offsets=run.settings.batch.max_offsets_per_batch)
    rows = received(records, topic=contract(rules), table=contract(table), metadata=metadata)
    return run.lake.append_stream(table, rows, query=query)


INGEST = Job("ingest", ingest)

if __name__ == "__main__":
    run(INGEST)
