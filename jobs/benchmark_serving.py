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
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated
from urllib.request import urlopen

import numpy as np
import psutil
import typer

from benchmark_lake import COMMIT_SECONDS, HOUR, keep_committing, names_of, write_lake
from wattcast import program
from wattcast.settings import project_folder

ORIGINS, START_SECONDS, WARM_SECONDS, LOOK_SECONDS = 24, 120, 5, 2
MOST_P95_MS, MOST_GROWTH = 50, 1.1
THIRDS = ("first", "middle", "last")
SERVER = "127.0.0.1"


@dataclass(frozen=True)
class Load:
    """What is asked of the server."""

    buildings: int
    per_second: int
    connections: int
    seconds: int
    streams: int


def main(
    buildings: Annotated[int, typer.Option(min=1, help="In the lake.")] = 10_000,
    per_second: Annotated[int, typer.Option(min=1, help="Requests, sent whether or not others were answered.")] = 300,
    connections: Annotated[int, typer.Option(min=1, help="Over which they are sent.")] = 50,
    seconds: Annotated[int, typer.Option(min=5, help="How long.")] = 60,
    streams: Annotated[int, typer.Option(min=0, help="Of events, open all the time.")] = 10,
    port: Annotated[int, typer.Option(min=0, max=65535, help="For the server, on loopback; 0: a free one.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
) -> None:
    """Measure `GET /v1/buildings/{id}/forecast` of a server of its own, over a lake to which all buildings' readings, hours,
    scores and forecasts are committed every 10 seconds. A request's time counts from the moment at which it was due. Ends with 1
    where one had no answer, the 95th percentile is above 50 ms, or memory grows."""
    load = Load(buildings, per_second, connections, seconds, streams)
    with TemporaryDirectory(prefix="wattcast-benchmark-") as folder:
        found = measured(load, Path(folder), port or _free_port())
    typer.echo(said(load, found))
    if json_file:
        json_file.write_text(json.dumps(found, indent=2) + "\n")
    if wrong := faults(load, found):
        typer.echo("\n".join(wrong), err=True)
        raise typer.Exit(1)


def said(load: Load, found: dict[str, float]) -> str:
    """The figures as sentences."""
    times = ", ".join(f"{name} {found[f'{name}_ms']:,.1f} ms" for name in ("p50", "p95", "p99", "max"))
    memory = ", ".join(f"{found[f'memory_{name}_mb']:,.0f} MB in the {name} third" for name in THIRDS)
    return (
        f"{found['answered']:,.0f} of {found['due']:,.0f} requests answered with 200, at {load.per_second}/s over "
        f"{load.connections} connections: {times}. {load.buildings:,} buildings' readings, hours, scores and forecasts were "
        f"committed every {COMMIT_SECONDS} s; {found['origins']:.0f} origins were served, and {found['events']:,.0f} events on "
        f"each of {load.streams} streams. Memory {memory}. {found['cpu_ms']:.2f} ms of CPU a request, refreshing included. Load "
        f"of the machine {found['machine_load']:.1f}."
    )


def faults(load: Load, found: dict[str, float]) -> list[str]:
    """What is not as it should be, a sentence each. Memory grows where the median of the last third of the time is more than a
    tenth above that of the middle third; before, the server comes to hold what it needs."""
    told = []
    if found["answered"] < found["due"]:
        told.append(f"{found['due'] - found['answered']:,.0f} requests had no answer with 200.")
    if found["p95_ms"] > MOST_P95_MS:
        told.append(f"The 95th percentile is {found['p95_ms']:,.1f} ms and not at most {MOST_P95_MS} ms.")
    if found["memory_last_mb"] > MOST_GROWTH * found["memory_middle_mb"]:
        told.append(f"Memory grew from {found['memory_middle_mb']:,.0f} to {found['memory_last_mb']:,.0f} MB.")
    if load.streams and found["events"] < load.buildings:
        told.append(f"A stream told {found['events']:,.0f} events, less than those of one commit.")
    return told


def measured(load: Load, folder: Path, port: int) -> dict[str, float]:
    """Figures of a run over a new lake in this folder."""
    lake, names = folder / "lake", names_of(load.buildings)
    begin = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - ORIGINS * HOUR
    write_lake(lake, names, begin, ORIGINS)
    with serving(folder, lake, port) as server:
        writer = multiprocessing.get_context("spawn").Process(
            target=keep_committing, args=(lake, names, begin + ORIGINS * HOUR, load.seconds + WARM_SECONDS), daemon=True
        )
        writer.start()
        try:
            return asyncio.run(_asked(load, names, port, psutil.Process(server.pid)))
        finally:
            writer.join(timeout=COMMIT_SECONDS * 3)


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
    events = [0] * load.streams
    clients = [asyncio.create_task(_client(due, times, origins, port)) for _ in range(load.connections)]
    clients += [asyncio.create_task(_listen(events, at, port)) for at in range(load.streams)]
    await asyncio.sleep(WARM_SECONDS)
    looks = asyncio.create_task(_looks(server, load.seconds))
    used = sum(server.cpu_times()[:2])
    await _ask(load, names, due)
    with suppress(TimeoutError):  # what is not answered by then counts as such
        await asyncio.wait_for(due.join(), 30)
    cpu, thirds = sum(server.cpu_times()[:2]) - used, np.array_split(await looks, 3)
    for client in clients:
        client.cancel()
    p50, p95, p99, longest = np.percentile(np.array(times or [float("inf")]) * 1000, [50, 95, 99, 100])
    return {
        "due": load.per_second * load.seconds, "answered": len(times), "p50_ms": p50, "p95_ms": p95, "p99_ms": p99,
        "max_ms": longest, "origins": len(origins), "events": min(events, default=0),
        **{f"memory_{name}_mb": float(np.median(third)) for name, third in zip(THIRDS, thirds, strict=True)},
        "cpu_ms": cpu / max(1, len(times)) * 1000, "machine_load": os.getloadavg()[0],
    }  # fmt: skip


async def _ask(load: Load, names: list[str], due: asyncio.Queue[tuple[float, str]]) -> None:
    """Every request at its time, whether or not others were answered."""
    rng, began = np.random.default_rng(0), time.perf_counter()
    for number, at in enumerate(rng.integers(0, len(names), load.per_second * load.seconds).tolist()):
        when = began + number / load.per_second
        if (wait := when - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        due.put_nowait((when, names[at]))


async def _looks(server: psutil.Process, seconds: int) -> list[float]:
    """MB of memory, looked at as often as it goes."""
    found = []
    for _ in range(max(3, seconds // LOOK_SECONDS)):
        found.append(server.memory_info().rss / 1e6)
        await asyncio.sleep(min(LOOK_SECONDS, seconds / 3))
    return found


async def _listen(events: list[int], at: int, port: int) -> None:
    """A stream of all events, which are counted."""
    reader, writer = await asyncio.open_connection(SERVER, port)
    writer.write(f"GET /v1/events HTTP/1.1\r\nHost: {SERVER}\r\n\r\n".encode())
    while piece := await reader.read(1 << 20):
        events[at] += piece.count(b"\ndata: ")


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
