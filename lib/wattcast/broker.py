"""The one module that knows Kafka: topics, producers, consumers, and the options with which Spark reads and writes them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from wattcast.settings import KafkaSettings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming.readwriter import DataStreamWriter

EARLIEST = -2
MAX_MESSAGE_BYTES = 2 * 1024 * 1024


class BrokerUnreachable(Exception):
    """No Kafka broker answers where the settings say."""


class TopicRecreated(Exception):
    """The topic holds fewer records than have been received from it: it is another topic under the old name."""


@dataclass(frozen=True)
class Broker:
    """A Kafka cluster, by its settings."""

    kafka: KafkaSettings

    def producer(self, **options: Any) -> KafkaProducer:
        """An idempotent producer; keys and values are bytes."""
        defaults = {
            "acks": "all", "enable_idempotence": True, "linger_ms": 20, "batch_size": 256 * 1024,
            "max_request_size": MAX_MESSAGE_BYTES,
        }  # fmt: skip
        return _reached(KafkaProducer, self.kafka, defaults | options)

    def consumer(self, *topics: str, **options: Any) -> KafkaConsumer:
        """A consumer of committed records only, from the beginning unless told otherwise, that commits no offsets."""
        defaults = {"auto_offset_reset": "earliest", "enable_auto_commit": False, "isolation_level": "read_committed"}
        consumer = _reached(KafkaConsumer, self.kafka, defaults | options)
        if topics:
            consumer.subscribe(list(topics))
        return consumer

    def ensure_topics(self, names: Iterable[str]) -> None:
        """Create the topics that are missing. Records stay for ever: the lake is built from them."""
        config = {
            "retention.ms": "-1",
            "message.timestamp.type": self.kafka.timestamp_type,
            "max.message.bytes": str(MAX_MESSAGE_BYTES),
        }
        admin = _reached(KafkaAdminClient, self.kafka, {})
        try:
            existing = set(admin.list_topics())
            for name in sorted(set(names) - existing):
                topic = NewTopic(name, self.kafka.partitions, self.kafka.replication_factor, topic_configs=config)
                try:
                    admin.create_topics([topic])
                except TopicAlreadyExistsError:
                    continue  # another process was faster
            if missing := sorted(set(names) - existing):
                admin.wait_for_topics(missing)
        finally:
            admin.close()

    def offsets(self, topic: str) -> dict[int, tuple[int, int]]:
        """By partition, the first offset that the broker still holds and the next that it will give."""
        consumer = self.consumer()
        try:
            partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
            first, end = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
            return {p.partition: (first[p], end[p]) for p in partitions}
        finally:
            consumer.close()

    def stream(self, spark: "SparkSession", topic: str, *, after: Mapping[int, int], max_offsets: int) -> "DataFrame":
        """Committed records of a topic, at most `max_offsets` a batch. A query without a checkpoint starts behind the offsets of
        `after` (partition to last offset), or at the beginning.

        Raises:
            TopicRecreated: `after` lies beyond the end of the topic.
        """
        ends = self.offsets(topic)
        for partition, last in after.items():
            if last >= ends.get(partition, (0, 0))[1]:
                raise TopicRecreated(
                    f"Topic {topic}, partition {partition}, ends before offset {last}, which was received from it: "
                    "it was recreated. Give readings a topic of a new name, or start with an empty lake."
                )
        starting = {topic: {str(p): after[p] + 1 if p in after else EARLIEST for p in ends}}
        reader = spark.readStream.format("kafka").options(**self.spark_options())
        return reader.options(
            **{
                "subscribe": topic,
                "startingOffsets": json.dumps(starting),
                "maxOffsetsPerTrigger": str(max_offsets),
                "failOnDataLoss": "true",
                "kafka.isolation.level": "read_committed",
            }
        ).load()

    def batch(
        self, spark: "SparkSession", topic: str, *, starts: Mapping[str, int], stops: Mapping[str, int]
    ) -> "DataFrame":
        """Committed records of a topic from the offset in `starts` to the one before that in `stops`, by partition."""
        partitions = sorted(int(number) for number in starts)
        reader = spark.read.format("kafka").options(**self.spark_options())
        return reader.options(
            **{
                "assign": json.dumps({topic: partitions}),
                "startingOffsets": json.dumps({topic: dict(starts)}),
                "endingOffsets": json.dumps({topic: dict(stops)}),
                "kafka.isolation.level": "read_committed",
            }
        ).load()

    def sink(self, messages: "DataFrame", topic: str) -> "DataStreamWriter":
        """A writer of messages (key, value) to a topic, at least once each."""
        writer = messages.writeStream.format("kafka").options(**self.spark_options())
        return writer.option("topic", topic).option("kafka.compression.type", "lz4")

    def spark_options(self) -> dict[str, str]:
        """Options of Spark's Kafka source and sink."""
        options = {"kafka.bootstrap.servers": self.kafka.bootstrap_servers}
        options["kafka.security.protocol"] = self.kafka.security_protocol
        if self.kafka.security_protocol.startswith("SASL"):
            module = "plain.Plain" if self.kafka.sasl_mechanism == "PLAIN" else "scram.Scram"
            options["kafka.sasl.mechanism"] = self.kafka.sasl_mechanism
            options["kafka.sasl.jaas.config"] = (
                f"org.apache.kafka.common.security.{module}LoginModule required "
                f'username="{_escaped(self.kafka.username)}" password="{_escaped(self.kafka.password.get_secret_value())}";'
            )
        if self.kafka.ssl_cafile:
            options |= {"kafka.ssl.truststore.type": "PEM", "kafka.ssl.truststore.location": self.kafka.ssl_cafile}
        return options


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _reached(client: type, kafka: KafkaSettings, options: Mapping[str, Any]) -> Any:
    connection: dict[str, Any] = {
        "bootstrap_servers": kafka.bootstrap_servers.split(","),
        "security_protocol": kafka.security_protocol,
        "request_timeout_ms": kafka.request_timeout_seconds * 1000,
        "bootstrap_timeout_ms": kafka.request_timeout_seconds * 1000,
    }
    if kafka.security_protocol.startswith("SASL"):
        connection |= {
            "sasl_mechanism": kafka.sasl_mechanism,
            "sasl_plain_username": kafka.username,
            "sasl_plain_password": kafka.password.get_secret_value(),
        }
    if kafka.ssl_cafile:
        connection["ssl_cafile"] = kafka.ssl_cafile
    try:
        return client(**(connection | dict(options)))
    except (KafkaError, ValueError) as error:  # ValueError: an address that is none
        way = kafka.security_protocol
        also = (
            ""
            if way == "PLAINTEXT"
            else f", does it speak {way}, and are user, password and certificate authority right"
        )
        raise BrokerUnreachable(
            f"No Kafka broker answers at {kafka.bootstrap_servers} ({type(error).__name__}): is it up{also}? "
            "`wattcast status` tells."
        ) from error
