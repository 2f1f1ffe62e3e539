"""`wattcast explain`: the contributions of calendar, recent level, weather and occupancy to each hour of a forecast."""

from pathlib import Path
from typing import Annotated

import typer

from wattcast.cli.bad_input import exit_on_bad_input
from wattcast.cli.models.explain_output import hours_table, write_json
from wattcast.cli.models.explain_run import ExplainRequest, explain_forecast
from wattcast.settings import settings
from wattcast.terminal.console import show
from wattcast.times import naive_hour
from wattcast_models.evaluation.explanation import explanation_sentence
from wattcast_models.registry.model_refs import MODEL_REF_HELP


def main(
    building_id: Annotated[str, typer.Argument(help="Id of the building.")],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Parquet or CSV file of readings to forecast from. Default: the newest forecast in the lake is explained."
        ),
    ] = None,
    buildings_file: Annotated[
        Path | None, typer.Option(help="CSV file with building_id, timezone, country, closures.")
    ] = None,
    at: Annotated[
        str, typer.Option(help="First hour of the forecast in UTC, such as 2026-03-20T00:00. Default: the newest.")
    ] = "",
    model: Annotated[
        str,
        typer.Option(help=f"{MODEL_REF_HELP} Default: shipped with --data, else the model that made the forecast."),
    ] = "",
    lead_hours: Annotated[int, typer.Option(min=1, max=168, help="Hours to forecast, with --data.")] = 24,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the explanation to this JSON file.")] = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write a row per hour to this CSV file.")] = None,
) -> None:
    """Explain a forecast: P50 = base + calendar + recent level + weather + occupancy, for each hour."""
    with exit_on_bad_input("explain"):
        origin = naive_hour(at) if at else None
        request = ExplainRequest(building_id, data, buildings_file, origin, model, lead_hours)
        explained = explain_forecast(request, settings())
        if json_file:
            write_json(json_file, explained)
        if csv_file:
            explained.explanation.frame.to_csv(csv_file, index=False, float_format="%.9g")
    if explained.remark:
        typer.echo(explained.remark, err=True)
    print(explanation_sentence(explained.explanation, explained.explanation.most_driven_hour))
    show(hours_table(explained))
