"""The command `replay`."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

Share = Annotated[float, typer.Option(min=0, max=1, help="Share of the readings with this fault, from 0 to 1.")]


def replay(
    file: Annotated[
        Path,
        typer.Argument(
            help="File of readings: timestamp (or measured_at), building_id, energy_usage_kwh; other forms as in `wattcast load`."
        ),
    ],
    buildings_file: Annotated[Path | None, typer.Option(help="File with metadata (CSV) to import first.")] = None,
    speed: Annotated[
        float | None, typer.Option(min=0.001, help="Recorded seconds per second. Default: as fast as possible.")
    ] = None,
    buildings: Annotated[int | None, typer.Option(min=1, help="Number of buildings, the first of the file.")] = None,
    days: Annotated[int | None, typer.Option(min=1, help="Number of days, the first of the file.")] = None,
    start: Annotated[datetime | None, typer.Option("--from", help="First time to send, UTC.")] = None,
    end: Annotated[datetime | None, typer.Option("--to", help="End of the times to send, exclusive, UTC.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the faults; the same seed gives the same faults.")] = 0,
    disordered: Share = 0, delayed: Share = 0, duplicated: Share = 0, corrected: Share = 0, corrupted: Share = 0,
    naive_is_utc: Annotated[bool, typer.Option(help="Read times without a time zone as UTC.")] = False,
    resume: Annotated[bool, typer.Option(help="Continue the same replay where it was stopped.")] = False,
) -> None:  # fmt: skip
    """Send recorded readings to Kafka.

    They are sent in the order of their arrival, on request with faults.
    """
    from rich.pretty import pprint

    from wattcast.local.replay.faults import Faults
    from wattcast.local.replay.replay_file import ReplayRequest, replay_file
    from wattcast.progress import progress

    request = ReplayRequest(
        file=file, buildings_file=buildings_file, speed=speed, buildings=buildings, days=days, start=start, end=end,
        seed=seed, faults=Faults(disordered, delayed, duplicated, corrected, corrupted), naive_is_utc=naive_is_utc,
        resume=resume,
    )  # fmt: skip
    with progress(f"replay {file.name}") as update:
        counts = replay_file(request, progress=lambda share, sent: update(share, f"{sent:,} records"))
    pprint(counts)
    print("Next: wattcast run pipeline --once")
