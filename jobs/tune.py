"""Look for better training options in bounded time and write them as a file for `wattcast train --options`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.table import Table

from training_arguments import BuildingsFile, Data, ExcludeBuildingsOf, HoldOutShare, OptionsFile, Seed, Set, Synthetic
from wattcast import program
from wattcast.errors import message
from wattcast.settings import project_folder, settings
from wattcast.terminal import show
from wattcast_models.options import as_yaml, parsed, read_options
from wattcast_models.search_space import read_space
from wattcast_models.training_data import TrainingData
from wattcast_models.tuning import Found, search

SHOWN = 5  # trials


def main(
    data: Data,
    buildings_file: BuildingsFile = None,
    exclude_buildings_of: ExcludeBuildingsOf = None,
    hold_out_share: HoldOutShare = 0.2,
    minutes: Annotated[float, typer.Option(min=0.01, help="Stop after this long at the latest.")] = 60.0,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials at most, with those of earlier calls.")] = None,
    space: Annotated[Path | None, typer.Option(help="YAML of what to try; default: conf/tuning.yaml.")] = None,
    options: OptionsFile = None,
    set_: Set = None,
    synthetic: Synthetic = 0,
    seed: Seed = None,
    out: Annotated[
        Path, typer.Option(help="YAML of the best options; the trials are kept beside it, as .db, to go on with.")
    ] = Path("tuned.yaml"),
) -> None:
    """Try training options, never looking at the time and the buildings that are held out, and write the best."""
    try:
        changes = ({} if seed is None else {"seed": seed}) | parsed(set_ or [])
        base = read_options(options or project_folder("conf") / "training.yaml", changes)
        searched = read_space(space or project_folder("conf") / "tuning.yaml", base)
        torch.set_num_threads(1)
        source = TrainingData(data, buildings_file, exclude_buildings_of, hold_out_share, synthetic, base.seed)
        found = search(
            [*source.recorded(), *source.made_up()],
            base,
            searched,
            storage=out.with_suffix(".db"),
            minutes=minutes,
            trials=trials,
            tracking_uri=settings().tracking_uri,
        )
        out.write_text(f"{comment(found, source)}\n{as_yaml(found.options)}")
    except (ValueError, OSError) as error:
        typer.echo(f"wattcast tune: {message(error)}", err=True)
        raise typer.Exit(2) from error
    show(table(found))
    typer.echo(f"The best options are in {out}.")


def comment(found: Found, source: TrainingData) -> str:
    """Where the options come from, as the head of their file."""
    best = found.tried[0]
    return (
        f"# Found by `wattcast tune` on {datetime.now(UTC):%Y-%m-%d}: the best of {len(found.tried)} trials.\n"
        f"# Loss on later weeks {best.loss:.5f} (pinball, scaled units) within {best.steps} steps.\n"
        f"# Learned from {source.data.name} without the last {source.hold_out_share:.0%} of time."
    )


def table(found: Found) -> Table:
    """The best trials side by side, and what mattered."""
    best = found.tried[:SHOWN]
    shown = Table("", *(f"{each.loss:.4f}" for each in best), title=f"Lowest loss in {len(found.tried)} trials")
    if found.importance:
        shown.add_column("mattered", justify="right")
    for name in best[0].changes:
        mattered = [f"{found.importance.get(name, 0):.0%}"] if found.importance else []
        shown.add_row(name, *(_short(each.changes[name]) for each in best), *mattered)
    return shown


def _short(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    program.run(main, "tune")
