"""Which process is the broker of a state folder: a record beside its data that survives whoever wrote it."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import psutil

STOP_SECONDS = 20
CLOCK_SECONDS = 2  # the start time of one process is told differently when the system's clock is set right meanwhile


def read_record(home: Path) -> dict[str, Any]:
    """What is known of the last broker under `home`: pid, started, owner_pid, owner_started, port, controller_port."""
    try:
        record = json.loads((home / "broker.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return record if isinstance(record, dict) else {}


def write_record(home: Path, record: dict[str, Any], broker: psutil.Process, owner: psutil.Process | None) -> None:
    """Record the broker, its ports and the process that it belongs to; None if it is to outlive that one."""
    processes = {"": broker, "owner_": owner}
    pids = {f"{prefix}pid": process.pid if process else None for prefix, process in processes.items()}
    times = {f"{prefix}started": process.create_time() if process else None for prefix, process in processes.items()}
    draft = home / f"broker.json.{os.getpid()}"
    draft.write_text(json.dumps(record | pids | times), encoding="utf-8")
    draft.replace(home / "broker.json")


def bootstrap_servers(record: dict[str, Any]) -> str:
    """host:port at which the recorded broker answers."""
    return f"127.0.0.1:{record['port']}"


def running(home: Path) -> psutil.Process | None:
    """The broker of `home`, if it is alive."""
    return _alive(read_record(home), "")


def owner(home: Path) -> psutil.Process | None:
    """The process that the broker of `home` belongs to, if it is alive; a detached broker has none."""
    return _alive(read_record(home), "owner_")


def is_orphan(home: Path) -> bool:
    """Whether a broker runs that should have ended with its owner."""
    return running(home) is not None and read_record(home).get("owner_pid") is not None and owner(home) is None


def end(process: psutil.Process) -> None:
    """End a broker: SIGTERM, then SIGKILL if it is still there after STOP_SECONDS or if this wait is cut short."""
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
    """The process with the recorded id *and* start time: ids are given again."""
    pid, started = record.get(f"{prefix}pid"), record.get(f"{prefix}started")
    if pid is None or started is None:
        return None
    try:
        process = psutil.Process(pid)
        is_same = abs(process.create_time() - started) < CLOCK_SECONDS
        return process if is_same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None
