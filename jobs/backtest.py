"""Backtest models on recorded readings: forecasts of the last weeks, beside simple methods, scored building by building."""

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Annotated, Protocol

import typer
from rich.progress import track
from rich.table import Table

from wattcast import program
from wattcast.errors import message
from wattcast.terminal import plain, show
from wattcast_models import artifact
from wattcast_models.backtest import Results, model_method, model_name, scored, scores, summary, with_reference
from wattcast_models.baselines import METHODS, Method, baseline
from wattcast_models.comparison import as_json, figures_by_building, lines, long_table, without_nan
from wattcast_models.predictor import Predictor
from wattcast_models.readings import Building, building_ids, read_buildings
from wattcast_models.report import example_week, typical_building, write_report
from wattcast_models.rolling import FUTURE_WEATHER, MAY_BE_WITHOUT, UNKNOWN, Rolling

HOURLY_USAGE = "hourly_usage"


def main(
    data: Annotated[
        Path,
        typer.Option(
            help="Parquet or CSV: timestamp, building_id, energy_usage_kwh, weather if known. With --spark also "
            f"{HOURLY_USAGE}, the table."
        ),
    ],
    buildings_file: Annotated[Path | None, typer.Option(help="CSV: building_id, timezone, country, closures.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Write all figures by building and group here.")
    ] = None,
    html_file: Annotated[Path | None, typer.Option("--html", help="Write a report with charts here.")] = None,
    note: Annotated[
        bool, typer.Option("--note", help="Keep the medians in the first model's config, for its card.")
    ] = False,
    model: Annotated[
        list[Path] | None,
        typer.Option(
            help="Artifact folder; again for more, the first is the main one; default: the one in the package."
        ),
    ] = None,
    methods: Annotated[str, typer.Option(help=f"With commas between, of {', '.join(METHODS)}.")] = "",
    train_data: Annotated[
        Path | None, typer.Option(help="What lightgbm-global is fitted on, before its last share; default: --data.")
    ] = None,
    exclude_buildings_of: Annotated[
        Path | None, typer.Option(help="Fit it without the buildings in this file.")
    ] = None,
    buildings: Annotated[str, typer.Option(help="Score only these ids, with commas between.")] = "",
    test_share: Annotated[float, typer.Option(min=0.01, max=1.0, help="The last share of time is scored.")] = 0.2,
    origin_hours: Annotated[str, typer.Option(help="Local hours of the day to forecast from: 0 or 0,6,12,18.")] = "0",
    lead_hours: Annotated[int, typer.Option(min=1, max=168, help="Hours ahead.")] = 24,
    future_weather: Annotated[
        str,
        typer.Option(help=f"Of the hours ahead: {', '.join(FUTURE_WEATHER)}; forecast is measured with usual errors."),
    ] = UNKNOWN,
    without: Annotated[
        list[str] | None, typer.Option(help=f"Score without an input: {', '.join(MAY_BE_WITHOUT)}; repeatable.")
    ] = None,
    spark: Annotated[bool, typer.Option("--spark", help="Spread the buildings over a Spark cluster.")] = False,
) -> None:
    """Forecast the last weeks of recorded readings and compare with the same hour last week and other methods."""
    try:
        rolling = Rolling(test_share, _origin_hours(origin_hours), lead_hours, future_weather, tuple(without or ()))
        predictors = [Predictor.read(folder) for folder in model or [artifact.shipped_artifact()]]
        names = list(filter(None, methods.split(",")))
        is_trained = "lightgbm-global" in names
        training = _training(train_data or data, buildings_file, exclude_buildings_of) if is_trained else []
        compared = _methods(predictors, names, training, rolling)
        chosen = set(filter(None, buildings.split(",")))
        source = _on_spark if spark else _in_memory
        with source(data, buildings_file, chosen) as readings:
            results = readings.results(compared, rolling)
            if json_file:
                json_file.write_text(json.dumps(without_nan(report(results, predictors[0], rolling)), indent=2) + "\n")
            if csv_file:
                long_table(results).to_csv(csv_file, index=False, float_format="%.6g")
            if html_file:
                name = model_name(predictors[0])
                week = example_week(readings.building(typical_building(results, name)), predictors[0], rolling)
                write_report(html_file, results, name, rolling, week=week)
            if note:
                artifact.note(
                    (model or [artifact.shipped_artifact()])[0],
                    evaluation=evaluation(results, predictors[0], rolling, data),
                )
    except (ValueError, OSError) as error:
        typer.echo(f"wattcast backtest: {message(error)}", err=True)
        raise typer.Exit(2) from error
    show(table(results, model_name(predictors[0])))


class Source(Protocol):
    """Readings to score: all buildings at once, one to look at."""

    def results(self, methods: Sequence[Method], rolling: Rolling) -> Results: ...
    def building(self, building_id: str) -> Building: ...


@dataclass(frozen=True)
class InMemory:
    """The buildings of a file, scored one after the other in this process."""

    buildings: list[Building]

    def results(self, methods: Sequence[Method], rolling: Rolling) -> Results:
        parts = (scored(each, methods, rolling) for each in self.buildings)
        return Results.of(track(parts, "backtest", total=len(self.buildings)))

    def building(self, building_id: str) -> Building:
        return next(each for each in self.buildings if each.building_id == building_id)


@contextmanager
def _in_memory(data: Path, buildings_file: Path | None, chosen: Collection[str]) -> Iterator[Source]:
    if str(data) == HOURLY_USAGE and not data.exists():
        raise ValueError(f"{HOURLY_USAGE} is a table, which Spark reads: add --spark.")
    found = [each for each in read_buildings(data, buildings_file) if not chosen or each.building_id in chosen]
    if absent := set(chosen) - {each.building_id for each in found}:
        raise ValueError(f"{data.name} has no building {', '.join(sorted(absent))}.")
    yield InMemory(found)


@contextmanager
def _on_spark(data: Path, buildings_file: Path | None, chosen: Collection[str]) -> Iterator[Source]:
    from backtest_on_spark import on_spark  # only here: without --spark no Java is needed

    with on_spark(data, buildings_file, chosen) as source:
        yield source


def _origin_hours(text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted({int(hour) for hour in text.split(",")}))
    except ValueError as error:
        raise ValueError(f"--origin-hours are hours of the day with commas between, not {text}.") from error


def _methods(
    predictors: Sequence[Predictor], names: Sequence[str], training: Sequence[Building], rolling: Rolling
) -> list[Method]:
    """The models, the methods of these names, and the same hour last week."""
    models = [model_method(predictor, rolling) for predictor in predictors]
    return with_reference([*models, *(baseline(name, rolling, training=training) for name in names)], rolling)


def _training(data: Path, buildings_file: Path | None, exclude_buildings_of: Path | None) -> list[Building]:
    """The buildings that lightgbm-global is fitted on."""
    if str(data) == HOURLY_USAGE:
        raise ValueError(
            f"lightgbm-global is fitted on a file: name it with --train-data beside --data {HOURLY_USAGE}."
        )
    excluded = building_ids(exclude_buildings_of) if exclude_buildings_of else set()
    return [each for each in read_buildings(data, buildings_file) if each.building_id not in excluded]


def report(results: Results, predictor: Predictor, rolling: Rolling) -> dict[str, object]:
    """What is written as JSON: the model, its medians, one entry per building, and all methods side by side."""
    main = model_name(predictor)
    found = scores(results, main)
    others = figures_by_building(results)
    rows = [asdict(score) | {"methods": others[score.building_id]} for score in found]
    about = {"model": predictor.name, "version": predictor.version, "protocol": asdict(rolling)}
    return about | {"median": summary(found), "buildings": rows} | as_json(results, main)


def evaluation(results: Results, predictor: Predictor, rolling: Rolling, data: Path) -> dict[str, object]:
    """What a model's card says of this backtest: how it was made, the medians, and the ratio to each other method."""
    own, *others = lines(results, model_name(predictor))
    origins = ", ".join(f"{hour}:00" for hour in rolling.origin_hours)
    protocol = (
        f"Rolling origins at {origins} (standard time of the building) over the last {rolling.test_share:.0%} of each building's "
        f"time, {rolling.lead_hours} hours ahead, the weather to come {rolling.future_weather}. {data.name}, "
        f"{len(results.buildings)} buildings. Figures are medians over them, in % of each building's mean load; the ratio is "
        "the geometric mean over the buildings of this model's NRMSE to the other's, with its 95 % interval."
    )
    medians = {name: round(interval.value, 2) for name, interval in own.medians.items()}
    ratios = {
        f"NRMSE over that of {line.method}": f"{line.ratio.mean.value:.3f} ({line.ratio.mean.low:.3f} to "
        f"{line.ratio.mean.high:.3f}), better for {line.ratio.better} of {line.ratio.buildings}"
        for line in others
    }
    return {"protocol": protocol, "figures": medians | ratios}


def table(results: Results, main: str) -> Table:
    """Medians over the buildings, the methods side by side, on the same hours."""
    shown = Table(title=f"Median of {len(results.buildings)} buildings, % of mean load")
    for heading in ("", "NRMSE", "NMAE", "NMBE", "pinball", "P10-P90 covers", f"{main} / this (95 %)", "better for"):
        shown.add_column(plain(heading), justify="right" if heading else "left")
    for line in lines(results, main):
        medians = [
            line.medians[name].value for name in ("nrmse_pct", "nmae_pct", "nmbe_pct", "pinball_pct", "coverage_pct")
        ]
        ratio, of = line.ratio.mean, f"{line.ratio.better} of {line.ratio.buildings}"
        against = (
            ["-", "-"] if line.method == main else [f"{ratio.value:.3f} ({ratio.low:.3f} to {ratio.high:.3f})", of]
        )
        shown.add_row(plain(line.method), *(f"{value:.1f}" if isfinite(value) else "-" for value in medians), *against)
    if results.skipped:
        first = "; ".join(f"{building_id} {why}" for building_id, why in list(results.skipped.items())[:3])
        shown.caption = plain(f"{len(results.skipped)} not scored: {first}")
    return shown


if __name__ == "__main__":
    program.run(main, "backtest")
