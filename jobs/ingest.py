"""Kafka records into `received_readings` and `received_weather_forecasts`: one row each, accepted or rejected."""

from collections.abc import Sequence
from functools import partial

from pyspark.sql import DataFrame
from pyspark.sql.streaming.query import StreamingQuery

from wattcast.contracts import contract
from wattcast.ingest.limited_batches import rows_within_quotas
from wattcast.ingest.topics import verify_source
from wattcast.ingest.validation import received_rows
from wattcast.runtime.context import Run
from wattcast.runtime.job import Job, run


def ingest(run: Run) -> list[StreamingQuery]:
    """One query per topic; each record becomes one row, exactly once."""
    kafka = run.settings.kafka
    run.broker.ensure_topics([kafka.readings_topic, kafka.weather_forecasts_topic])
    rows_of_readings = partial(
        received_rows, topic=contract("readings"), table=contract("received_readings"), metadata=run.lake.table("buildings"),
        only_known=run.settings.buildings.only_known,
    )  # fmt: skip
    rows_of_weather = partial(
        received_rows, topic=contract("weather-forecasts"), table=contract("received_weather_forecasts")
    )
    readings = _records(run, kafka.readings_topic, "received_readings", "ingest")
    weather = _records(run, kafka.weather_forecasts_topic, "received_weather_forecasts", "ingest-weather")
    append = run.streams.append_stream
    return [
        append(
            "received_readings",
            readings,
            query="ingest",
            rows_of_batch=partial(rows_within_quotas, run, rows_of_readings),
        )
        if run.settings.quotas.is_set
        else append("received_readings", rows_of_readings(readings), query="ingest"),
        append("received_weather_forecasts", rows_of_weather(weather), query="ingest-weather"),
    ]


def _records(run: Run, topic: str, table: str, query: str) -> DataFrame:
    """The records of a topic that are not in its table yet."""
    verify_source(run, table=table, topic=topic, query=query)
    offsets = run.streams.received_offsets(table, topic=topic, query=query)
    return run.broker.stream(run.spark, topic, after=offsets, max_offsets=run.settings.batch.max_offsets_per_batch)


INGEST = Job("ingest", ingest)


def main(argv: Sequence[str] | None = None) -> None:
    run(INGEST, name="ingest", argv=argv)


if __name__ == "__main__":
    main()
