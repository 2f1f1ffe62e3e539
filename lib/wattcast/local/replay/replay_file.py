"""`wattcast replay`: send a file of recorded readings to the broker of the settings."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from kafka.errors import KafkaError

from wattcast.broker import Broker, BrokerUnreachable
from wattcast.errors import message, refuse
from wattcast.ingest.import_buildings import import_buildings
from wattcast.local.replay.counts import ReplayCounts
from wattcast.local.replay.faults import Faults
from wattcast.local.replay.recordings import recording
from wattcast.local.replay.replay import Progress, replay
from wattcast.runtime.connection import connected
from wattcast.settings import settings


@dataclass(frozen=True)
class ReplayRequest:
    """Which readings of a file are sent, how fast, and with which faults."""

    file: Path
    buildings_file: Path | None
    speed: float | None
    buildings: int | None
    days: int | None
    start: datetime | None
    end: datetime | None
    seed: int
    faults: Faults
    naive_is_utc: bool
    resume: bool
    remedy: str = "continue with the same command and --resume"  # where the broker goes away


def replay_file(request: ReplayRequest, *, progress: Progress) -> ReplayCounts:
    """The counts of the replay. Its position is stored in the state folder, for `resume`."""
    if not request.file.is_file():
        refuse(f"There is no file {request.file}.")
    current = connected(settings())
    source = recording(
        request.file, buildings=request.buildings, days=request.days, start=request.start, end=request.end,
        naive_is_utc=request.naive_is_utc,
    )  # fmt: skip
    if request.buildings_file is not None:
        count = import_buildings(request.buildings_file)
        print(f"Imported {count} buildings from {request.buildings_file}.")
    broker = Broker(current.kafka)
    broker.ensure_topics([current.kafka.readings_topic])
    state_file = current.state / "replay.json"
    if not request.resume:
        state_file.unlink(missing_ok=True)
    try:
        return replay(
            source, broker, topic=current.kafka.readings_topic, speed=request.speed, seed=request.seed,
            state_file=state_file, faults=request.faults, progress=progress,
        )  # fmt: skip
    except KafkaError as error:
        raise BrokerUnreachable(
            f"The replay has stopped: the Kafka broker at {current.kafka.bootstrap_servers} does not answer "
            f"({type(error).__name__}). Start it, then {request.remedy}."
        ) from error
    except (ValueError, OSError) as error:
        refuse(message(error))
