"""A recreated topic of readings stops ingest, and the steps of the runbook after that."""

import shutil

import pytest
from jobs.ingest import INGEST
from tests.jobs.steps import at, reading, recreate, send, work

from wattcast.broker import TopicRecreated
from wattcast.ingest.audit import audit
from wattcast.ingest.topics import stored_source
from wattcast.runtime.context import Run, build_run

ARRIVAL = at("2026-03-01T12:00")


def with_topic(run: Run, topic: str) -> Run:
    """The same lake, with readings from another topic."""
    settings = run.settings.with_changes(kafka={"readings_topic": topic})
    return build_run(run.spark, settings, once=True)


def received(run: Run) -> list[tuple[str, int, str]]:
    rows = run.lake.table("received_readings").orderBy("kafka_topic", "kafka_offset").collect()
    return [(row.kafka_topic, row.kafka_offset, row.building_id) for row in rows]


def test_topic_of_a_new_name_is_read_from_its_beginning_by_a_new_query(once: Run) -> None:
    old = once.settings.kafka.readings_topic
    new = f"{old}-new"
    send(once.broker, old, [reading(name, "2026-03-01T10:00", 1) for name in ("a", "b", "c")], arrival=ARRIVAL)
    work(once, INGEST)
    once.close()
    send(once.broker, new, [reading("d", "2026-03-01T11:00", 1)], arrival=ARRIVAL)
    shutil.rmtree(f"{once.settings.checkpoints_uri}/ingest")
    renamed = with_topic(once, new)
    work(renamed, INGEST)
    renamed.close()
    assert received(once) == [(old, 0, "a"), (old, 1, "b"), (old, 2, "c"), (new, 0, "d")]


def forget_topic(run: Run) -> None:
    """Take the id of the topic out of the table, as an earlier release left it."""
    path = run.lake.path("received_readings")
    name = f"wattcast.topic.{run.settings.kafka.readings_topic}"
    run.spark.sql(f"ALTER TABLE delta.`{path}` UNSET TBLPROPERTIES ('{name}')")


def test_a_recreated_topic_that_has_outgrown_the_old_one_stops_ingest_and_is_not_clean(once: Run) -> None:
    topic = once.settings.kafka.readings_topic
    send(once.broker, topic, [reading("old", "2026-03-01T10:00", 1)] * 3, arrival=ARRIVAL)
    work(once, INGEST)
    forget_topic(once)
    work(once, INGEST)
    assert stored_source(once.lake, "received_readings", topic) is not None
    recreate(once, topic)
    send(once.broker, topic, [reading("new", "2026-03-01T11:00", 1)] * 5, arrival=ARRIVAL)
    with pytest.raises(TopicRecreated, match=f"^Topic {topic} was recreated"):
        work(once, INGEST)
    assert [building for _, _, building in received(once)] == ["old"] * 3
    for recheck in (False, True):
        partitions = [partition for partition in audit(once, recheck=recheck) if partition.topic == topic]
        assert {(partition.is_recreated, partition.is_clean) for partition in partitions} == {(True, False)}


def test_a_topic_that_was_recreated_before_a_record_was_read_is_read(once: Run) -> None:
    topic = once.settings.kafka.readings_topic
    work(once, INGEST)
    recreate(once, topic)
    send(once.broker, topic, [reading("a", "2026-03-01T10:00", 1)], arrival=ARRIVAL)
    work(once, INGEST)
    assert received(once) == [(topic, 0, "a")]
    assert all(partition.is_clean for partition in audit(once))
