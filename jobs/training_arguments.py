"""The options that `wattcast train` and `wattcast tune` share."""

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    Path,
    typer.Option(
        help="Parquet or CSV: timestamp, building_id, energy_usage_kwh, weather if known. Or the folder of the lake's "
        "table hourly_usage."
    ),
]
MaybeData = Annotated[
    Path | None,
    typer.Option(
        help="Parquet or CSV: timestamp, building_id, energy_usage_kwh, weather if known. Or the folder of a table "
        "hourly_usage. Default: the tables hourly_usage and buildings of the lake."
    ),
]
BuildingsFile = Annotated[
    Path | None,
    typer.Option(help="CSV: building_id, timezone, country, closures. Or the folder of the lake's table buildings."),
]
OptionsFile = Annotated[Path | None, typer.Option(help="YAML of training options; default: conf/training.yaml.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE over the options; repeatable.")]
ExcludeBuildingsOf = Annotated[Path | None, typer.Option(help="Leave out the buildings in this file.")]
HoldOutShare = Annotated[
    float, typer.Option(min=0, max=0.9, help="Leave out this last share of each building's time: to test on.")
]
Minutes = Annotated[float | None, typer.Option(min=0.01, help="Stop after this long at the latest.")]
Synthetic = Annotated[int, typer.Option(min=0, help="Synthetic buildings of other places and uses beside them.")]
Seed = Annotated[int | None, typer.Option(min=0, help="Same seed, data and steps: same weights.")]
