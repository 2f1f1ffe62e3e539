"""The topics that a ledger was read from: their ids, kept as properties of its table, and where reading began.

A topic that was deleted and created again has the same name and another id. Its records repeat offsets that the ledger holds.
"""

from collections.abc import Mapping

from pyspark.sql import functions as F

from wattcast.broker import TopicRecreated, check_ends
from wattcast.ingest.topic_source import TopicSource, property_name
from wattcast.lake.offsets import received_ranges
from wattcast.lake.tables import LakeTables
from wattcast.runtime.context import Run


def stored_source(lake: LakeTables, table: str, topic: str) -> TopicSource | None:
    """The topic that a ledger was read from under this name; None if it was not read yet, or by an earlier release only."""
    return TopicSource.of(lake.properties(table), topic)


def verify_source(run: Run, *, table: str, topic: str, query: str) -> None:
    """Check that a topic is the one that its ledger was read from, and store it where nothing is stored.

    Raises:
        TopicRecreated: it is another one, and the ledger has rows of the first.
    """
    stored, id = stored_source(run.lake, table, topic), run.broker.topic_id(topic)
    if stored is not None and id is not None and stored.id == id:
        return
    spans, offsets = _spans(run.lake, table, topic), run.broker.offsets(topic)
    if stored is not None and stored.is_other(id) and spans:
        raise TopicRecreated(
            f"Topic {topic} was recreated: its id is {id}, but {table} has records of the topic with the id {stored.id}, and "
            "offsets that began again would be taken for those. Use a topic with a new name and remove the checkpoint "
            f"{run.settings.checkpoints_uri}/{query}, or start with an empty lake and without checkpoints."
        )
    check_ends(topic, offsets, {partition: last for partition, (_, last) in spans.items()})
    if stored is None or id is not None:
        source = TopicSource(id, _starts(offsets, spans))
        run.lake.set_properties(table, {property_name(topic): source.as_property})


def _starts(offsets: Mapping[int, tuple[int, int]], spans: Mapping[int, tuple[int, int]]) -> dict[int, int]:
    """By partition, the first offset that could be read: what the broker has now if nothing was read before."""
    if not spans:
        return {partition: start for partition, (start, _) in offsets.items()}
    return {partition: spans[partition][0] if partition in spans else 0 for partition in offsets}


def _spans(lake: LakeTables, table: str, topic: str) -> dict[int, tuple[int, int]]:
    """By partition, the first and the last offset of a topic that its ledger has received."""
    ranges = received_ranges(lake.table(table), lake.table("erasures")).where(F.col("kafka_topic") == topic)
    first, last = F.min("first_offset").alias("first"), F.max("last_offset").alias("last")
    spans = ranges.groupBy("kafka_partition").agg(first, last).collect()
    return {row.kafka_partition: (row["first"], row["last"]) for row in spans}
