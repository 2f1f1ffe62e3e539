"""The broker says clearly what is wrong with it."""

import uuid

import pytest
from kafka import KafkaAdminClient, TopicPartition
from pyspark.sql import SparkSession

from wattcast.broker import Broker, BrokerUnreachable, TopicRecreated
from wattcast.embedded.kafka_server import EmbeddedBroker
from wattcast.setting_sections import KafkaSettings


@pytest.fixture
def broker(embedded_broker: EmbeddedBroker) -> Broker:
    return Broker(
        KafkaSettings(bootstrap_servers=embedded_broker.bootstrap_servers, partitions=1, timestamp_type="CreateTime")
    )


@pytest.fixture
def topic(broker: Broker) -> str:
    name = f"topic-{uuid.uuid4().hex[:8]}"
    broker.ensure_topics([name])
    return name


def send(broker: Broker, topic: str, *values: bytes) -> None:
    producer = broker.producer()
    for value in values:
        producer.send(topic, value)
    producer.flush()
    producer.close()


def delete(broker: Broker, topic: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=broker.kafka.bootstrap_servers)
    admin.delete_topics([topic])
    while topic in admin.list_topics():
        pass
    admin.close()


@pytest.mark.parametrize("client", ["producer", "consumer"])
def test_a_broker_that_does_not_answer_is_told_in_one_sentence_with_its_address(client: str) -> None:
    nowhere = Broker(KafkaSettings(bootstrap_servers="127.0.0.1:1", request_timeout_seconds=1))
    with pytest.raises(
        BrokerUnreachable, match=r"^No Kafka broker answers at 127\.0\.0\.1:1 \(\w+\)\. Check that it runs\..*$"
    ):
        getattr(nowhere, client)()


def test_topics_are_made_once_and_keep_their_records_for_ever(broker: Broker, topic: str) -> None:
    send(broker, topic, b"a", b"b")
    broker.ensure_topics([topic])
    assert broker.offsets(topic) == {0: (0, 2)}


def test_a_topic_that_is_not_there_has_no_offsets_and_gets_no_tombstones(broker: Broker) -> None:
    name = f"none-{uuid.uuid4().hex[:8]}"
    assert broker.offsets(name) == {}
    assert (broker.topic_policy(name), broker.send_tombstones(name, [b"b1"])) == ((None, None), 0)


def test_tombstones_go_to_every_partition_of_a_topic_whose_policy_is_known(broker: Broker, topic: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=broker.kafka.bootstrap_servers)
    admin.create_partitions({topic: 2})
    admin.close()
    assert broker.topic_policy(topic) == ("delete", -1)
    assert broker.send_tombstones(topic, [b"b1", b"b2"]) == 4
    consumer = broker.consumer(topic)
    records = {(record.partition, record.key, record.value) for record in (next(consumer) for _ in range(4))}
    consumer.close()
    assert records == {(partition, key, None) for partition in (0, 1) for key in (b"b1", b"b2")}


def test_a_consumer_gets_committed_records_only(broker: Broker, topic: str) -> None:
    producer = broker.producer(transactional_id=f"tx-{topic}")
    producer.init_transactions()
    for value, keep in ((b"aborted", False), (b"kept", True)):
        producer.begin_transaction()
        producer.send(topic, value).get(timeout=30)
        (producer.commit_transaction if keep else producer.abort_transaction)()
    producer.close()
    consumer = broker.consumer(consumer_timeout_ms=10_000)
    consumer.assign([TopicPartition(topic, 0)])
    assert next(consumer).value == b"kept"
    consumer.close()


def test_a_topic_that_was_made_anew_under_the_old_name_fails_loudly(
    spark: SparkSession, broker: Broker, topic: str
) -> None:
    send(broker, topic, b"a", b"b", b"c")
    assert broker.stream(spark, topic, after={0: 2}, max_offsets=10).isStreaming
    delete(broker, topic)
    broker.ensure_topics([topic])
    send(broker, topic, b"d")
    with pytest.raises(TopicRecreated, match=f"{topic}, partition 0, ends before offset 2.*it was recreated"):
        broker.stream(spark, topic, after={0: 2}, max_offsets=10)


def test_a_batch_holds_the_records_from_its_start_to_the_one_before_its_stop(
    spark: SparkSession, broker: Broker, topic: str
) -> None:
    send(broker, topic, b"a", b"b", b"c", b"d")
    rows = broker.batch(spark, topic, starts={"0": 1}, stops={"0": 3}).orderBy("offset").collect()
    assert [bytes(row.value) for row in rows] == [b"b", b"c"]


def test_a_password_reaches_spark_quoted() -> None:
    secured = Broker(
        KafkaSettings(
            bootstrap_servers="b:1", security_protocol="SASL_SSL", username="u", password='p"w\\d', ssl_cafile="/ca.pem"
        )
    )
    options = secured.spark_options()
    assert options["kafka.sasl.jaas.config"].endswith('username="u" password="p\\"w\\\\d";')
    assert options["kafka.sasl.jaas.config"].startswith(
        "org.apache.kafka.common.security.scram.ScramLoginModule required"
    )
    assert (options["kafka.security.protocol"], options["kafka.ssl.truststore.location"]) == ("SASL_SSL", "/ca.pem")
