"""The replay of the demo in its own process: in one process it and Spark's driver would share one Python interpreter lock."""

import multiprocessing
import sys
from multiprocessing.connection import Connection
from typing import Any

from wattcast.broker import Broker
from wattcast.local.replay.counts import ReplayCounts
from wattcast.local.replay.faults import Faults
from wattcast.local.replay.recordings import Recording
from wattcast.local.replay.replay import replay
from wattcast.setting_sections import KafkaSettings


class ReplayProcess:
    """A replay that runs from the start of this object until all records are acknowledged."""

    def __init__(self, source: Recording, kafka: KafkaSettings, faults: Faults, seed: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._share = context.Value("d", 0.0)
        self._receiver, sender = context.Pipe(duplex=False)
        arguments = (source, kafka, faults, seed, sender, self._share)
        self._process = context.Process(target=_send_all, args=arguments, daemon=True)
        self._process.start()
        sender.close()

    @property
    def share_sent(self) -> float:
        """The share of the recorded time that is sent, 0 to 1."""
        return float(self._share.value)

    def is_done(self) -> bool:
        return self._receiver.poll() or not self._process.is_alive()

    def counts(self) -> ReplayCounts:
        """The counts of the whole replay; ends the program with the message of a replay that failed."""
        try:
            result = self._receiver.recv()
        except EOFError:
            sys.exit("The replay ended without a result: see its error above.")
        self._process.join()
        if isinstance(result, str):
            sys.exit(result)
        counts: ReplayCounts = result
        return counts


def _send_all(
    source: Recording, kafka: KafkaSettings, faults: Faults, seed: int, sender: Connection, share: Any
) -> None:
    """Replay in the child process; sends the counts, or the message of an error, to the parent."""

    def report(share_sent: float, _records: int) -> None:
        share.value = share_sent

    try:
        topic = kafka.readings_topic
        sender.send(replay(source, Broker(kafka), topic=topic, faults=faults, seed=seed, progress=report))
    except (ValueError, OSError) as error:
        sender.send(str(error))
