"""Train a model on recorded readings and write its artifact."""

import hashlib
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from training_arguments import (
    BuildingsFile,
    ExcludeBuildingsOf,
    HoldOutShare,
    MaybeData,
    Minutes,
    OptionsFile,
    Seed,
    Set,
    Synthetic,
)
from wattcast import program
from wattcast.errors import message
from wattcast.settings import project_folder, settings
from wattcast_models import artifact, charts, promotion
from wattcast_models.artifact import ArtifactError
from wattcast_models.gate import TEST_SHARE, judge
from wattcast_models.mlflow_store import StoreError
from wattcast_models.networks import KINDS
from wattcast_models.options import TrainingOptions, parsed, read_options
from wattcast_models.predictor import usable
from wattcast_models.readings import Building, late_share, read_buildings
from wattcast_models.reference import reference
from wattcast_models.registry import Registry, Version
from wattcast_models.sources import newest_version
from wattcast_models.tracking import tracked
from wattcast_models.training import OnCheck, Trained, train
from wattcast_models.training_data import TrainingData

CHECKPOINT = "checkpoint.pt"  # in the folder of the artifact while it is made


def main(
    data: MaybeData = None,
    data_version: Annotated[
        int | None, typer.Option(min=0, help="Version of the table to read; default: the newest.")
    ] = None,
    hindsight: Annotated[
        bool,
        typer.Option("--hindsight", help="Learn from hours as they are known now, not as they were at each origin."),
    ] = False,
    buildings_file: BuildingsFile = None,
    store: Annotated[
        Path | None, typer.Option(help="Keep the hours in files in this folder while training, not in memory.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the artifact.")] = Path("models/trained"),
    begin_anew: Annotated[
        bool,
        typer.Option(
            "--begin-anew",
            help="Where a run that was killed has left a checkpoint of other data or options in that folder, remove it; without "
            "this it is refused.",
        ),
    ] = False,
    options: OptionsFile = None,
    set_: Set = None,
    network: Annotated[
        list[str] | None, typer.Option(help=f"{', '.join(KINDS)}; repeated: the mean of their forecasts.")
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the model; default: wattcast-NETWORK.")] = "",
    model_version: Annotated[str, typer.Option(help="Version; default: from the weights.")] = "",
    exclude_buildings_of: ExcludeBuildingsOf = None,
    hold_out_share: HoldOutShare = 0.0,
    minutes: Minutes = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Optimiser steps at most.")] = None,
    synthetic: Synthetic = 0,
    seed: Seed = None,
    device: Annotated[str, typer.Option(help="cpu, or cuda for a GPU.")] = "cpu",
    processes: Annotated[
        int, typer.Option(min=1, help="Of this machine, which share each batch; started by Spark's TorchDistributor.")
    ] = 1,
    attribution: Annotated[str, typer.Option(help="What the licence of the data asks to be said.")] = "",
    register: Annotated[bool, typer.Option("--register", help="Put the artifact into the registry.")] = False,
    promote: Annotated[
        bool,
        typer.Option(
            "--promote",
            help="Register it, and make it the champion if the gate accepts it on the last fifth of each building's time, which "
            "is held out for that. What the gate says is no failure.",
        ),
    ] = False,
) -> None:
    """Train one network for all buildings of a file and write model.pt and model_config.json."""
    if data is None:
        lake = Path(settings().lake_uri)
        data, buildings_file = lake / "hourly_usage", buildings_file or lake / "buildings"
    if promote:
        hold_out_share = max(hold_out_share, TEST_SHARE)
    try:
        changed = {"members": network, "minutes": minutes, "steps": steps, "seed": seed}
        changes = {key: value for key, value in changed.items() if value is not None} | parsed(set_ or [])
        chosen = read_options(options or project_folder("conf") / "training.yaml", changes)
        torch.set_num_threads(1)
        learn = _learning(processes, usable(device), begin_anew=begin_anew)
        source = TrainingData(
            data,
            buildings_file,
            exclude_buildings_of,
            hold_out_share,
            synthetic,
            chosen.seed,
            version=newest_version(data) if data_version is None else data_version,
            hindsight=hindsight,
            store=store,
        )
        buildings = source.recorded()
        for remark in remarks(buildings):
            typer.echo(remark)
        about_data = describe_data(data, source.version, buildings)
        name = name or f"wattcast-{'-'.join(chosen.members)}"
        params = asdict(chosen) | about_data["data"] | {"synthetic_buildings": synthetic}
        with tracked(name, params, tracking_uri=settings().tracking_uri) as run:
            checks: list[tuple[int, Mapping[str, float]]] = []

            def on_check(step: int, losses: Mapping[str, float]) -> None:
                checks.append((step, losses))
                run.metrics(step, losses)

            learned_from = [*buildings, *source.made_up()]
            trained = learn(source, learned_from, chosen, out / CHECKPOINT, on_check)
            run.figure(charts.losses(checks), "losses.png")
            run.figure(charts.width_factors(trained.calibration), "width_factors.png")
            made = describe(trained, chosen, about_data)
            about = {"name": name, "version": model_version or made["version"]}
            more = {
                "synthetic_buildings": synthetic,
                "excluded_building_ids": sorted(source.excluded_ids),
                "held_out_share": hold_out_share,
                "processes": processes,
                "attribution": attribution,
                "reference": reference(learned_from),
            }
            config = artifact.save(out, trained.network, made | about | more)
            run.artifact(out)
        typer.echo(f"{config['name']} {config['version']} is in {out}: {_figures(config)}.")
        if register or promote:
            registry = Registry(settings().tracking_uri, settings().model.registered_name)
            version = registered(registry, out, is_named=bool(model_version))
            typer.echo(f"Registered as {version}.")
            if promote:
                for line in judged(
                    registry, version, read_buildings(data, buildings_file, store=store, version=source.version)
                ):
                    typer.echo(line)
    except (ValueError, OSError) as error:
        typer.echo(f"wattcast train: {message(error)}", err=True)
        raise typer.Exit(2) from error


def registered(registry: Registry, folder: Path, *, is_named: bool = False) -> Version:
    """The artifact as a version. One with the same weights, as when a run is repeated, is that already, unless the version
    was named by hand and not after the weights."""
    config, _ = artifact.read(folder)
    same = (str(config["name"]), str(config["version"]))
    there = [] if is_named else [each for each in registry.versions() if (each.model_name, each.model_version) == same]
    return there[0] if there else promotion.register(registry, folder)


def judged(registry: Registry, challenger: Version, buildings: Sequence[Building]) -> Iterator[str]:
    """Let the gate decide whether it becomes the champion; yields what comes of it. That it does not is no error; an artifact
    or a registry that cannot be used is."""
    try:
        event = promotion.promote(registry, challenger, buildings, judge=judge)
    except (ArtifactError, StoreError):
        raise
    except ValueError as error:  # nothing can be scored, or it is the champion already
        yield f"Not promoted: {error}"
        return
    yield from (f"- {reason}" for reason in event.reasons)
    if event.what == promotion.PROMOTED:
        yield f"Promoted: {challenger} is the champion. Running jobs take it up with their next batch."
    else:
        yield f"Not promoted: the gate refuses {challenger} against {event.against}."


def _figures(config: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in config["metrics"].items())


Learning = Callable[[TrainingData, list[Building], TrainingOptions, Path, OnCheck], Trained]


def _learning(processes: int, device: str, *, begin_anew: bool) -> Learning:
    """How to train: here, or in several processes; ValueError where those cannot be."""
    if processes == 1:
        return lambda source, buildings, options, checkpoint, on_check: train(
            buildings, options, checkpoint=checkpoint, begin_anew=begin_anew, device=device, on_check=on_check
        )
    if device != "cpu":
        raise ValueError("--processes are for the CPU: leave --device out.")
    try:
        from train_on_spark import train_on_spark  # only here: one process needs no Java
    except ImportError as error:
        raise ValueError(f"--processes needs pyspark and its TorchDistributor: {error}.") from error
    return partial(train_on_spark, processes, begin_anew=begin_anew)


def describe(trained: Trained, options: TrainingOptions, data: dict[str, object]) -> dict[str, object]:
    """The config of the artifact: what the network reads and says, and where it comes from."""
    weights = hashlib.sha256(artifact.weights_bytes(trained.network)).hexdigest()
    return {
        "name": "",
        "version": weights[:12],
        "network": options.network,
        "inputs": trained.inputs,
        "quantiles": list(options.quantiles),
        "context_hours": options.context_hours,
        "lead_hours": options.lead_hours,
        "calibration": trained.calibration,
        "bias_days": options.bias_days,
        "seed": options.seed,
        "training": asdict(options),
        "metrics": trained.metrics,
        **data,
        "git_commit": git_commit(),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def remarks(buildings: Sequence[Building]) -> Iterator[str]:
    """What a training run says of its data: one sentence for each thing that is unknown and is taken for something else."""
    if nowhere := sum(not building.place["timezone"] for building in buildings):
        yield f"{nowhere} of {len(buildings)} buildings have no time zone; they count as UTC."
    if (late := late_share(buildings)) > 0.5:
        yield (
            f"{late:.0%} of the hours became known long after they ended, as when history is loaded: contexts lack "
            "them. --hindsight learns from hours as they are known now."
        )


def describe_data(data: Path, version: int | None, buildings: Sequence[Building]) -> dict[str, Any]:
    """Which table at which version, or which file by content, and which hours of it were trained on."""
    is_hindsight = all(building.revisions is None for building in buildings)
    source: dict[str, object] = {"table": data.name, "version": version, "hindsight": is_hindsight}
    if version is None:
        with data.open("rb") as file:
            source = {"file": data.name, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
    first = min(building.start for building in buildings)
    last = max(building.start + building.hours - 1 for building in buildings)
    from_hour, to_hour = (str(np.datetime64(hour, "h").astype("datetime64[s]")) + "Z" for hour in (first, last))
    hours = sum(int(np.isfinite(building.values[:, 0]).sum()) for building in buildings)
    about = source | {"rows": hours, "from": from_hour, "to": to_hour}
    return {"data": about, "training_building_ids": [building.building_id for building in buildings]}


def git_commit() -> str:
    """The commit of the checkout that this file is in, "unknown" without one."""
    command = ["git", "-C", str(Path(__file__).resolve().parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


if __name__ == "__main__":
    program.run(main, "train")
