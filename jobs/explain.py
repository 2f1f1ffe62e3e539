"""Explain a forecast: what the calendar, the recent level, the weather and occupancy add to each hour."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.table import Table

from wattcast import program
from wattcast.errors import message
from wattcast.issued import Issued, issued
from wattcast.ladder import MODEL_NEEDS_HOURS, WEEK, model_inputs
from wattcast.settings import settings
from wattcast.terminal import plain, show
from wattcast.times import on_the_hour
from wattcast_models.backtest import known_inputs, model_name
from wattcast_models.champions import current_champions
from wattcast_models.explain import explain
from wattcast_models.explanation import GROUPS, Explanation, sentence
from wattcast_models.features import CONTEXT_INPUTS
from wattcast_models.named import HELP, named, of_version
from wattcast_models.networks import MEDIAN, QUANTILES
from wattcast_models.predictor import Predictor
from wattcast_models.readings import read_buildings
from wattcast_models.registry import Registry
from wattcast_models.windows import Origins

SAME = 1e-4  # relative: a forecast is made beside others, which rounds otherwise


@dataclass(frozen=True)
class Explained:
    """An explanation, by which model, and what a reader must know before believing it."""

    explanation: Explanation
    model: str
    remark: str = ""


def main(
    building_id: Annotated[str, typer.Argument(help="Building.")],
    data: Annotated[
        Path | None,
        typer.Option(help="Parquet or CSV of readings to forecast from; default: the newest forecast of the lake."),
    ] = None,
    buildings_file: Annotated[Path | None, typer.Option(help="CSV: building_id, timezone, country, closures.")] = None,
    at: Annotated[
        str, typer.Option(help="First hour of the forecast, UTC: 2026-03-20T00:00; default: the newest.")
    ] = "",
    model: Annotated[
        str, typer.Option(help=f"{HELP} Default: with --data shipped, else the one that made the forecast.")
    ] = "",
    lead_hours: Annotated[int, typer.Option(min=1, max=168, help="Hours ahead, with --data.")] = 24,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write a row per hour here.")] = None,
) -> None:
    """What drives a forecast: P50 = base + calendar + recent level + weather + occupancy, for each hour."""
    try:
        origin = on_the_hour(at).replace(tzinfo=None) if at else None
        if data:
            explained = of_readings(building_id, data, buildings_file, origin, model, lead_hours)
        else:
            explained = of_lake(building_id, origin, model)
        if json_file:
            json_file.write_text(json.dumps(report(building_id, explained), indent=2) + "\n", encoding="utf-8")
        if csv_file:
            explained.explanation.frame.to_csv(csv_file, index=False, float_format="%.9g")
    except (ValueError, OSError) as error:
        typer.echo(f"wattcast explain: {message(error)}", err=True)
        raise typer.Exit(2) from error
    if explained.remark:
        typer.echo(explained.remark, err=True)
    print(sentence(explained.explanation, explained.explanation.most_driven))
    show(table(building_id, explained))


def of_readings(
    building_id: str, data: Path, buildings_file: Path | None, origin: datetime | None, model: str, lead_hours: int
) -> Explained:
    """The forecast of recorded readings from `origin`, or from the end of the newest hour; the weather after it unknown."""
    predictor = named(model or "shipped", _registry()).predictor
    building = next((each for each in read_buildings(data, buildings_file) if each.building_id == building_id), None)
    if building is None:
        raise ValueError(f"{data.name} has no building {building_id}.")
    start, end = (np.datetime64(hour, "h") for hour in (building.start, building.start + building.hours))
    at = np.datetime64(origin, "h") if origin else end
    if not start < at <= end:
        raise ValueError(f"{building_id} can be forecast from {start + 1}:00 to {end}:00 UTC, not from {at}:00.")
    origins = Origins(np.array([0]), np.array([int((at - start).astype(int))]))
    hours = predictor.context_hours
    inputs, _ = known_inputs(building, origins, context_hours=hours, lead_hours=lead_hours)
    measured = int(np.isfinite(np.asarray(inputs[CONTEXT_INPUTS[0]], float)[0, -WEEK:]).sum())
    if measured < MODEL_NEEDS_HOURS:
        raise ValueError(
            f"{building_id} has {measured} measured hours in the week before {at}:00 UTC; a model needs {MODEL_NEEDS_HOURS}."
        )
    return Explained(explain(predictor, inputs), model_name(predictor))


def of_lake(building_id: str, origin: datetime | None, model: str) -> Explained:
    """The newest live forecast in the lake, or that from `origin`, made anew from what was known when it was issued."""
    row = issued(building_id, settings(), origin=origin)
    if row.method != "model":
        raise ValueError(
            f"The forecast of {building_id} was made by {row.method}, not by a model: there is nothing to explain."
        )
    predictor = named(model, _registry()).predictor if model else _maker(row)
    explained = explain(predictor, model_inputs([row.context]))
    return Explained(explained, model_name(predictor), _remark(row, predictor, explained))


def _maker(row: Issued) -> Predictor:
    """The model that made a forecast if the registry has it, else what forecasts the building now."""
    registry, made_by = _registry(), (row.model_name, row.model_version)
    for version in registry.versions():
        if (version.model_name, version.model_version) == made_by:
            return of_version(version, registry).predictor
    current = settings()
    champions = current_champions(current.model.artifact, models=current.state / "models", registry=registry)
    predictor = champions(row.context.building.building_id, row.site)
    if predictor is None:
        raise ValueError(f"The model {' '.join(made_by)} is not at hand, nor another: name one with --model.")
    return predictor


def _remark(row: Issued, predictor: Predictor, explained: Explanation) -> str:
    """What sets the explained forecast apart from the issued one; empty where they are the same."""
    issued_kwh = row.quantiles_kwh[:, QUANTILES.index(MEDIAN)]
    if (row.model_name, row.model_version) != (predictor.name, predictor.version):
        return (
            f"The forecast was made by {row.model_name} {row.model_version}; explained is what {model_name(predictor)} "
            "forecasts from the same knowledge."
        )
    if np.allclose(explained.p50_kwh, issued_kwh, rtol=SAME, atol=SAME * float(np.abs(issued_kwh).max())):
        return ""
    off = float(np.abs(explained.p50_kwh - issued_kwh).max())
    return (
        f"The P50 explained here differs from the issued one by up to {off:.3g} kWh: the metadata of the building, the "
        "settings or the model of this version have changed since."
    )


def report(building_id: str, explained: Explained) -> dict[str, object]:
    """What is written as JSON: the building, the model, a sentence on the hour with most to explain, a row per hour."""
    found = explained.explanation
    about = {"building_id": building_id, "model": explained.model, "remark": explained.remark}
    hours = found.frame.astype({"target_hour": str, "local_time": str}).to_dict("records")
    return about | {"sentence": sentence(found, found.most_driven), "hours": hours}


def table(building_id: str, explained: Explained) -> Table:
    """A row per hour, in kWh; P50 is the sum of base and contributions."""
    found = explained.explanation
    made = Table(title=plain(f"What drives the forecast of {building_id} by {explained.model}, kWh"))
    for heading in ("hour", "P10", "P50", "P90", "base", *(group.replace("_", " ") for group in GROUPS)):
        made.add_column(heading, justify="left" if heading == "hour" else "right", no_wrap=True)
    for hour, time in enumerate(found.local_time):
        levels = (f"{kwh:.{found.decimals}f}" for kwh in (*found.quantiles_kwh[hour], found.base_kwh[hour]))
        made.add_row(f"{time:%a %d %b %H:%M}", *levels, *(found.signed(group, hour) for group in GROUPS))
    made.caption = "P50 = base + calendar + recent level + weather + occupancy; base: on average at that hour"
    return made


def _registry() -> Registry:
    current = settings()
    return Registry(current.tracking_uri, current.model.registered_name)


if __name__ == "__main__":
    program.run(main, "explain")
