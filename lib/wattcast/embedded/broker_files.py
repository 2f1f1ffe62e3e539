"""The files and command lines of the embedded broker: its properties, its data folder, its log."""

import base64
import os
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import Any

from wattcast.broker import MAX_MESSAGE_BYTES
from wattcast.local.embedded.preflight import java_executable

FORMAT_SECONDS = 90
FORMAT_HEAP_MEGABYTES = 128

# Records stay for ever: the lake is built from them. A killed broker comes back when the session of its last
# life has run out, so that is short. The cleaner's buffer would otherwise take 128 MB of the heap.
_PROPERTIES = f"""
process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
auto.create.topics.enable=false
message.max.bytes={MAX_MESSAGE_BYTES}
log.retention.ms=-1
log.retention.bytes=-1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
broker.heartbeat.interval.ms=1000
broker.session.timeout.ms=5000
num.network.threads=2
num.io.threads=4
background.threads=2
num.recovery.threads.per.data.dir=2
log.cleaner.dedupe.buffer.size=8388608
log.index.size.max.bytes=2097152
"""


class BrokerFailed(Exception):
    """The embedded broker did not start, died, or is in use by another process."""


def properties(record: dict[str, Any], data: str = "data") -> str:
    """The server.properties of a broker at the ports of the record."""
    client, controller = f"127.0.0.1:{record['port']}", f"127.0.0.1:{record['controller_port']}"
    return (
        f"{_PROPERTIES}log.dirs={data}\nlisteners=PLAINTEXT://{client},CONTROLLER://{controller}\n"
        f"advertised.listeners=PLAINTEXT://{client}\ncontroller.quorum.voters=1@{controller}\n"
    )


def java_command(classpath: str, heap_megabytes: int, *arguments: str) -> list[str]:
    """A small JVM that logs warnings and errors to stderr."""
    return [
        java_executable(), "-Xms64m", f"-Xmx{heap_megabytes}m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError",
        "-Djava.awt.headless=true", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss",
        "-cp", classpath, *arguments,
    ]  # fmt: skip


def lay_out(home: Path, classpath: str) -> None:
    """Make the data folder the first time; it gets its name only when it is whole."""
    if (home / "data").is_dir():
        return
    draft = home / "data.new"
    shutil.rmtree(draft, ignore_errors=True)
    any_ports = {"port": 9092, "controller_port": 9093}
    (home / "format.properties").write_text(properties(any_ports, draft.name), encoding="utf-8")
    cluster = "w" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]  # an id must not begin with "-"
    tool = ("kafka.tools.StorageTool", "format", "-t", cluster, "-c", "format.properties")
    with new_log(home).open("wb") as log:
        done = subprocess.run(
            java_command(classpath, FORMAT_HEAP_MEGABYTES, *tool),
            cwd=home, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False, timeout=FORMAT_SECONDS,
        )  # fmt: skip
    if done.returncode:
        raise BrokerFailed(f"The data folder of the embedded broker could not be made:\n{log_tail(home)}")
    os.replace(draft, home / "data")


def log_file(home: Path) -> Path:
    return home / "kafka.log"


def new_log(home: Path) -> Path:
    """An empty log; the one before is kept beside it."""
    log = log_file(home)
    if log.is_file():
        log.replace(home / "kafka.log.1")
    return log


def log_tail(home: Path, lines: int = 15) -> str:
    """The last lines that the broker wrote."""
    log = log_file(home)
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.is_file() else ""
