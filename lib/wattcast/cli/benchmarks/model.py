"""`wattcast benchmark`: how many forecasts a model makes per second on one thread, including the cutting of windows."""

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

from wattcast.cli.bad_input import exit_on_bad_input
from wattcast_models.artifact.folder import shipped_artifact
from wattcast_models.artifact.predictor import NETWORKS, ROWS_AT_ONCE, Predictor
from wattcast_models.data.readings import Building
from wattcast_models.data.synthetic import synthetic_buildings
from wattcast_models.data.windows import Origins, cut_windows, split_by_time
from wattcast_models.features.network_inputs import network_inputs_by_day
from wattcast_models.time_units import DAY_HOURS

BUILDINGS, DAYS = 40, 120


def main(
    model: Annotated[Path | None, typer.Option(help="Folder of a model artifact. Default: the shipped model.")] = None,
    lead_hours: Annotated[int, typer.Option(min=1, max=168, help="Hours to forecast.")] = DAY_HOURS,
    batches: Annotated[
        int, typer.Option(min=1, help=f"Number of batches of {ROWS_AT_ONCE} forecasts; their median is reported.")
    ] = 15,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this JSON file.")] = None,
) -> None:
    """Measure how fast a model forecasts synthetic buildings, in CPU seconds, which do not depend on the load of the machine."""
    with exit_on_bad_input("benchmark"):
        predictor = Predictor.read(model or shipped_artifact())
        figures = measure_model(predictor, lead_hours=lead_hours, batches=batches)
    typer.echo(
        f"{predictor.name} {predictor.version}, {lead_hours} hours ahead: {figures['forecasts_per_second']:,.0f} forecasts per "
        f"CPU second on one thread. {figures['windows_share']:.0%} of the time cuts windows, {figures['features_share']:.0%} "
        f"computes features. Peak memory {figures['peak_megabytes']:,.0f} MB."
    )
    if json_file:
        json_file.write_text(json.dumps(figures, indent=2) + "\n")


def measure_model(predictor: Predictor, *, lead_hours: int, batches: int) -> dict[str, float]:
    """Medians over batches; ValueError when the model does not forecast as far ahead."""
    torch.set_num_threads(1)
    buildings = synthetic_buildings(BUILDINGS, days=DAYS)
    training_windows, _ = split_by_time(buildings, lead_hours=lead_hours, validation_share=0.1)
    rng = np.random.default_rng(0)
    NETWORKS.network(predictor)  # so that the first batch does not build it
    seconds = [
        batch_seconds(predictor, buildings, training_windows.sample(ROWS_AT_ONCE, rng), lead_hours)
        for _ in track(range(batches), "benchmark")
    ]
    windows, features, forecasts = (median(values) for values in zip(*seconds, strict=True))
    return {
        "lead_hours": lead_hours,
        "forecasts_per_second": ROWS_AT_ONCE / forecasts,
        "windows_share": windows / forecasts,
        "features_share": features / forecasts,
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def batch_seconds(
    predictor: Predictor, buildings: list[Building], origins: Origins, lead_hours: int
) -> tuple[float, float, float]:
    """CPU seconds of one batch: cutting its windows, computing its features, and the forecasts with both."""
    start = time.process_time()
    inputs, _ = cut_windows(buildings, origins, context_hours=predictor.context_hours, lead_hours=lead_hours)
    windows_end = time.process_time()
    predictor(inputs)
    forecasts_end = time.process_time()
    days = range(-(-lead_hours // DAY_HOURS))
    for _ in network_inputs_by_day(
        inputs, inputs_used=predictor.config["inputs"], context_hours=predictor.context_hours, days=days
    ):
        pass
    return windows_end - start, time.process_time() - forecasts_end, forecasts_end - start
