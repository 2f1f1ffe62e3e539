"""Sends the records of a run to Kafka beside everything else that happens."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor

from tests.chaos.judge.evidence import Sent
from tests.chaos.source import Source

from wattcast.broker import Broker
from wattcast.setting_sections import KafkaSettings

SECONDS_PER_HOUR = 0.3  # between two hours of arrival, so that they fall into several batches


class Feed:
    """Sends hours of arrival, each acknowledged before the next one, so that no partition runs ahead of the others."""

    def __init__(self, source: Source, topic: str) -> None:
        self.sent: list[Sent] = []
        self._hours, self._topic = list(source.hours), topic
        self._pool, self._pause = ThreadPoolExecutor(1), threading.Event()
        self._sending: Future[None] | None = None

    @property
    def hours_left(self) -> int:
        return len(self._hours)

    def send(self, servers: str, hours: int) -> None:
        """Send the next hours in another thread, after those that are being sent."""
        self.wait()
        self._sending = self._pool.submit(self._send, servers, hours)

    def wait(self) -> None:
        """Wait until what was to be sent is acknowledged; raises the error of a record that Kafka refused."""
        if self._sending is not None:
            self._sending.result()
            self._sending = None

    def _send(self, servers: str, hours: int) -> None:
        producer = Broker(KafkaSettings(bootstrap_servers=servers)).producer()
        for _ in range(min(hours, len(self._hours))):
            records = self._hours.pop(0)
            acknowledgements = [
                producer.send(self._topic, key=record.key, value=record.value, timestamp_ms=record.arrival_ms)
                for record in records
            ]
            for record, acknowledgement in zip(records, acknowledgements, strict=True):
                acknowledgement.get(timeout=60)
                self.sent.append(Sent(record.key, record.value, record.arrival_ms, record.rejected_for))
            self._pause.wait(SECONDS_PER_HOUR)
        producer.close()
