"""The audit with a real broker: a gap is a loss only if it holds a record."""

import json
from dataclasses import replace

import pytest
from delta.tables import DeltaTable
from jobs.ingest import INGEST
from kafka import KafkaAdminClient, TopicPartition
from pyspark.sql import functions as F
from tests.commands import Wattcast
from tests.jobs.steps import at, reading, send, variables, work

from wattcast.ingest.audit import PartitionAudit, audit
from wattcast.runtime.context import Run

ARRIVAL = at("2026-03-01T10:01")
GOOD = reading("b1", "2026-03-01T09:00", 1.0)


def send_in_transactions(run: Run, outcomes: list[str]) -> None:
    """Send two records per transaction, which ends with the given outcome; all go to the partition of one key."""
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
    return [partition for partition in partitions if partition.rows or partition.log_end]


def test_markers_and_aborted_records_are_gaps_but_no_loss(once: Run) -> None:
    topic = once.settings.kafka.readings_topic
    send(once.broker, topic, [b"rubbish"], arrival=ARRIVAL)
    send_in_transactions(once, ["abort", "commit", "abort"])
    send(once.broker, topic, [GOOD], arrival=ARRIVAL)
    send_in_transactions(once, ["commit"])
    work(once, INGEST)
    (partition,) = filled(audit(once, recheck=True))
    # rubbish at 0, aborted 1 and 2, marker 3, committed 4 and 5, 6, aborted 7 and 8, 9, good at 10, committed 11 and 12, 13
    assert partition == PartitionAudit(
        topic=topic, partition=partition.partition, rows=6, accepted=5, rejected=1, first_offset=0, last_offset=12, log_start=0,
        log_end=14, lag=0, duplicates=0, unverifiable=0, lost=(), decided_differently=0,
    )  # fmt: skip
    assert partition.is_clean


def tamper(run: Run) -> None:
    """Delete rows 3, 4 and 6, duplicate row 7, and reject row 8 without a reason."""
    path = run.lake.path("received_readings")
    run.spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ('delta.appendOnly' = 'false')")
    table = DeltaTable.forPath(run.spark, path)
    again = table.toDF().where("kafka_offset = 7").collect()
    table.delete("kafka_offset IN (3, 4, 6)")
    table.update("kafka_offset = 8", {"accepted": F.lit(False), "rejected_for": F.array(F.lit("a_whim"))})
    run.spark.createDataFrame(again, table.toDF().schema).write.format("delta").mode("append").save(path)


@pytest.mark.usefixtures("shared_spark")
def test_lost_duplicate_and_wrongly_decided_rows_are_reported_and_lag_is_no_loss(once: Run, wattcast: Wattcast) -> None:
    topic = once.settings.kafka.readings_topic
    send(once.broker, topic, [GOOD] * 10, arrival=ARRIVAL)
    work(once, INGEST)
    audited = wattcast("audit", "--json", "--recheck", **variables(once))
    assert (audited.status, json.loads(audited.out)["clean"]) == (0, True)
    tamper(once)
    send(once.broker, topic, [GOOD] * 2, arrival=ARRIVAL)
    (partition,) = filled(audit(once, recheck=True))
    assert partition == PartitionAudit(
        topic=topic, partition=partition.partition, rows=8, accepted=7, rejected=1, first_offset=0, last_offset=9, log_start=0,
        log_end=12, lag=2, duplicates=1, unverifiable=0, lost=((3, 4), (6, 6)), decided_differently=1,
    )  # fmt: skip
    audited = wattcast("audit", "--json", **variables(once))
    report = json.loads(audited.out)
    assert (audited.status, report["clean"]) == (1, False)
    (with_rows,) = [partition for partition in report["partitions"] if partition["rows"]]
    assert (with_rows["lost"], with_rows["doubled"], with_rows["decided_otherwise"]) == ([[3, 4], [6, 6]], 1, None)
    delete_records(once, partition.partition, before=5)
    (later,) = filled(audit(once, recheck=True))
    assert later == replace(partition, log_start=5, unverifiable=2, lost=((6, 6),))
    delete_records(once, partition.partition, before=11)
    (last,) = filled(audit(once))
    assert last == replace(partition, log_start=11, lag=1, unverifiable=4, lost=(), decided_differently=None)


def delete_records(run: Run, partition: int, *, before: int) -> None:
    admin = KafkaAdminClient(bootstrap_servers=run.broker.kafka.bootstrap_servers)
    admin.delete_records({TopicPartition(run.settings.kafka.readings_topic, partition): before})
    admin.close()


@pytest.mark.usefixtures("shared_spark")
def test_records_that_were_deleted_before_they_were_read_are_not_clean(once: Run, wattcast: Wattcast) -> None:
    topic = once.settings.kafka.readings_topic
    send(once.broker, topic, [GOOD] * 50, arrival=ARRIVAL)
    (number,) = (number for number, (_, end) in once.broker.offsets(topic).items() if end)
    delete_records(once, number, before=50)
    (unread,) = filled(audit(once))
    assert (unread.rows, unread.lag, unread.unverifiable, unread.is_clean) == (0, 0, 50, False)
    audited = wattcast("audit", **variables(once))
    assert audited.status == 1
    reason = "because they were deleted from the topic before they were read"
    assert f"{topic}, partition {number}: 50 offsets CANNOT BE VERIFIED, {reason}." in " ".join(audited.out.split())
    send(once.broker, topic, [GOOD] * 2, arrival=ARRIVAL)
    work(once, INGEST)
    send(once.broker, topic, [GOOD] * 4, arrival=ARRIVAL)
    delete_records(once, number, before=55)
    (behind,) = filled(audit(once))
    assert (behind.rows, behind.lag, behind.unverifiable, behind.is_clean) == (2, 1, 3, False)
