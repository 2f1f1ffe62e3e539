"""Runs a backtest: reads models and readings, scores every building, and writes the requested files."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from wattcast.cli.models.backtest_options import HOURLY_USAGE
from wattcast.cli.models.backtest_output import evaluation_entry, write_json
from wattcast.cli.models.closing import closing_rules
from wattcast.cli.models.files import STRICT_FILES, recorded_buildings
from wattcast.progress import progress
from wattcast_models.artifact.files import extend_config
from wattcast_models.artifact.predictor import Predictor
from wattcast_models.data.readings import Building, building_ids
from wattcast_models.data.rolling import Rolling
from wattcast_models.evaluation.backtest import building_error_sums, model_method, model_name, with_reference
from wattcast_models.evaluation.baselines import Method, baseline
from wattcast_models.evaluation.comparison import long_table
from wattcast_models.evaluation.report import example_week, typical_building, write_report
from wattcast_models.evaluation.results import Results

TRAINED_BASELINE = "lightgbm-global"


@dataclass(frozen=True)
class BacktestRequest:
    """The options of `wattcast backtest`."""

    data: Path
    rolling: Rolling
    model_folders: tuple[Path, ...]  # the others are compared with the first
    methods: tuple[str, ...]  # baselines
    buildings_file: Path | None
    building_ids: frozenset[str]  # empty: all
    train_data: Path  # of lightgbm-global
    exclude_buildings_of: Path | None
    json_file: Path | None
    csv_file: Path | None
    html_file: Path | None
    note: bool
    spark: bool


class ReadingsSource(Protocol):
    """The readings of a backtest: the results of all buildings, and one building for the example in the report."""

    def results(self, methods: Sequence[Method], rolling: Rolling) -> Results: ...
    def building(self, building_id: str) -> Building: ...


@dataclass(frozen=True)
class LocalReadings:
    """The buildings of a file, which are scored one after the other in this process."""

    buildings: list[Building]

    def results(self, methods: Sequence[Method], rolling: Rolling) -> Results:
        parts = []
        with progress("backtest", total=len(self.buildings)) as update:
            for building in self.buildings:
                parts.append(building_error_sums(building, methods, rolling))
                update(len(parts), f"{len(parts)} of {len(self.buildings)} buildings")
        return Results.from_parts(parts)

    def building(self, building_id: str) -> Building:
        return next(building for building in self.buildings if building.building_id == building_id)


def run_backtest(request: BacktestRequest) -> tuple[Results, str]:
    """Score the methods and write the requested files; returns the results and the name of the main method.

    Raises ValueError or OSError where a file or an option cannot be used.
    """
    predictors = [Predictor.read(folder) for folder in request.model_folders]
    methods = _methods(request, predictors)
    open_source = _spark_readings if request.spark else _local_readings
    with open_source(request.data, request.buildings_file, request.building_ids) as source:
        results = source.results(methods, request.rolling)
        _write_files(request, results, source, predictors[0])
    return results, model_name(predictors[0])


def _methods(request: BacktestRequest, predictors: Sequence[Predictor]) -> list[Method]:
    """The models, the requested baselines, and the same hour last week."""
    rolling = request.rolling
    training = _training_buildings(request) if TRAINED_BASELINE in request.methods else []
    models = [model_method(predictor, rolling) for predictor in predictors]
    baselines = [baseline(name, rolling, training=training) for name in request.methods]
    return with_reference([*models, *baselines], rolling)


def _training_buildings(request: BacktestRequest) -> list[Building]:
    if str(request.train_data) == HOURLY_USAGE:
        raise ValueError(f"{TRAINED_BASELINE} is fitted on a file: add --train-data FILE to --data {HOURLY_USAGE}.")
    excluded = building_ids(request.exclude_buildings_of, STRICT_FILES) if request.exclude_buildings_of else set()
    buildings = recorded_buildings(request.train_data, request.buildings_file, closing=closing_rules())
    return [building for building in buildings if building.building_id not in excluded]


@contextmanager
def _local_readings(
    data: Path, buildings_file: Path | None, requested_ids: Collection[str]
) -> Iterator[ReadingsSource]:
    if str(data) == HOURLY_USAGE and not data.exists():
        raise ValueError(f"{HOURLY_USAGE} is a table that only Spark can read: add --spark.")
    with progress("reading the data", total=None):
        buildings = recorded_buildings(data, buildings_file, closing=closing_rules())
    if requested_ids:
        buildings = [building for building in buildings if building.building_id in requested_ids]
    if missing_ids := set(requested_ids) - {building.building_id for building in buildings}:
        raise ValueError(f"{data.name} has no building {', '.join(sorted(missing_ids))}.")
    yield LocalReadings(buildings)


@contextmanager
def _spark_readings(
    data: Path, buildings_file: Path | None, requested_ids: Collection[str]
) -> Iterator[ReadingsSource]:
    from wattcast.cli.models.backtest_on_spark import spark_readings  # needs Java, which a local backtest does not

    with spark_readings(data, buildings_file, requested_ids) as source:
        yield source


def _write_files(request: BacktestRequest, results: Results, source: ReadingsSource, predictor: Predictor) -> None:
    main_method, rolling = model_name(predictor), request.rolling
    if request.json_file:
        write_json(request.json_file, results, predictor, rolling)
    if request.csv_file:
        long_table(results).to_csv(request.csv_file, index=False, float_format="%.6g")
    if request.html_file:
        building = source.building(typical_building(results, main_method))
        week = example_week(building, predictor, rolling)
        write_report(request.html_file, results, main_method, rolling, week=week)
    if request.note:
        entry = evaluation_entry(results, predictor, rolling, request.data)
        extend_config(request.model_folders[0], evaluation=entry)
