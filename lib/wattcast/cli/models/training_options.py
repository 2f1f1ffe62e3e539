"""The options of `wattcast train` and `wattcast tune`."""

from pathlib import Path
from typing import Annotated

import typer

from wattcast_models.networks.networks import KINDS

# Of both commands

Data = Annotated[
    Path,
    typer.Option(
        help="File of readings: timestamp, building_id, energy_usage_kwh, weather if known; other forms as in `wattcast load`. "
        "Or the folder of the lake's table hourly_usage."
    ),
]
BuildingsFile = Annotated[
    Path | None,
    typer.Option(help="CSV: building_id, timezone, country, closures. Or the folder of the lake's table buildings."),
]
OptionsFile = Annotated[Path | None, typer.Option(help="YAML of training options; default: conf/training.yaml.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE, overrides a training option; repeatable.")]
ExcludeBuildingsOf = Annotated[Path | None, typer.Option(help="Leave out the buildings in this file.")]
HoldOutShare = Annotated[
    float, typer.Option(min=0, max=0.9, help="Hold out this last share of each building's time, for testing.")
]
Synthetic = Annotated[int, typer.Option(min=0, help="Number of synthetic buildings to add to the recorded ones.")]
Seed = Annotated[int | None, typer.Option(min=0, help="The same seed, data and steps give the same weights.")]

# Of `wattcast train`

MaybeData = Annotated[
    Path | None,
    typer.Option(
        help="File of readings: timestamp, building_id, energy_usage_kwh, weather if known; other forms as in `wattcast load`. "
        "Or the folder of a table hourly_usage. Default: the tables hourly_usage and buildings of the lake."
    ),
]
DataVersion = Annotated[int | None, typer.Option(min=0, help="Version of the table to read; default: the newest.")]
Hindsight = Annotated[
    bool, typer.Option("--hindsight", help="Learn from hours as known now, not as they were known at each origin.")
]
Store = Annotated[
    Path | None, typer.Option(help="Keep the hours in files in this folder during training, not in memory.")
]
Out = Annotated[Path, typer.Option(help="Folder of the artifact.")]
BeginAnew = Annotated[
    bool,
    typer.Option(
        "--begin-anew",
        help="Remove a checkpoint in that folder that a killed run with other data or options left behind. Without this "
        "option, such a checkpoint is an error.",
    ),
]
Network = Annotated[
    list[str] | None, typer.Option(help=f"{', '.join(KINDS)}; repeat it to forecast the mean of several networks.")
]
Name = Annotated[str, typer.Option(help="Name of the model; default: wattcast-NETWORK.")]
ModelVersion = Annotated[str, typer.Option(help="Version of the model; default: derived from the weights.")]
Minutes = Annotated[float | None, typer.Option(min=0.01, help="Stop after this time at the latest.")]
Steps = Annotated[int | None, typer.Option(min=1, help="Maximum number of optimiser steps.")]
Device = Annotated[str, typer.Option(help="cpu, or cuda for a GPU.")]
Processes = Annotated[
    int,
    typer.Option(
        min=1, help="Number of processes on this machine that share each batch; started by Spark's TorchDistributor."
    ),
]
Attribution = Annotated[str, typer.Option(help="The attribution that the licence of the data requires.")]
Register = Annotated[bool, typer.Option("--register", help="Register the artifact.")]
Promote = Annotated[
    bool,
    typer.Option(
        "--promote",
        help="Register the artifact and make it the champion if the gate accepts it. The gate judges on the last fifth of "
        "each building's time, which is held out from training. A refusal is not an error.",
    ),
]

# Of `wattcast tune`

TuningMinutes = Annotated[float, typer.Option(min=0.01, help="Stop after this time at the latest.")]
Trials = Annotated[int | None, typer.Option(min=1, help="Maximum number of trials, including those of earlier calls.")]
SpaceFile = Annotated[Path | None, typer.Option(help="YAML of the search space; default: conf/tuning.yaml.")]
TunedFile = Annotated[
    Path,
    typer.Option(help="YAML file for the best options; the trials are stored beside it, as .db, to continue from."),
]
