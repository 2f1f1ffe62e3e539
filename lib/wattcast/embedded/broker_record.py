"""The record of the broker of a state folder: its process, its owner and its ports. It outlives the process that wrote it."""

import contextlib
import json
from pathlib import Path
from typing import Any

import psutil

from wattcast.files import write_atomically

STOP_SECONDS = 20
CLOCK_SECONDS = 2  # the start time of a process shifts when the system clock is corrected


def read_record(home: Path) -> dict[str, Any]:
    """The record of the last broker under `home`: pid, started, owner_pid, owner_started, port, controller_port. Empty without a
    record, or where it cannot be parsed."""
    try:
        record = json.loads((home / "broker.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return record if isinstance(record, dict) else {}


def write_record(home: Path, record: dict[str, Any], broker: psutil.Process, owner: psutil.Process | None) -> None:
    """Record the broker, its ports and its owner, the process that it ends with; None for a detached broker."""
    processes = {"": broker, "owner_": owner}
    pids = {f"{prefix}pid": process.pid if process else None for prefix, process in processes.items()}
    times = {f"{prefix}started": process.create_time() if process else None for prefix, process in processes.items()}
    write_atomically(home / "broker.json", json.dumps(record | pids | times))


def bootstrap_servers(record: dict[str, Any]) -> str:
    """host:port of the recorded broker."""
    return f"127.0.0.1:{record['port']}"


def running(home: Path) -> psutil.Process | None:
    """The broker of `home`; None if it does not run."""
    return _alive(read_record(home), "")


def owner(home: Path) -> psutil.Process | None:
    """The process that owns the broker of `home`; None if it has ended or the broker is detached."""
    return _alive(read_record(home), "owner_")


def is_orphan(home: Path) -> bool:
    """Whether a broker runs that should have ended with its owner."""
    return running(home) is not None and read_record(home).get("owner_pid") is not None and owner(home) is None


def end(process: psutil.Process) -> None:
    """End a broker: SIGTERM, then SIGKILL if it still runs after STOP_SECONDS or the wait is interrupted."""
    with contextlib.suppress(psutil.NoSuchProcess):
        try:
            process.terminate()
            process.wait(STOP_SECONDS)
        except psutil.TimeoutExpired:
            pass
        finally:
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                process.kill()
                process.wait(STOP_SECONDS)


def _alive(record: dict[str, Any], prefix: str) -> psutil.Process | None:
    """The process with the recorded id *and* start time: the system reuses ids."""
    pid, started = record.get(f"{prefix}pid"), record.get(f"{prefix}started")
    if pid is None or started is None:
        return None
    try:
        process = psutil.Process(pid)
        is_same = abs(process.create_time() - started) < CLOCK_SECONDS
        return process if is_same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None
