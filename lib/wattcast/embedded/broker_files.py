"""The files and command lines of the embedded broker: its properties, its data folder, its log."""

import base64
import os
import shutil
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wattcast.broker import MAX_MESSAGE_BYTES
from wattcast.embedded.class_archives import archive_file, use_options
from wattcast.embedded.preflight import java_executable
from wattcast.errors import FAILED

FORMAT_SECONDS = 90
FORMAT_HEAP_MEGABYTES = 128

# Records are kept without limit: the lake is built from them. A broker that was killed can start again only when its previous
# session has expired, so the session is short. The cleaner's buffer would take 128 MB of the heap by default.
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

    exit_status = FAILED


def properties(record: dict[str, Any], data: str = "data") -> str:
    """The server.properties of a broker that listens at the ports of the record."""
    client, controller = f"127.0.0.1:{record['port']}", f"127.0.0.1:{record['controller_port']}"
    return (
        f"{_PROPERTIES}log.dirs={data}\nlisteners=PLAINTEXT://{client},CONTROLLER://{controller}\n"
        f"advertised.listeners=PLAINTEXT://{client}\ncontroller.quorum.voters=1@{controller}\n"
    )


def java_command(classpath: Sequence[Path], heap_megabytes: int, *arguments: str) -> list[str]:
    """A small JVM that logs warnings and errors to stderr."""
    return [
        java_executable(), "-Xms64m", f"-Xmx{heap_megabytes}m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError",
        "-Djava.awt.headless=true", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss",
        *use_options(archive_file("broker", classpath)), "-cp", os.pathsep.join(map(str, classpath)), *arguments,
    ]  # fmt: skip


def format_data_folder(home: Path, classpath: Sequence[Path]) -> None:
    """Create the data folder if there is none; it gets its name only when it is complete. Raises BrokerFailed."""
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
            java_command(classpath, FORMAT_HEAP_MEGABYTES, "-XX:TieredStopAtLevel=1", *tool),
            cwd=home, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False, timeout=FORMAT_SECONDS,
        )  # fmt: skip
    if done.returncode:
        raise BrokerFailed(f"The data folder of the embedded broker could not be created:\n{log_tail(home)}")
    os.replace(draft, home / "data")


def log_file(home: Path) -> Path:
    return home / "kafka.log"


def new_log(home: Path) -> Path:
    """The path for a new log; the previous log is kept beside it."""
    log = log_file(home)
    if log.is_file():
        log.replace(home / "kafka.log.1")
    return log


def log_tail(home: Path, lines: int = 15) -> str:
    """The last lines of the log."""
    log = log_file(home)
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.is_file() else ""
