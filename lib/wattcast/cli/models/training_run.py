"""A training run of `wattcast train`: read the data, train, write the artifact, register and promote it."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import typer

from wattcast.cli.models.closing import closing_rules
from wattcast.cli.models.files import STRICT_FILES, recorded_buildings
from wattcast.cli.models.provenance import data_entries, data_remarks, model_entries, origin_entries
from wattcast.progress import progress
from wattcast.settings import project_folder, settings
from wattcast_models.artifact.files import read_artifact, save_artifact
from wattcast_models.artifact.folder import ArtifactError
from wattcast_models.artifact.predictor import checked_device
from wattcast_models.artifact.reference import training_reference
from wattcast_models.data.closing import ClosingRules, trained_under
from wattcast_models.data.readings import Building
from wattcast_models.data.sources import newest_version
from wattcast_models.data.training_data import TrainingData
from wattcast_models.evaluation import charts
from wattcast_models.registry import promotion
from wattcast_models.registry.gate import TEST_SHARE, judge
from wattcast_models.registry.registry import Registry, Version
from wattcast_models.tracking.mlflow_store import StoreError
from wattcast_models.tracking.runs import tracked_run
from wattcast_models.training.loop import OnCheck, TrainedModel, train
from wattcast_models.training.options import TrainingOptions, parse_assignments, read_options

CHECKPOINT = "checkpoint.pt"  # in the folder of the artifact during training

Trainer = Callable[[TrainingData, list[Building], TrainingOptions, Path, OnCheck], TrainedModel]


@dataclass(frozen=True, kw_only=True)
class TrainingRequest:
    """The options of `wattcast train`."""

    data: Path | None  # None: the tables of the lake
    data_version: int | None
    hindsight: bool
    buildings_file: Path | None
    store: Path | None
    exclude_buildings_of: Path | None
    hold_out_share: float
    synthetic: int
    out: Path
    begin_anew: bool
    options_file: Path | None
    option_values: Mapping[str, object]  # training options by name; None: not given
    assignments: Sequence[str]  # KEY=VALUE
    name: str
    model_version: str
    device: str
    processes: int
    attribution: str
    is_registered: bool
    is_promoted: bool


def run_training(request: TrainingRequest) -> None:
    """Train, write the artifact, and register and promote it if requested; prints the results.

    ValueError or OSError for options or data that cannot be used.
    """
    torch.set_num_threads(1)
    options, closing = training_options(request), closing_rules()
    trainer = _trainer(request)
    source = training_data(request, options, closing)
    with progress("reading the data", total=None):
        buildings = source.recorded_buildings()
    for remark in data_remarks(buildings):
        typer.echo(remark)
    config = _train_artifact(request, options, source, buildings, trainer, closing)
    metrics = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in config["metrics"].items())
    typer.echo(f"{config['name']} {config['version']} is in {request.out}: {metrics}.")
    if not request.is_registered:
        typer.echo(f"Next: wattcast backtest --data FILE --model {request.out}, or wattcast models use {request.out}")
    if request.is_registered:
        registry = Registry(settings().tracking_uri, settings().model.registered_name)
        version = registered_version(registry, request.out, has_given_version=bool(request.model_version))
        typer.echo(f"Registered as {version}.")
        if request.is_promoted:
            judged_on = recorded_buildings(
                source.data, source.buildings_file, store=source.store, version=source.version, closing=closing
            )
            for line in promotion_messages(registry, version, judged_on):
                typer.echo(line)


def training_options(request: TrainingRequest) -> TrainingOptions:
    """The options of the file, changed by the command line."""
    changes = {name: value for name, value in request.option_values.items() if value is not None}
    file = request.options_file or project_folder("conf") / "training.yaml"
    return read_options(file, changes | parse_assignments(request.assignments))


def training_data(request: TrainingRequest, options: TrainingOptions, closing: ClosingRules) -> TrainingData:
    """Where the data are. By default they are the tables of the lake; for a promotion, the span that the gate judges on is held
    out."""
    data, buildings_file = request.data, request.buildings_file
    if data is None:
        lake = Path(settings().lake_uri)
        data, buildings_file = lake / "hourly_usage", buildings_file or lake / "buildings"
    hold_out_share = request.hold_out_share
    return TrainingData(
        data,
        buildings_file,
        request.exclude_buildings_of,
        max(hold_out_share, TEST_SHARE) if request.is_promoted else hold_out_share,
        request.synthetic,
        options.seed,
        version=newest_version(data) if request.data_version is None else request.data_version,
        hindsight=request.hindsight,
        store=request.store,
        closing=closing,
        files=STRICT_FILES,
    )


def _trainer(request: TrainingRequest) -> Trainer:
    """The function that trains, in this process or in several; ValueError if it cannot run on this machine."""
    device = checked_device(request.device)
    if request.processes == 1:
        return partial(_train_here, request.begin_anew, device)
    if device != "cpu":
        raise ValueError("--processes works on the CPU only: leave out --device.")
    try:
        from wattcast.cli.models.train_on_spark import train_on_spark  # only here: one process needs no Java
    except ImportError as error:
        raise ValueError(f"--processes needs pyspark and its TorchDistributor: {error}.") from error
    return partial(train_on_spark, request.processes, begin_anew=request.begin_anew)


def _train_here(
    begin_anew: bool, device: str, _source: TrainingData, buildings: list[Building], options: TrainingOptions,
    checkpoint: Path, on_check: OnCheck,
) -> TrainedModel:  # fmt: skip
    """Train in this process and show how far it is: by its steps, or by its time limit where that ends it earlier."""
    started = time.monotonic()
    with progress("training") as update:

        def on_step(step: int, losses: str) -> None:
            share_of_time = (time.monotonic() - started) / (60 * options.minutes)
            update(max(step / options.steps, share_of_time), f"step {step}, {losses}")

        return train(
            buildings, options, checkpoint=checkpoint, begin_anew=begin_anew, device=device, on_check=on_check,
            on_step=on_step, show_progress=False,
        )  # fmt: skip


def _train_artifact(
    request: TrainingRequest,
    options: TrainingOptions,
    source: TrainingData,
    buildings: list[Building],
    trainer: Trainer,
    closing: ClosingRules,
) -> dict[str, Any]:
    """Train in a tracked run and write the artifact; its config."""
    name = request.name or f"wattcast-{'-'.join(options.members)}"
    data = data_entries(source.data, source.version, buildings)
    params = asdict(options) | data["data"] | {"synthetic_buildings": request.synthetic}
    with tracked_run(name, params, tracking_uri=settings().tracking_uri) as run:
        checks: list[tuple[int, Mapping[str, float]]] = []

        def on_check(step: int, losses: Mapping[str, float]) -> None:
            checks.append((step, losses))
            run.log_metrics(step, losses)

        all_buildings = [*buildings, *source.synthetic_buildings()]
        trained = trainer(source, all_buildings, options, request.out / CHECKPOINT, on_check)
        run.log_figure(charts.losses(checks), "losses.png")
        run.log_figure(charts.width_factors(trained.calibration), "width_factors.png")
        config = {"name": name} | model_entries(trained, options) | data | origin_entries() | trained_under(closing)
        config |= {
            "version": request.model_version or config["version"],
            "synthetic_buildings": request.synthetic,
            "excluded_building_ids": sorted(source.held_out_ids),
            "held_out_share": source.hold_out_share,
            "processes": request.processes,
            "attribution": request.attribution,
            "reference": training_reference(all_buildings),
        }
        saved = save_artifact(request.out, trained.network, config)
        run.log_artifact(request.out)
    return saved


def registered_version(registry: Registry, folder: Path, *, has_given_version: bool = False) -> Version:
    """The registered version of an artifact, registered now unless its weights already are.

    Weights are recognised by the version that is derived from them, so an artifact with a version given by the user is always
    registered as a new one.
    """
    config, _ = read_artifact(folder)
    model = (str(config["name"]), str(config["version"]))
    if not has_given_version:
        for version in registry.versions():
            if (version.model_name, version.model_version) == model:
                return version
    return promotion.register(registry, folder)


def promotion_messages(registry: Registry, challenger: Version, buildings: Sequence[Building]) -> Iterator[str]:
    """Let the gate decide whether the challenger becomes the champion; yields the result as lines for the user.

    A refusal is not an error; an artifact or a registry that cannot be used is one.
    """
    try:
        event = promotion.promote(registry, challenger, buildings, judge=judge)
    except (ArtifactError, StoreError):
        raise
    except ValueError as error:  # no building can be scored, or the challenger is the champion already
        yield f"Not promoted: {error}"
        return
    yield from (f"- {reason}" for reason in event.reasons)
    if event.what == promotion.PROMOTED:
        yield f"Promoted: {challenger} is the champion. Running jobs load it with their next batch."
    else:
        yield f"Not promoted: the gate refuses {challenger} against {event.against}."
