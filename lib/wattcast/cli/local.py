"""The commands for this machine: `demo`, the embedded broker, and simulated readings."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from wattcast.errors import message, refuse

IntervalMinutes = Annotated[
    int | None,
    typer.Option(help="Minutes between the readings of a building: 5, 10, 15, 30 or 60. Default: differs by building."),
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the random numbers; the same seed gives the same readings.")]


def demo(
    data: Annotated[
        Path | None, typer.Option(help="File of recorded readings (Parquet or CSV). Default: simulated readings.")
    ] = None,
    buildings_file: Annotated[Path | None, typer.Option(help="File with metadata of the buildings (CSV).")] = None,
    buildings: Annotated[int, typer.Option(min=1, help="Maximum number of buildings.")] = 12,
    days: Annotated[int, typer.Option(min=2, help="Maximum number of days, from the first reading on.")] = 30,
    interval_minutes: IntervalMinutes = None,
    faults: Annotated[
        float,
        typer.Option(
            min=0, max=1,
            help="Share of readings for each fault: disordered, delayed, duplicated, corrected, corrupted.",
        ),
    ] = 0.02,
    seed: Seed = 1,
) -> None:  # fmt: skip
    """Run the whole pipeline on this machine.

    It replays readings into a real Kafka broker, forecasts, and checks the result; exit 1 if the check fails.
    """
    from wattcast.embedded.preflight import check_java, check_python

    check_python()
    check_java()  # before Spark is imported, which takes seconds
    from wattcast.local.demo.demo import Demo

    sys.exit(Demo(data, buildings_file, buildings, days, interval_minutes, faults, seed).run())


def up() -> None:
    """Start the embedded broker.

    It runs until `wattcast down`.
    """
    from wattcast.embedded.stack import up
    from wattcast.settings import settings

    print(up(settings().state))


def down() -> None:
    """Stop the embedded broker and keep its data."""
    from wattcast.embedded.stack import down
    from wattcast.settings import settings

    print(down(settings().state))


def simulate(
    out: Annotated[
        Path, typer.Argument(help="Parquet file to write; the metadata is written beside it as .buildings.csv.")
    ],
    buildings: Annotated[int, typer.Option(min=1, help="Number of buildings.")] = 10,
    days: Annotated[int, typer.Option(min=1, help="Number of days.")] = 60,
    start: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="First day, UTC.")] = datetime(2026, 1, 1),
    interval_minutes: IntervalMinutes = None,
    seed: Seed = 0,
    faults: Annotated[float, typer.Option(help="Share of readings with a sensor fault, from 0 to 0.5.")] = 0.0,
) -> None:
    """Write readings of simulated buildings to a file."""
    from wattcast.local.simulation.simulator import write_simulation
    from wattcast.progress import progress

    with progress("simulate", total=days) as update:
        try:
            rows = write_simulation(
                out, buildings=buildings, days=days, start=start.date(), interval_minutes=interval_minutes, seed=seed,
                faults=faults, progress=update,
            )  # fmt: skip
        except (ValueError, OSError) as error:
            refuse(message(error))
    print(f"Wrote {rows:,} readings of {buildings} buildings to {out} and {out.with_suffix('.buildings.csv')}.")


def jars(
    sets: Annotated[list[str] | None, typer.Argument(help="Sets of conf/jars.lock. Default: spark and broker.")] = None,
    into: Annotated[Path | None, typer.Option(help="Folder to copy the jars into.")] = None,
) -> None:
    """Download the Java libraries of the broker and of Spark's connectors, and prepare their quick start."""
    import shutil

    from wattcast.embedded.jars import SETS, jars
    from wattcast.local.prepare_start import prepare_start

    for name in sets or ("spark", "broker"):
        if name not in SETS:
            refuse(f"There is no set of jars {name}: choose from {', '.join(SETS)}.")
        for jar in jars(name):
            if into is not None:
                shutil.copy(jar, into)
    if sets is None and into is None:
        prepare_start()
