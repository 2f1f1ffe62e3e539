"""`wattcast tune`: search better training options within a time limit and write them for `wattcast train --options`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch
import typer
from rich.table import Table

from wattcast.cli.bad_input import exit_on_bad_input
from wattcast.cli.models import training_options as opt
from wattcast.cli.models.closing import closing_rules
from wattcast.cli.models.files import STRICT_FILES
from wattcast.settings import project_folder, settings
from wattcast.terminal.console import show
from wattcast_models.data.training_data import TrainingData
from wattcast_models.training.options import options_yaml, parse_assignments, read_options
from wattcast_models.training.search_space import read_search_space
from wattcast_models.training.tuning import SearchResult, search_options

MAX_TRIALS_IN_TABLE = 5


def main(
    data: opt.Data,
    buildings_file: opt.BuildingsFile = None,
    exclude_buildings_of: opt.ExcludeBuildingsOf = None,
    hold_out_share: opt.HoldOutShare = 0.2,
    minutes: opt.TuningMinutes = 60.0,
    trials: opt.Trials = None,
    space: opt.SpaceFile = None,
    options: opt.OptionsFile = None,
    set_: opt.Set = None,
    synthetic: opt.Synthetic = 0,
    seed: opt.Seed = None,
    out: opt.TunedFile = Path("tuned.yaml"),
) -> None:
    """Search training options and write the best. Data that are held out for testing are never read."""
    request = TuningRequest(
        data=data, buildings_file=buildings_file, exclude_buildings_of=exclude_buildings_of, hold_out_share=hold_out_share,
        minutes=minutes, trials=trials, space_file=space, options_file=options, assignments=set_ or [],
        synthetic=synthetic, seed=seed, out=out,
    )  # fmt: skip
    with exit_on_bad_input("tune"):
        result = run_tuning(request)
    show(table(result))
    typer.echo(f"The best options are in {out}.")


@dataclass(frozen=True, kw_only=True)
class TuningRequest:
    """The options of `wattcast tune`."""

    data: Path
    buildings_file: Path | None
    exclude_buildings_of: Path | None
    hold_out_share: float
    minutes: float
    trials: int | None
    space_file: Path | None
    options_file: Path | None
    assignments: Sequence[str]  # KEY=VALUE
    synthetic: int
    seed: int | None
    out: Path


def run_tuning(request: TuningRequest) -> SearchResult:
    """Search and write the file of the best options; ValueError or OSError for options or data that cannot be used."""
    changes = ({} if request.seed is None else {"seed": request.seed}) | parse_assignments(request.assignments)
    base = read_options(request.options_file or project_folder("conf") / "training.yaml", changes)
    space = read_search_space(request.space_file or project_folder("conf") / "tuning.yaml", base)
    torch.set_num_threads(1)
    source = TrainingData(
        request.data,
        request.buildings_file,
        request.exclude_buildings_of,
        request.hold_out_share,
        request.synthetic,
        base.seed,
        closing=closing_rules(),
        files=STRICT_FILES,
    )
    result = search_options(
        [*source.recorded_buildings(), *source.synthetic_buildings()],
        base,
        space,
        storage=request.out.with_suffix(".db"),
        minutes=request.minutes,
        trials=request.trials,
        tracking_uri=settings().tracking_uri,
    )
    request.out.write_text(f"{comment(result, source)}\n{options_yaml(result.options)}")
    return result


def comment(result: SearchResult, source: TrainingData) -> str:
    """The origin of the options, for the head of their file."""
    best = result.trials[0]
    return (
        f"# Found by `wattcast tune` on {datetime.now(UTC):%Y-%m-%d}: the best of {len(result.trials)} trials.\n"
        f"# Validation loss {best.loss:.5f} (pinball, scaled units) within {best.steps} steps.\n"
        f"# Data: {source.data.name} without the last {source.hold_out_share:.0%} of time."
    )


def table(result: SearchResult) -> Table:
    """The best trials side by side, and the importance of each option."""
    best = result.trials[:MAX_TRIALS_IN_TABLE]
    losses = [f"{trial.loss:.4f}" for trial in best]
    columns = Table("", *losses, title=f"Lowest validation loss in {len(result.trials)} trials")
    if result.importance:
        columns.add_column("importance", justify="right")
    for name in best[0].changes:
        importance = [f"{result.importance.get(name, 0):.0%}"] if result.importance else []
        columns.add_row(name, *(_short(trial.changes[name]) for trial in best), *importance)
    return columns


def _short(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
