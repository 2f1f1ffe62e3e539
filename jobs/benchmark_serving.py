"""How fast the API answers: an open loop of requests for current forecasts while new ones are being committed."""

import asyncio
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated
from urllib.request import urlopen

import numpy as np
import psutil
import pyarrow as pa
import typer
from deltalake import write_deltalake

from wattcast import program
from wattcast.settings import project_folder

LEADS, ORIGINS, COMMIT_SECONDS, START_SECONDS, WARM_SECONDS = 24, 24, 10, 120, 5
SERVER = "127.0.0.1"


@dataclass(frozen=True)
class Load:
    """What is asked of the server."""

    buildings: int
    per_second: int
    connections: int
    seconds: int


def main(
    buildings: Annotated[int, typer.Option(min=1, help="In the lake.")] = 10_000,
    per_second: Annotated[int, typer.Option(min=1, help="Requests, sent whether or not others were answered.")] = 300,
    connections: Annotated[int, typer.Option(min=1, help="Over which they are sent.")] = 50,
    seconds: Annotated[int, typer.Option(min=5, help="How long.")] = 60,
    port: Annotated[int, typer.Option(min=0, max=65535, help="For the server, on loopback; 0: a free one.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
) -> None:
    """Measure `GET /v1/buildings/{id}/forecast` of a server of its own, over a lake to which all buildings' new forecasts are
    committed every 10 seconds. A request's time counts from the moment at which it was due."""
    load = Load(buildings, per_second, connections, seconds)
    with TemporaryDirectory(prefix="wattcast-benchmark-") as folder:
        found = measured(load, Path(folder), port or _free_port())
    typer.echo(said(load, found))
    if json_file:
        json_file.write_text(json.dumps(found, indent=2) + "\n")
    if found["answered"] < found["due"]:
        raise typer.Exit(1)


def said(load: Load, found: dict[str, float]) -> str:
    """The figures as sentences."""
    times = ", ".join(f"{name} {found[f'{name}_ms']:,.1f} ms" for name in ("p50", "p95", "p99", "max"))
    memory = ", ".join(f"{found[f'memory_{name}_mb']:,.0f} MB at the {name}" for name in ("begin", "middle", "end"))
    return (
        f"{found['answered']:,.0f} of {found['due']:,.0f} requests answered with 200, at {load.per_second}/s over "
        f"{load.connections} connections: {times}. {load.buildings:,} forecasts were committed every {COMMIT_SECONDS} s; "
        f"{found['origins']:.0f} origins were served. Memory {memory}. {found['cpu_ms']:.2f} ms of CPU a request, refreshing "
        f"included. Load of the machine {found['machine_load']:.1f}."
    )


def measured(load: Load, folder: Path, port: int) -> dict[str, float]:
    """Figures of a run over a new lake in this folder."""
    lake, names = folder / "lake", [f"building-{number:06}" for number in range(load.buildings)]
    begin = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=ORIGINS)
    metadata = {"building_id": names, "site": ["site"] * len(names), "timezone": ["UTC"] * len(names)}
    empty: dict[str, list[str | None]] = {
        name: [None] * len(names) for name in ("country", "building_type", "closures")
    }
    write_deltalake(
        str(lake / "buildings"),
        pa.table(metadata | {name: pa.array(rows, pa.string()) for name, rows in empty.items()}),
    )
    for number in range(ORIGINS):
        commit(lake, names, begin + timedelta(hours=number))
    with serving(folder, lake, port) as server:
        writer = multiprocessing.get_context("spawn").Process(
            target=keep_committing,
            args=(lake, names, begin + timedelta(hours=ORIGINS), load.seconds + WARM_SECONDS),
            daemon=True,
        )
        writer.start()
        try:
            return asyncio.run(_asked(load, names, port, psutil.Process(server.pid))) | {
                "commits": float(load.seconds // COMMIT_SECONDS)
            }
        finally:
            writer.join(timeout=COMMIT_SECONDS * 3)


def commit(lake: Path, names: list[str], origin: datetime) -> None:
    """A forecast of every building from an origin."""
    rows, rng = len(names), np.random.default_rng(int(origin.timestamp()))
    p50 = rng.uniform(1, 60, rows * LEADS).round(4)
    targets = [origin + timedelta(hours=lead) for lead in range(LEADS)]
    offsets = pa.array(np.arange(0, rows * LEADS + 1, LEADS), pa.int32())
    stamp = pa.timestamp("us", "UTC")

    def lists(values: pa.Array) -> pa.Array:
        return pa.ListArray.from_arrays(offsets, values)

    def same(value: object, kind: pa.DataType) -> pa.Array:
        return pa.array([value] * rows, kind)

    columns = {
        "forecast_id": pa.array([f"{number:016x}{int(origin.timestamp()):016x}" for number in range(rows)]),
        "building_id": pa.array(names),
        "origin": same(origin, stamp),
        "purpose": same("live", pa.string()),
        "issued_at": same(origin + timedelta(minutes=5), stamp),
        "target_hour": lists(pa.array(targets * rows, stamp)),
        **{name: lists(pa.array(p50 + off)) for name, off in (("p10_kwh", -1.0), ("p50_kwh", 0.0), ("p90_kwh", 1.0))},
        **{
            name: same(value, pa.string())
            for name, value in (("method", "model"), ("model_name", "m"), ("model_version", "1"))
        },
        "warnings": same([], pa.list_(pa.string())),
        "created_at": same(datetime.now(UTC), stamp),
    }
    write_deltalake(str(lake / "forecasts"), pa.table(columns), mode="append")


def keep_committing(lake: Path, names: list[str], origin: datetime, seconds: float) -> None:
    """What a pipeline that triggers every 10 seconds does to the lake."""
    end, pause = time.monotonic() + seconds, multiprocessing.Event()
    while time.monotonic() < end:
        began = time.monotonic()
        commit(lake, names, origin)
        origin += timedelta(hours=1)
        pause.wait(max(0.0, COMMIT_SECONDS - (time.monotonic() - began)))


@contextmanager
def serving(folder: Path, lake: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A server of its own, once it is ready."""
    environment = os.environ | {
        "WATTCAST_STATE": str(folder),
        "WATTCAST_LAKE": str(lake),
        "WATTCAST_LOG_LEVEL": "ERROR",
    }
    command = [sys.executable, str(project_folder("jobs") / "serve.py"), "--host", SERVER, "--port", str(port)]
    process = subprocess.Popen(command, env=environment)
    try:
        end = time.monotonic() + START_SECONDS
        while not _is_ready(port):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("The server did not come to answer.")
            time.sleep(0.2)
        yield process
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind((SERVER, 0))
        return int(found.getsockname()[1])


def _is_ready(port: int) -> bool:
    try:
        with urlopen(f"http://{SERVER}:{port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


async def _asked(load: Load, names: list[str], port: int, server: psutil.Process) -> dict[str, float]:
    due: asyncio.Queue[tuple[float, str]] = asyncio.Queue()
    times: list[float] = []
    origins: set[bytes] = set()
    clients = [asyncio.create_task(_client(due, times, origins, port)) for _ in range(load.connections)]
    rng, total, memory = np.random.default_rng(0), load.per_second * load.seconds, []
    began = time.perf_counter() + WARM_SECONDS
    await asyncio.sleep(WARM_SECONDS)
    used = sum(server.cpu_times()[:2])
    for number, at in enumerate(rng.integers(0, len(names), total).tolist()):
        when = began + number / load.per_second
        if (wait := when - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        if number % (load.per_second * 5) == 0:
            memory.append(server.memory_info().rss / 1e6)
        due.put_nowait((when, names[at]))
    with suppress(TimeoutError):  # what is not answered by then counts as such
        await asyncio.wait_for(due.join(), 30)
    cpu = sum(server.cpu_times()[:2]) - used
    for client in clients:
        client.cancel()
    memory.append(server.memory_info().rss / 1e6)
    p50, p95, p99, longest = np.percentile(np.array(times or [float("inf")]) * 1000, [50, 95, 99, 100])
    return {
        "due": total, "answered": len(times), "p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "max_ms": longest,
        "origins": len(origins), "memory_begin_mb": memory[0], "memory_middle_mb": memory[len(memory) // 2],
        "memory_end_mb": memory[-1], "cpu_ms": cpu / max(1, len(times)) * 1000, "machine_load": os.getloadavg()[0],
    }  # fmt: skip


async def _client(due: asyncio.Queue[tuple[float, str]], times: list[float], origins: set[bytes], port: int) -> None:
    """One connection that is kept: takes what is due, and notes how long after that the whole answer was there."""
    reader, writer = await asyncio.open_connection(SERVER, port)
    while True:
        when, name = await due.get()
        writer.write(f"GET /v1/buildings/{name}/forecast HTTP/1.1\r\nHost: {SERVER}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        body = await reader.readexactly(length)
        if head.startswith(b"HTTP/1.1 200 ") and name.encode() in body:
            times.append(time.perf_counter() - when)
            origins.add(body.partition(b'"origin":"')[2][:20])
        due.task_done()


if __name__ == "__main__":
    program.run(main, "benchmark-serving")
