"""The options of `wattcast backtest`."""

from pathlib import Path
from typing import Annotated

import typer

from wattcast_models.data.rolling import FUTURE_WEATHER, OPTIONAL_INPUTS
from wattcast_models.evaluation.baselines import METHODS

HOURLY_USAGE = "hourly_usage"  # as --data: the table of the lake, which only Spark can read

Data = Annotated[
    Path,
    typer.Option(
        help="File of readings: timestamp, building_id, energy_usage_kwh and, if known, device_id and the weather; other forms "
        f"as in `wattcast load`. With --spark also the table {HOURLY_USAGE}."
    ),
]
BuildingsFile = Annotated[Path | None, typer.Option(help="CSV file with building_id, timezone, country, closures.")]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Write the scores to this JSON file.")]
CsvFile = Annotated[
    Path | None, typer.Option("--csv", help="Write all measures by building and group to this CSV file.")
]
HtmlFile = Annotated[Path | None, typer.Option("--html", help="Write a report with charts to this HTML file.")]
Note = Annotated[
    bool, typer.Option("--note", help="Write the medians into the config of the first model, for its model card.")
]
Models = Annotated[
    list[Path] | None,
    typer.Option(
        help="Folder of a model artifact. Repeatable: the others are compared with the first. Default: the shipped model."
    ),
]
Methods = Annotated[str, typer.Option(help=f"Baselines, separated by commas: {', '.join(METHODS)}.")]
TrainData = Annotated[
    Path | None,
    typer.Option(help="Readings on which lightgbm-global is fitted, without the scored share. Default: --data."),
]
ExcludeBuildingsOf = Annotated[
    Path | None, typer.Option(help="Fit lightgbm-global without the buildings in this file.")
]
Buildings = Annotated[str, typer.Option(help="Score only these building ids, separated by commas.")]
TestShare = Annotated[
    float, typer.Option(min=0.01, max=1.0, help="Share of the time of each building, at its end, that is scored.")
]
OriginHours = Annotated[str, typer.Option(help="Hours of the day to forecast from, in standard time: 0 or 0,6,12,18.")]
LeadHours = Annotated[int, typer.Option(min=1, max=168, help="Hours to forecast from each origin.")]
FutureWeather = Annotated[
    str,
    typer.Option(
        help=f"Weather of the hours ahead: {', '.join(FUTURE_WEATHER)}. `forecast` is measured weather with typical errors."
    ),
]
Without = Annotated[
    list[str] | None, typer.Option(help=f"Score without an input: {', '.join(OPTIONAL_INPUTS)}. Repeatable.")
]
OnSpark = Annotated[bool, typer.Option("--spark", help="Score the buildings in parallel on Spark.")]
