"""Kafka: topics, producers, consumers, and the options with which Spark reads and writes topics."""

import json
import logging
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from wattcast.errors import FAILED
from wattcast.setting_sections import KafkaSettings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming.readwriter import DataStreamWriter

EARLIEST = -2
NO_ID = uuid.UUID(int=0)
MAX_MESSAGE_BYTES = 2 * 1024 * 1024


class BrokerUnreachable(Exception):
    """No Kafka broker answers at the address of the settings."""

    exit_status = FAILED


class TopicRecreated(Exception):
    """The topic is not the one that records were received from: it was deleted and created again under the same name."""

    exit_status = FAILED


@dataclass(frozen=True)
class Broker:
    """The Kafka cluster of the settings."""

    kafka: KafkaSettings

    def producer(self, **options: Any) -> KafkaProducer:
        """An idempotent producer; keys and values are bytes."""
        defaults = {
            "acks": "all", "enable_idempotence": True, "linger_ms": 20, "batch_size": 256 * 1024,
            "max_request_size": MAX_MESSAGE_BYTES,
        }  # fmt: skip
        return _connect(KafkaProducer, self.kafka, defaults | options)

    def consumer(self, *topics: str, **options: Any) -> KafkaConsumer:
        """A consumer of committed records that commits no offsets; by default it starts at the beginning."""
        defaults = {"auto_offset_reset": "earliest", "enable_auto_commit": False, "isolation_level": "read_committed"}
        consumer = _connect(KafkaConsumer, self.kafka, defaults | options)
        if topics:
            consumer.subscribe(list(topics))
        return consumer

    def ensure_topics(self, names: Iterable[str]) -> None:
        """Create the topics that do not exist. Records are kept without limit: the lake is built from them."""
        config = {
            "retention.ms": "-1",
            "message.timestamp.type": self.kafka.timestamp_type,
            "max.message.bytes": str(MAX_MESSAGE_BYTES),
        }
        admin = _connect(KafkaAdminClient, self.kafka, {})
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

    def topic_id(self, topic: str) -> str | None:
        """The id of a topic, which a topic of the same name does not share (KIP-516); None if the broker has none of it."""
        admin = _connect(KafkaAdminClient, self.kafka, {})
        try:
            (described,) = admin.describe_topics([topic])
        finally:
            admin.close()
        number = uuid.UUID(str(described.get("topic_id") or NO_ID))
        return None if described["error_code"] or number == NO_ID else str(number)

    def topic_policy(self, topic: str) -> tuple[str | None, int | None]:
        """How a topic deletes messages: its `cleanup.policy` and its `retention.ms`, -1 for never. None where there is no such
        topic, or this user may not read its configuration."""
        admin = _connect(KafkaAdminClient, self.kafka, {})
        try:
            described = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)], config_filter="all")
        finally:
            admin.close()
        config = {name: entry["value"] for name, entry in described.get("topic", {}).get(topic, {}).items()}
        retention_ms = config.get("retention.ms")
        return config.get("cleanup.policy"), None if retention_ms is None else int(retention_ms)

    def send_tombstones(self, topic: str, keys: Sequence[bytes]) -> int:
        """Send a message without value for each key, and return how many: to every partition of a topic, since the partition of
        a key depends on the producer, and on how many there were. A topic that does not exist gets none."""
        partitions = self.offsets(topic) if keys else {}
        if not partitions:
            return 0
        producer = self.producer()
        try:
            sent = [producer.send(topic, key=key, value=None, partition=p) for key in keys for p in partitions]
            for record in sent:
                record.get(timeout=self.kafka.request_timeout_seconds)
        finally:
            producer.close()
        return len(sent)

    def is_reachable(self, within_seconds: int = 5) -> bool:
        """Whether the broker answers a client. The client logs nothing, since it is expected to fail."""
        seconds = min(within_seconds, self.kafka.request_timeout_seconds)
        client_log = logging.getLogger("kafka")
        level = client_log.level
        client_log.setLevel(logging.CRITICAL)
        try:
            _connect(KafkaAdminClient, self.kafka.model_copy(update={"request_timeout_seconds": seconds}), {}).close()
        except BrokerUnreachable:
            return False
        finally:
            client_log.setLevel(level)
        return True

    def offsets(self, topic: str) -> dict[int, tuple[int, int]]:
        """By partition, the first offset that the broker still has and the offset of the next record."""
        consumer = self.consumer()
        try:
            partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
            first, end = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
            return {p.partition: (first[p], end[p]) for p in partitions}
        finally:
            consumer.close()

    def stream(self, spark: "SparkSession", topic: str, *, after: Mapping[int, int], max_offsets: int) -> "DataFrame":
        """Committed records of a topic, at most `max_offsets` per batch. A query without a checkpoint starts after the offsets in
        `after` (the last received offset by partition), or at the beginning.

        Raises:
            TopicRecreated: `after` lies beyond the end of the topic.
        """
        ends = self.offsets(topic)
        check_ends(topic, ends, after)
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
        """Committed records of a topic, by partition from the offset in `starts` to before the offset in `stops`."""
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
        """A writer that sends each row (key, value) to a topic, at least once."""
        writer = messages.writeStream.format("kafka").options(**self.spark_options())
        return writer.option("topic", topic).option("kafka.compression.type", "lz4")

    def spark_options(self) -> dict[str, str]:
        """Options of Spark's Kafka source and sink."""
        options = {"kafka.bootstrap.servers": self.kafka.bootstrap_servers}
        options["kafka.security.protocol"] = self.kafka.security_protocol
        options["kafka.request.timeout.ms"] = str(self.kafka.request_timeout_seconds * 1000)
        options["kafka.default.api.timeout.ms"] = str(self.kafka.request_timeout_seconds * 2000)
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


def check_ends(topic: str, offsets: Mapping[int, tuple[int, int]], received: Mapping[int, int]) -> None:
    """Check that a topic with these `offsets` still has the last received offset of each partition.

    Raises:
        TopicRecreated: it ends before one of them.
    """
    for partition, last in received.items():
        if last >= offsets.get(partition, (0, 0))[1]:
            raise TopicRecreated(
                f"Topic {topic}, partition {partition}, ends before offset {last}, which was received from it: "
                "it was recreated. Use a topic with a new name, or start with an empty lake."
            )


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _connect(client: type, kafka: KafkaSettings, options: Mapping[str, Any]) -> Any:
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
    except (KafkaError, ValueError) as error:  # ValueError: an invalid address
        protocol = kafka.security_protocol
        also = (
            ""
            if protocol == "PLAINTEXT"
            else f" with {protocol}, and that user, password and certificate authority are right"
        )
        raise BrokerUnreachable(
            f"No Kafka broker answers at {kafka.bootstrap_servers} ({type(error).__name__}). Check that it runs{also}. "
            "`wattcast status` shows whether it answers."
        ) from error
