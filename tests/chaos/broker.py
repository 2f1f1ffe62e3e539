"""The broker of a run of chaos: the embedded one, which is killed and started again with its data."""

import os
import signal
import time
from pathlib import Path

import psutil

from wattcast.broker import Broker
from wattcast.embedded.kafka_server import EmbeddedBroker
from wattcast.setting_sections import KafkaSettings

DOWN_SECONDS = 2


class ChaosBroker:
    """A broker with the topics of the pipeline; it ends with the thread that started it."""

    def __init__(self, state: Path) -> None:
        self._broker = EmbeddedBroker(state)

    @property
    def servers(self) -> str:
        return self._broker.bootstrap_servers

    def start(self) -> None:
        self._broker.start()
        topics = KafkaSettings(bootstrap_servers=self.servers, timestamp_type="CreateTime")
        Broker(topics).ensure_topics([topics.readings_topic, topics.weather_forecasts_topic, topics.forecasts_topic])

    def kill_and_start(self) -> None:
        """SIGKILL, and a start after a pause in which the pipeline has no broker."""
        pid = self._broker.pid
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            psutil.Process(pid).wait()
        time.sleep(DOWN_SECONDS)  # the fault itself, not a wait for an event: so long there is no broker
        self._broker.stop()
        self._broker.start()

    def stop(self) -> None:
        self._broker.stop()
