"""The embedded stack: a broker that outlives the command that started it, until `wattcast down`."""

from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from wattcast.embedded import broker_record
from wattcast.embedded.kafka_server import EmbeddedBroker
from wattcast.setting_sections import KafkaSettings


def up(state: Path) -> str:
    """Start the broker of this state folder unless it runs; returns the message for the user. Raises BrokerFailed."""
    if servers := running_broker(state):
        return f"The broker already runs at {servers}."
    servers = EmbeddedBroker(state, detached=True).start()
    return f"The broker runs at {servers}; `wattcast down` stops it."


def down(state: Path) -> str:
    """Stop the broker of this state folder gracefully, if possible; returns the message for the user."""
    process = broker_record.running(_home(state))
    if process is None:
        return "No broker runs for this state folder."
    if owner := broker_record.owner(_home(state)):
        return f"The broker belongs to process {owner.pid}, which still runs. End that process (Ctrl-C) to stop the broker."
    broker_record.end(process)
    return "The broker was stopped; its data is kept."


def running_broker(state: Path) -> str | None:
    """Bootstrap servers of the broker that runs for this state folder; None if there is none."""
    home = _home(state)
    if broker_record.running(home) is None:
        return None
    return broker_record.bootstrap_servers(broker_record.read_record(home))


def status(state: Path, lake: str = "") -> dict[str, Any]:
    """The broker and what is stored: `up`, `bootstrap_servers`, `pid`, `memory_bytes`, `topics` (by topic the `records` in its
    partitions and their `end_offsets`), `broker_bytes`, `lake`, and `lake_bytes`, None unless the lake is a local folder."""
    home = _home(state)
    process, servers = broker_record.running(home), running_broker(state)
    lake = lake or str(state.resolve() / "lake")
    path = urlparse(lake).path if lake.startswith("file:") else lake
    return {
        "up": servers is not None,
        "bootstrap_servers": servers,
        "pid": process.pid if process else None,
        "memory_bytes": process.memory_info().rss if process else None,
        "topics": _topics(servers) if servers else {},
        "broker_bytes": _bytes(home / "data"),
        "lake": lake,
        "lake_bytes": None if "://" in path else _bytes(Path(path)),
    }


def _topics(servers: str) -> dict[str, dict[str, Any]]:
    from wattcast.broker import Broker

    broker = Broker(KafkaSettings(bootstrap_servers=servers))
    consumer = broker.consumer()
    try:
        names = sorted(name for name in consumer.topics() if not name.startswith("__"))
    finally:
        consumer.close()
    offsets = {name: broker.offsets(name) for name in names}
    return {
        name: {
            "records": sum(end - first for first, end in partitions.values()),
            "end_offsets": {number: end for number, (_, end) in sorted(partitions.items())},
        }
        for name, partitions in offsets.items()
    }


def _bytes(folder: Path) -> int:
    """Bytes on disk below `folder`. Blocks, not sizes: the index files of the broker are sparse."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_blocks * 512 if path.is_file() else 0
        except FileNotFoundError:
            continue  # deleted by a merge or a compaction
    return total


def _home(state: Path) -> Path:
    return state.resolve() / "kafka"
