"""`wattcast benchmark-serving`: how fast the API answers requests for forecasts while new forecasts are committed."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from wattcast.cli.benchmarks.serving_lake import COMMIT_SECONDS
from wattcast.cli.benchmarks.serving_load import THIRDS, ServingLoad, free_port, measure_serving

MAX_P95_MS, MAX_MEMORY_GROWTH = 50, 1.1


def main(
    buildings: Annotated[int, typer.Option(min=1, help="Number of buildings in the lake.")] = 10_000,
    per_second: Annotated[
        int, typer.Option(min=1, help="Requests per second, sent on time even if earlier ones are unanswered.")
    ] = 300,
    connections: Annotated[int, typer.Option(min=1, help="Number of connections for the requests.")] = 50,
    seconds: Annotated[int, typer.Option(min=5, help="Duration in seconds.")] = 60,
    streams: Annotated[int, typer.Option(min=0, help="Number of event streams that stay open.")] = 10,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the server on the loopback interface; 0: a free port.")
    ] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this JSON file.")] = None,
) -> None:
    """Measure `GET /v1/buildings/{id}/forecast` on a server of this machine, over a lake to which readings, hours, scores and
    forecasts of all buildings are committed every 10 seconds. The time of a request counts from the moment it is due. Exit status
    1 if a request has no answer, the 95th percentile is above 50 ms, or memory grows."""
    load = ServingLoad(buildings, per_second, connections, seconds, streams)
    with TemporaryDirectory(prefix="wattcast-benchmark-") as folder:
        figures = measure_serving(load, Path(folder), port or free_port())
    typer.echo(summary(load, figures))
    if json_file:
        json_file.write_text(json.dumps(figures, indent=2) + "\n")
    if failures := failed_limits(load, figures):
        typer.echo("\n".join(failures), err=True)
        raise typer.Exit(1)


def summary(load: ServingLoad, figures: dict[str, float]) -> str:
    """The figures as sentences."""
    times = ", ".join(f"{name} {figures[f'{name}_ms']:,.1f} ms" for name in ("p50", "p95", "p99", "max"))
    memory = ", ".join(f"{figures[f'memory_{name}_mb']:,.0f} MB in the {name} third" for name in THIRDS)
    return (
        f"{figures['answered']:,.0f} of {figures['due']:,.0f} requests answered with 200, at {load.per_second}/s over "
        f"{load.connections} connections: {times}. Readings, hours, scores and forecasts of {load.buildings:,} buildings were "
        f"committed every {COMMIT_SECONDS} s; {figures['origins']:.0f} origins were served, and {figures['events']:,.0f} events "
        f"on each of {load.streams} streams. Memory {memory}. {figures['cpu_ms']:.2f} ms of CPU per request, including "
        f"the refresh of tables. Load of the machine {figures['machine_load']:.1f}."
    )


def failed_limits(load: ServingLoad, figures: dict[str, float]) -> list[str]:
    """A sentence for each limit that the figures exceed.

    Memory grows if its median in the last third of the time is more than a tenth above that of the middle third; in the first
    third the server still fills its caches.
    """
    failures = []
    if figures["answered"] < figures["due"]:
        failures.append(f"{figures['due'] - figures['answered']:,.0f} requests were not answered with 200.")
    if figures["p95_ms"] > MAX_P95_MS:
        failures.append(f"The 95th percentile is {figures['p95_ms']:,.1f} ms; the limit is {MAX_P95_MS} ms.")
    if figures["memory_last_mb"] > MAX_MEMORY_GROWTH * figures["memory_middle_mb"]:
        failures.append(f"Memory grew from {figures['memory_middle_mb']:,.0f} to {figures['memory_last_mb']:,.0f} MB.")
    if load.streams and figures["events"] < load.buildings:
        failures.append(f"A stream received {figures['events']:,.0f} events, fewer than one commit sends.")
    return failures
