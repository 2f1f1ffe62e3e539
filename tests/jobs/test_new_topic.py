"""What the runbook says to do when the topic of readings was made anew."""

import shutil
from dataclasses import replace

from tests.jobs.steps import at, reading, send, work

from ingest import INGEST
from wattcast.broker import Broker
from wattcast.job import Run
from wattcast.lakehouse import Lakehouse

ARRIVAL = at("2026-03-01T12:00")


def with_topic(run: Run, topic: str) -> Run:
    """The same lake, with readings from another topic."""
    settings = run.settings.with_changes(kafka={"readings_topic": topic})
    return replace(
        run, lake=Lakehouse(run.spark, settings, once=True), broker=Broker(settings.kafka), settings=settings
    )


def received(run: Run) -> list[tuple[str, int, str]]:
    rows = run.lake.table("received_readings").orderBy("kafka_topic", "kafka_offset").collect()
    return [(row.kafka_topic, row.kafka_offset, row.building_id) for row in rows]


def test_topic_of_a_new_name_is_read_from_its_beginning_by_a_new_query(once: Run) -> None:
    old = once.settings.kafka.readings_topic
    new = f"{old}-anew"
    send(once.broker, old, [reading(name, "2026-03-01T10:00", 1) for name in ("a", "b", "c")], arrival=ARRIVAL)
    work(once, INGEST)
    once.lake.close()
    send(once.broker, new, [reading("d", "2026-03-01T11:00", 1)], arrival=ARRIVAL)
    shutil.rmtree(f"{once.settings.checkpoints_uri}/ingest")
    renamed = with_topic(once, new)
    work(renamed, INGEST)
    renamed.lake.close()
    assert received(once) == [(old, 0, "a"), (old, 1, "b"), (old, 2, "c"), (new, 0, "d")]
