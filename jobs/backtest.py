"""Backtest a model on recorded readings: day-ahead forecasts of the last weeks, scored building by building."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from wattcast_models.artifact import shipped_artifact
from wattcast_models.backtest import Score, backtest, summary
from wattcast_models.predictor import Predictor
from wattcast_models.readings import read_buildings


def main(
    data: Annotated[
        Path, typer.Option(help="Parquet or CSV: timestamp, building_id, energy_usage_kwh, weather if known.")
    ],
    buildings_file: Annotated[Path | None, typer.Option(help="CSV: building_id, timezone, country, closures.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
    model: Annotated[Path | None, typer.Option(help="Artifact folder; default: the one in the package.")] = None,
    test_share: Annotated[float, typer.Option(min=0.01, max=1.0, help="The last share of time is scored.")] = 0.2,
) -> None:
    """Forecast the last weeks of recorded readings day by day and compare with the same hour last week."""
    try:
        predictor = Predictor.read(model or shipped_artifact())
        buildings = read_buildings(data, buildings_file)
        scored = track(backtest(predictor, buildings, test_share=test_share), "backtest", total=len(buildings))
        scores = list(scored)
        if not scores:
            raise ValueError(f"{data.name} has no building with a week of context and a day to score.")
        if json_file:
            json_file.write_text(json.dumps(report(predictor, scores), indent=2) + "\n")
    except (ValueError, OSError) as error:
        typer.echo(f"wattcast backtest: {error}", err=True)
        raise typer.Exit(2) from error
    Console().print(table(predictor, scores))


def report(predictor: Predictor, scores: list[Score]) -> dict[str, object]:
    """What is written as JSON: the model, the medians and one entry per building."""
    rows = [asdict(score) for score in scores]
    return {"model": predictor.name, "version": predictor.version, "median": summary(scores), "buildings": rows}


def table(predictor: Predictor, scores: list[Score]) -> Table:
    """Medians over the buildings, model beside naive, on the same hours."""
    figures = summary(scores)
    shown = Table(title=f"Day-ahead, median of {len(scores)} buildings, % of mean load")
    for heading in ("", "NRMSE", "NMAE", "pinball", "P10-P90 covers"):
        shown.add_column(heading, justify="right" if heading else "left")
    row = [f"{figures[name]:.1f}" for name in ("nrmse_pct", "nmae_pct", "pinball_pct", "coverage_pct")]
    shown.add_row(f"{predictor.name} {predictor.version}", *row)
    naive = [f"{figures[name]:.1f}" for name in ("naive_nrmse_pct", "naive_nmae_pct", "naive_nmae_pct")]
    shown.add_row("same hour last week", *naive, "-")
    shown.caption = f"The model is better in NRMSE for {figures['beaten']} of {len(scores)} buildings."
    return shown


if __name__ == "__main__":
    typer.run(main)
