"""How many forecasts a model makes in a second on one thread, the cutting of windows included."""

import json
import resource
import time
from pathlib import Path
from statistics import median
from typing import Annotated

import numpy as np
import torch
import typer
from rich.progress import track

from wattcast import program
from wattcast.errors import message
from wattcast_models.artifact import shipped_artifact
from wattcast_models.features import features_by_day
from wattcast_models.predictor import ROWS_AT_ONCE, Predictor, network_of
from wattcast_models.rolling import DAY
from wattcast_models.synthetic import synthetic_buildings
from wattcast_models.windows import cut, split_by_time

BUILDINGS, DAYS = 40, 120


def main(
    model: Annotated[Path | None, typer.Option(help="Artifact folder; default: the one in the package.")] = None,
    lead_hours: Annotated[int, typer.Option(min=1, max=168, help="Hours ahead.")] = DAY,
    batches: Annotated[int, typer.Option(min=1, help=f"Of {ROWS_AT_ONCE} forecasts; the median of them counts.")] = 15,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
) -> None:
    """Measure the speed of forecasts of synthetic buildings in CPU seconds, which other work on the machine hardly changes."""
    try:
        predictor = Predictor.read(model or shipped_artifact())
        found = measured(predictor, lead_hours=lead_hours, batches=batches)
    except (ValueError, OSError) as error:
        typer.echo(f"wattcast benchmark: {message(error)}", err=True)
        raise typer.Exit(2) from error
    typer.echo(
        f"{predictor.name} {predictor.version}, {lead_hours} hours ahead: {found['forecasts_per_second']:,.0f} forecasts per "
        f"CPU second on one thread. Of a forecast's time, {found['windows_share']:.0%} cuts windows, "
        f"{found['features_share']:.0%} makes features. Peak memory {found['peak_megabytes']:,.0f} MB."
    )
    if json_file:
        json_file.write_text(json.dumps(found, indent=2) + "\n")


def measured(predictor: Predictor, *, lead_hours: int, batches: int) -> dict[str, float]:
    """Medians over batches; ValueError when the model does not forecast as far."""
    torch.set_num_threads(1)
    buildings = synthetic_buildings(BUILDINGS, days=DAYS)
    stretches, _ = split_by_time(buildings, lead_hours=lead_hours, validation_share=0.1)
    rng = np.random.default_rng(0)
    network_of(predictor)
    seconds: dict[str, list[float]] = {"windows": [], "features": [], "all": []}
    for _ in track(range(batches), "benchmark"):
        origins = stretches.sample(ROWS_AT_ONCE, rng)
        begun = time.process_time()
        inputs, _ = cut(buildings, origins, context_hours=predictor.context_hours, lead_hours=lead_hours)
        is_cut = time.process_time()
        predictor(inputs)
        is_done = time.process_time()
        days = range(-(-lead_hours // DAY))
        for _ in features_by_day(
            inputs, inputs_used=predictor.config["inputs"], context_hours=predictor.context_hours, days=days
        ):
            pass
        seconds["windows"].append(is_cut - begun)
        seconds["features"].append(time.process_time() - is_done)
        seconds["all"].append(is_done - begun)
    windows, made, every = (median(values) for values in seconds.values())
    return {
        "lead_hours": lead_hours,
        "forecasts_per_second": ROWS_AT_ONCE / every,
        "windows_share": windows / every,
        "features_share": made / every,
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


if __name__ == "__main__":
    program.run(main, "benchmark")
