"""The audit against a real broker: a gap is a loss only if a record is in it."""

import json
from dataclasses import replace

from delta.tables import DeltaTable
from kafka import KafkaAdminClient, TopicPartition
from pyspark.sql import functions as F
from tests.jobs.steps import at, command, reading, send, work

from ingest import INGEST
from wattcast.audit import PartitionAudit, audit
from wattcast.job import Run

ARRIVAL = at("2026-03-01T10:01")
GOOD = reading("b1", "2026-03-01T09:00", 1.0)


def send_in_transactions(run: Run, outcomes: list[str]) -> None:
    """Two records per transaction, each with that outcome, all in the partition of one key."""
    producer = run.broker.producer(transactional_id=run.settings.kafka.readings_topic)
    producer.init_transactions()
    for outcome in outcomes:
        producer.begin_transaction()
        for _ in range(2):
            producer.send(
                run.settings.kafka.readings_topic, key=b"b", value=GOOD, timestamp_ms=int(ARRIVAL.timestamp() * 1000)
            )
        producer.flush()
        producer.commit_transaction() if outcome == "commit" else producer.abort_transaction()
    producer.close()


def filled(partitions: list[PartitionAudit]) -> list[PartitionAudit]:
    return [each for each in partitions if each.rows or each.ends]


def test_markers_and_aborted_records_are_gaps_but_no_loss(once: Run) -> None:
    topic = once.settings.kafka.readings_topic
    send(once.broker, topic, [b"rubbish"], arrival=ARRIVAL)
    send_in_transactions(once, ["abort", "commit", "abort"])
    send(once.broker, topic, [GOOD], arrival=ARRIVAL)
    send_in_transactions(once, ["commit"])
    work(once, INGEST)
    (found,) = filled(audit(once, recheck=True))
    # rubbish at 0, aborted 1 and 2, marker 3, committed 4 and 5, 6, aborted 7 and 8, 9, good at 10, committed 11 and 12, 13
    assert found == PartitionAudit(
        topic=topic, partition=found.partition, rows=6, accepted=5, rejected=1, first_offset=0, last_offset=12, begins=0,
        ends=14, lag=0, doubled=0, unverifiable=0, lost=(), decided_otherwise=0,
    )  # fmt: skip
    assert found.is_clean


def tamper(run: Run) -> None:
    """Rows 3, 4 and 6 are gone, row 7 is there twice, and row 8 was rejected for nothing."""
    path = run.lake.path("received_readings")
    run.spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ('delta.appendOnly' = 'false')")
    table = DeltaTable.forPath(run.spark, path)
    again = table.toDF().where("kafka_offset = 7").collect()
    table.delete("kafka_offset IN (3, 4, 6)")
    table.update("kafka_offset = 8", {"accepted": F.lit(False), "rejected_for": F.array(F.lit("a_whim"))})
    run.spark.createDataFrame(again, table.toDF().schema).write.format("delta").mode("append").save(path)


def test_lost_doubled_and_wrongly_judged_rows_are_found_and_lag_is_no_loss(once: Run) -> None:
    topic = once.settings.kafka.readings_topic
    send(once.broker, topic, [GOOD] * 10, arrival=ARRIVAL)
    work(once, INGEST)
    with command(once, "audit", "--json", "--recheck") as process:
        said, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    assert json.loads(said)["clean"] is True
    tamper(once)
    send(once.broker, topic, [GOOD] * 2, arrival=ARRIVAL)
    (found,) = filled(audit(once, recheck=True))
    assert found == PartitionAudit(
        topic=topic, partition=found.partition, rows=8, accepted=7, rejected=1, first_offset=0, last_offset=9, begins=0,
        ends=12, lag=2, doubled=1, unverifiable=0, lost=((3, 4), (6, 6)), decided_otherwise=1,
    )  # fmt: skip
    with command(once, "audit", "--json") as process:
        said, _ = process.communicate(timeout=300)
    assert process.returncode == 1
    told = json.loads(said)
    assert told["clean"] is False
    (shown,) = [each for each in told["partitions"] if each["rows"]]
    assert (shown["lost"], shown["doubled"], shown["decided_otherwise"]) == ([[3, 4], [6, 6]], 1, None)
    delete_records(once, found.partition, before=5)
    (later,) = filled(audit(once, recheck=True))
    assert later == replace(found, begins=5, unverifiable=2, lost=((6, 6),))
    delete_records(once, found.partition, before=11)
    (last,) = filled(audit(once))
    assert last == replace(found, begins=11, lag=1, unverifiable=4, lost=(), decided_otherwise=None)


def delete_records(run: Run, partition: int, *, before: int) -> None:
    admin = KafkaAdminClient(bootstrap_servers=run.broker.kafka.bootstrap_servers)
    admin.delete_records({TopicPartition(run.settings.kafka.readings_topic, partition): before})
    admin.close()
