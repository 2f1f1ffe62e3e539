"""The load of `wattcast benchmark-serving`: an open loop of requests and event streams against a server that it starts."""

import asyncio
import multiprocessing
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import psutil

from wattcast.cli.benchmarks.serving_lake import COMMIT_SECONDS, commit_hourly, names_of, write_lake
from wattcast.times import HOUR

ORIGINS, START_SECONDS, WARM_UP_SECONDS, SAMPLE_SECONDS, DRAIN_SECONDS = 24, 120, 5, 2, 30
THIRDS = ("first", "middle", "last")
HOST = "127.0.0.1"


@dataclass(frozen=True)
class ServingLoad:
    """The size of the lake and the requests to the server."""

    buildings: int
    per_second: int
    connections: int
    seconds: int
    streams: int


@dataclass
class Observations:
    """What the clients have received so far."""

    events: list[int]  # by stream
    seconds: list[float] = field(default_factory=list)  # of answered requests, from the moment each was due
    origins: set[bytes] = field(default_factory=set)


DueRequests = asyncio.Queue[tuple[float, str]]  # when a request is due, and its building


def measure_serving(load: ServingLoad, folder: Path, port: int) -> dict[str, float]:
    """The figures of one run over a new lake in this folder."""
    lake, names = folder / "lake", names_of(load.buildings)
    first_origin = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - ORIGINS * HOUR
    write_lake(lake, names, first_origin, ORIGINS)
    with running_server(folder, lake, port) as server:
        writer = multiprocessing.get_context("spawn").Process(
            target=commit_hourly,
            args=(lake, names, first_origin + ORIGINS * HOUR, load.seconds + WARM_UP_SECONDS),
            daemon=True,
        )
        writer.start()
        try:
            return asyncio.run(_measure(load, names, port, psutil.Process(server.pid)))
        finally:
            writer.join(timeout=COMMIT_SECONDS * 3)


@contextmanager
def running_server(folder: Path, lake: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A server process that is ready; RuntimeError if it does not become ready."""
    environment = os.environ | {
        "WATTCAST_STATE": str(folder),
        "WATTCAST_LAKE": str(lake),
        "WATTCAST_LOG_LEVEL": "ERROR",
    }
    command = [sys.executable, "-m", "wattcast.cli", "serve", "--host", HOST, "--port", str(port)]
    process = subprocess.Popen(command, env=environment)
    try:
        end = time.monotonic() + START_SECONDS
        while not _is_ready(port):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("The server did not become ready.")
            time.sleep(0.2)
        yield process
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    with socket.socket() as unused:
        unused.bind((HOST, 0))
        return int(unused.getsockname()[1])


def _is_ready(port: int) -> bool:
    try:
        with urlopen(f"http://{HOST}:{port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


async def _measure(load: ServingLoad, names: list[str], port: int, server: psutil.Process) -> dict[str, float]:
    due: DueRequests = asyncio.Queue()
    observed = Observations([0] * load.streams)
    clients = [asyncio.create_task(_send_requests(due, observed, port)) for _ in range(load.connections)]
    clients += [asyncio.create_task(_count_events(observed.events, stream, port)) for stream in range(load.streams)]
    await asyncio.sleep(WARM_UP_SECONDS)
    memory = asyncio.create_task(_memory_samples(server, load.seconds))
    cpu_before = sum(server.cpu_times()[:2])
    await _schedule_requests(load, names, due)
    with suppress(TimeoutError):  # what is unanswered by then counts as unanswered
        await asyncio.wait_for(due.join(), DRAIN_SECONDS)
    cpu_seconds = sum(server.cpu_times()[:2]) - cpu_before
    memory_thirds = np.array_split(await memory, len(THIRDS))
    for client in clients:
        client.cancel()
    return _figures(load, observed, memory_thirds, cpu_seconds)


def _figures(
    load: ServingLoad, observed: Observations, memory_thirds: "list[np.ndarray[tuple[int], np.dtype[np.float64]]]",
    cpu_seconds: float,
) -> dict[str, float]:  # fmt: skip
    milliseconds = np.array(observed.seconds or [float("inf")]) * 1000
    p50, p95, p99, longest = np.percentile(milliseconds, [50, 95, 99, 100])
    answered = len(observed.seconds)
    return {
        "due": load.per_second * load.seconds,
        "answered": answered,
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "max_ms": longest,
        "origins": len(observed.origins),
        "events": min(observed.events, default=0),
        **{f"memory_{name}_mb": float(np.median(mb)) for name, mb in zip(THIRDS, memory_thirds, strict=True)},
        "cpu_ms": cpu_seconds / max(1, answered) * 1000,
        "machine_load": os.getloadavg()[0],
    }


async def _schedule_requests(load: ServingLoad, names: list[str], due: DueRequests) -> None:
    """Put every request into the queue when it is due, whether or not earlier ones were answered."""
    rng, start = np.random.default_rng(0), time.perf_counter()
    for number, building in enumerate(rng.integers(0, len(names), load.per_second * load.seconds).tolist()):
        due_at = start + number / load.per_second
        if (wait := due_at - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        due.put_nowait((due_at, names[building]))


async def _memory_samples(server: psutil.Process, seconds: int) -> list[float]:
    """The resident memory of the server in MB, every few seconds."""
    samples = []
    for _ in range(max(len(THIRDS), seconds // SAMPLE_SECONDS)):
        samples.append(server.memory_info().rss / 1e6)
        await asyncio.sleep(min(SAMPLE_SECONDS, seconds / len(THIRDS)))
    return samples


async def _count_events(events: list[int], stream: int, port: int) -> None:
    """Count the events of one stream."""
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(f"GET /v1/events HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
    while piece := await reader.read(1 << 20):
        events[stream] += piece.count(b"\ndata: ")


async def _send_requests(due: DueRequests, observed: Observations, port: int) -> None:
    """Send due requests one after the other over one connection and record when the whole answer has arrived."""
    reader, writer = await asyncio.open_connection(HOST, port)
    while True:
        due_at, name = await due.get()
        writer.write(f"GET /v1/buildings/{name}/forecast HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        body = await reader.readexactly(length)
        if head.startswith(b"HTTP/1.1 200 ") and name.encode() in body:
            observed.seconds.append(time.perf_counter() - due_at)
            observed.origins.add(body.partition(b'"origin":"')[2][:20])
        due.task_done()
