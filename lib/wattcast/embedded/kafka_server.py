"""A real Kafka broker (KRaft, one node, loopback only) as a child process, with its data under the state folder."""

import atexit
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self

import psutil
from filelock import FileLock
from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from wattcast.embedded import broker_record
from wattcast.embedded.broker_files import (
    BrokerFailed,
    format_data_folder,
    java_command,
    log_file,
    log_tail,
    new_log,
    properties,
)
from wattcast.embedded.jars import jars
from wattcast.embedded.preflight import check_java

__all__ = ["BrokerFailed", "EmbeddedBroker"]

READY_SECONDS = 90
HEAP_MEGABYTES = 320
TRIES = 3  # a port can be taken between its choice and the broker's start

# Replaces itself with the broker, which handles SIGTERM even if its parent ignores it. Unless detached, it first asks the kernel
# (Linux) to kill it when the parent ends in any way.
_BECOME_BROKER = """
import ctypes, os, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_DFL)
if sys.argv[1] != "detached":
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != int(sys.argv[1]):
        sys.exit("The parent process has ended, so the broker is not started.")
os.execv(sys.argv[2], sys.argv[2:])
"""


class EmbeddedBroker:
    """A Kafka broker of this state folder; it starts with its data and, if that is free, on its last port.

    Unless it is `detached`, it ends when the process that started it ends in any way (on Linux also by SIGKILL). The kernel
    ties it to the *thread* that started it, so start it in a thread that does not end, best the main thread.
    `java_options` are added to those of its Java process.
    """

    def __init__(self, state: Path, *, detached: bool = False, java_options: Sequence[str] = ()) -> None:
        self._home = state.resolve() / "kafka"
        self._detached, self._java_options = detached, java_options
        self._process: subprocess.Popen[bytes] | None = None
        self._handler_before: Any = None

    @property
    def bootstrap_servers(self) -> str:
        """host:port of the running broker."""
        if self._process is None:
            raise BrokerFailed("The embedded broker is not running.")
        return broker_record.bootstrap_servers(broker_record.read_record(self._home))

    @property
    def pid(self) -> int | None:
        """Process id of the broker; None when it is stopped."""
        return self._process.pid if self._process else None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> str:
        """Start, wait until a client request succeeds, and return the bootstrap servers. Raises BrokerFailed."""
        check_java()
        classpath = jars("broker")
        self._home.mkdir(parents=True, exist_ok=True)
        with FileLock(self._home / "start.lock"):
            _refuse_second(self._home)
            if not self._detached:
                self._end_with_this_process()
            with contextlib.ExitStack() as undo:
                undo.callback(self.stop)
                format_data_folder(self._home, classpath)
                self._launch(classpath)
                undo.pop_all()
        return self.bootstrap_servers

    def stop(self) -> None:
        """Stop gracefully, or by force when that takes too long; does nothing if the broker is not running."""
        process, self._process = self._process, None
        try:
            if process is not None and process.poll() is None:
                broker_record.end(psutil.Process(process.pid))
                process.wait()
        finally:
            atexit.unregister(self.stop)
            self._restore_handler()

    def _launch(self, classpath: Sequence[Path]) -> None:
        for attempt in range(1, TRIES + 1):
            record = _with_free_ports(broker_record.read_record(self._home))
            self._process = self._spawn(classpath, record)
            if _is_ready(self._process, broker_record.bootstrap_servers(record)):
                return
            self._process.kill()
            self._process.wait()
            ending = log_tail(self._home)
            if "Address already in use" not in ending or attempt == TRIES:
                raise BrokerFailed(f"The embedded broker did not start; the end of {log_file(self._home)}:\n{ending}")

    def _spawn(self, classpath: Sequence[Path], record: dict[str, Any]) -> subprocess.Popen[bytes]:
        (self._home / "server.properties").write_text(properties(record), encoding="utf-8")
        java = java_command(classpath, HEAP_MEGABYTES, *self._java_options, "kafka.Kafka", "server.properties")
        tie = "detached" if self._detached else str(os.getpid())
        command = [sys.executable, "-I", "-S", "-c", _BECOME_BROKER, tie, *java]
        with new_log(self._home).open("wb") as log:  # own session: Ctrl-C reaches only this process, which stops it
            process = subprocess.Popen(
                command, cwd=self._home, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        owner = None if self._detached else psutil.Process()
        broker_record.write_record(self._home, record, psutil.Process(process.pid), owner)
        return process

    def _end_with_this_process(self) -> None:
        """Stop at exit, and turn SIGTERM into an exit unless the program has its own handler."""
        atexit.register(self.stop)
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            self._handler_before = signal.signal(signal.SIGTERM, _exit_on_signal)

    def _restore_handler(self) -> None:
        if self._handler_before is not None and signal.getsignal(signal.SIGTERM) is _exit_on_signal:
            signal.signal(signal.SIGTERM, self._handler_before)
        self._handler_before = None


def _exit_on_signal(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def _refuse_second(home: Path) -> None:
    """Raise BrokerFailed if this state folder has a broker; a broker without its owner is ended instead."""
    process = broker_record.running(home)
    if process is None:
        return
    if not broker_record.is_orphan(home):
        servers = broker_record.bootstrap_servers(broker_record.read_record(home))
        raise BrokerFailed(
            f"A broker of {home.parent} is up already at {servers} (process {process.pid}). "
            "Use that broker, or stop it with `wattcast down` or by ending the command that runs it."
        )
    broker_record.end(process)


def _with_free_ports(record: dict[str, Any]) -> dict[str, Any]:
    """The record with its own ports where they are free, else with other free ports."""
    ports: dict[str, int] = {}
    with contextlib.ExitStack() as listeners:
        for key in ("port", "controller_port"):
            listener = listeners.enter_context(socket.socket())
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", record.get(key) or 0))
            except OSError:
                listener.bind(("127.0.0.1", 0))
            ports[key] = listener.getsockname()[1]
    return record | ports


def _is_ready(process: subprocess.Popen[bytes], servers: str) -> bool:
    """Wait until the broker answers a client as a member of its cluster; False if it ends first or READY_SECONDS pass."""
    host, port = servers.split(":")
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
            return False
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
            if _has_brokers(servers):
                return True
    return False


def _has_brokers(servers: str) -> bool:
    try:
        admin = KafkaAdminClient(bootstrap_servers=servers, request_timeout_ms=10_000)
    except KafkaError:
        return False
    try:
        return bool(admin.describe_cluster()["brokers"])
    except KafkaError:
        return False
    finally:
        admin.close()
