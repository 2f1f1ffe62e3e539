"""Versions of models: registered, compared, promoted by the gate, rolled back; or an artifact set on this machine alone."""

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markdown import Markdown

from wattcast.errors import FAILED, message, refuse, told
from wattcast.settings import Settings, settings
from wattcast.terminal import show as shown
from wattcast_models import artifact, champions, promotion
from wattcast_models.card import model_card
from wattcast_models.model_tables import config_table, events_table, verdict_table, versions_table
from wattcast_models.named import HELP, SHIPPED, Model, named
from wattcast_models.predictor import Predictor
from wattcast_models.readings import Building, read_buildings
from wattcast_models.reference import reference as made_reference
from wattcast_models.registry import Registry
from wattcast_models.scopes import ALL, Scope
from wattcast_models.training_data import TrainingData

if TYPE_CHECKING:
    from wattcast_models.gate import Verdict

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
    help="Versions of models: registered, compared, promoted by the gate, rolled back; or one set on this machine.",
)  # fmt: skip

Data = Annotated[Path, typer.Option(help="Recorded readings (Parquet or CSV) to judge on.")]
MaybeData = Annotated[Path | None, typer.Option(help="Recorded readings (Parquet or CSV) to judge on.")]
Metadata = Annotated[Path | None, typer.Option(help="CSV: building_id, site, timezone, country, closures.")]
Site = Annotated[str, typer.Option(help="Only for the buildings of this site.")]
BuildingId = Annotated[str, typer.Option(help="Only for this building.")]


@app.command()
def register(folder: Annotated[Path, typer.Argument(help="Folder with model.pt and model_config.json.")]) -> None:
    """Put an artifact into the registry."""
    version = promotion.register(_registry(), folder)
    print(f"Registered as {version}; `wattcast models promote {version.number}` asks the gate for it.")


@app.command("list")
def list_versions() -> None:
    """All registered versions and of what they are champions."""
    registry = _registry()
    shown(versions_table(registry.versions(), registry.aliases()))


@app.command()
def show(version: Annotated[str, typer.Argument(help=f"{HELP} Default: what forecasts now.")] = "") -> None:
    """What a version is and what happened to it."""
    model = _model(version) if version else _now()
    print(f"{model.predictor.name} {model.predictor.version}" + ("" if version else f", {_why()}"))
    shown(config_table(model.predictor.config, title=str(model)))
    if model.version and model.version.events:
        shown(events_table(model.version.events))


@app.command()
def compare(
    a: Annotated[str, typer.Argument(help=HELP)],
    b: Annotated[str, typer.Argument(help=HELP)],
    data: Data,
    buildings_file: Metadata = None,
) -> None:
    """How the gate would judge A as the challenger of B."""
    challenger, champion = _model(a), _model(b)
    verdict = _judged(challenger.predictor, champion.predictor, read_buildings(data, buildings_file))
    shown(verdict_table(str(challenger), str(champion), verdict))
    for reason in verdict.reasons:
        print(f"- {reason}")


@app.command()
def promote(
    version: Annotated[str, typer.Argument(help=HELP)],
    data: MaybeData = None,
    buildings_file: Metadata = None,
    site: Site = "",
    building: BuildingId = "",
    force: Annotated[bool, typer.Option("--force", help="Whatever the gate says; needs --reason.")] = False,
    reason: Annotated[str, typer.Option(help="Why it is forced; kept in the registry.")] = "",
) -> None:
    """Make a version the champion if the gate accepts it; exit 1 if it does not."""
    registry, scope = _registry(), _scope(site, building)
    if force != bool(reason.strip()):
        raise promotion.PromotionError("--force and --reason TEXT go together: why it is forced is kept.")
    if data is None and not force:
        raise promotion.PromotionError("The gate judges on readings: give it --data FILE.")
    challenger = _model(version).version
    if challenger is None:
        folder = artifact.shipped_artifact() if version == SHIPPED else version
        raise promotion.PromotionError(
            f"{version} is not registered: `wattcast models register {folder}` first, then promote its number."
        )
    event = promotion.promote(
        registry, challenger, read_buildings(data, buildings_file) if data else [],
        judge=_judged, scope=scope, sites=promotion.sites_of(buildings_file) if buildings_file and scope != ALL else {},
        forced_because=reason.strip(),
    )  # fmt: skip
    for each in event.reasons:
        print(f"- {each}")
    if event.what == promotion.REFUSED:
        print(f"The gate refuses {challenger} as champion of {scope}.", file=sys.stderr)
        raise typer.Exit(FAILED)
    _tell(scope, str(challenger))


@app.command()
def rollback(site: Site = "", building: BuildingId = "") -> None:
    """Give the place back to the champion before."""
    scope = _scope(site, building)
    back = promotion.rollback(_registry(), scope)
    _tell(scope, f"{back or 'that of all buildings'} again")


@app.command()
def export(
    version: Annotated[str, typer.Argument(help=HELP)],
    folder: Annotated[Path, typer.Argument(help="A folder that does not exist yet.")],
) -> None:
    """Write the artifact of a registered version into a folder."""
    if folder.exists():
        raise promotion.PromotionError(f"{folder} exists already: name a new folder.")
    model = _model(version)
    if model.version is None:
        raise promotion.PromotionError(f"{version} is not registered; there is nothing to export.")
    _registry().fetch(model.version, folder)
    print(f"In {folder}: {model}")


@app.command()
def use(
    folder: Annotated[Path | None, typer.Argument(help="Folder with model.pt and model_config.json.")] = None,
    champion: Annotated[bool, typer.Option("--champion", help="Go back to the champions of the registry.")] = False,
) -> None:
    """Set an artifact on this machine, ahead of every champion, until `use --champion`."""
    if (folder is None) != champion:
        raise promotion.PromotionError("Name the folder of an artifact, or --champion.")
    if folder is None:
        champions.use_champions(models=_models())
        print(f"{_now()}, {_why()}")
    else:
        predictor = champions.use(folder, models=_models())
        print(f"{predictor.name} {predictor.version}")


@app.command()
def reference(
    folder: Annotated[Path, typer.Argument(help="Folder with model.pt and model_config.json.")],
    data: Annotated[Path, typer.Option(help="The very readings (or hourly_usage) that it was trained on.")],
) -> None:
    """Note in an artifact how its inputs were distributed in training, for a model that was trained before that was kept."""
    known, _ = artifact.read(folder)
    recorded = known["data"]
    if "sha256" in recorded:
        with data.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != recorded["sha256"]:
                raise ValueError(f"{data} is not the file that {known['name']} {known['version']} was trained on.")
    synthetic, left_out = int(known.get("synthetic_buildings", 0)), frozenset(known.get("excluded_building_ids", ()))
    source = TrainingData(
        data, hold_out_share=known.get("held_out_share", 0.0), synthetic=synthetic, seed=known["seed"],
        version=recorded.get("version"), hindsight=recorded.get("hindsight", False), excluded=left_out,
    )  # fmt: skip
    artifact.note(folder, reference=made_reference([*source.recorded(), *source.made_up()]))
    print(f"{folder} has its training reference.")


@app.command()
def card(version: Annotated[str, typer.Argument(help=f"{HELP} Default: what forecasts now.")] = "") -> None:
    """The model card, as Markdown."""
    text = model_card((_model(version) if version else _now()).predictor.config)
    if sys.stdout.isatty():
        shown(Markdown(text))
    else:
        print(text, end="")


def _model(name: str) -> Model:
    return named(name, _registry())


def _now() -> Model:
    """What forecasts the buildings without a champion of their own here."""
    folder = champions.set_artifact(settings().model.artifact, models=_models())
    return Model(Predictor.read(folder)) if folder else _model("champion")


def _why() -> str:
    current = settings()
    if current.model.artifact:
        return "named by WATTCAST_MODEL__ARTIFACT"
    if champions.set_artifact("", models=_models()):
        return "set here by `wattcast models use`"
    return "the champion" if "champion" in _registry().aliases() else "the model that comes with the package"


def _tell(scope: Scope, champion: str) -> None:
    print(f"Champion of {scope}: {champion}. Running jobs take it up with their next batch.")
    if folder := champions.set_artifact(settings().model.artifact, models=_models()):
        print(f"On this machine {folder} forecasts instead, {_why()}.", file=sys.stderr)


def _judged(challenger: Predictor, champion: Predictor, buildings: Sequence[Building]) -> "Verdict":
    from wattcast_models.gate import judge

    return judge(challenger, champion, buildings)


def _scope(site: str, building: str) -> Scope:
    if site and building:
        raise promotion.PromotionError("Give --site or --building, not both.")
    scope = Scope("site", site) if site else Scope("building", building) if building else ALL
    scope.alias("champion")
    return scope


def _registry() -> Registry:
    current: Settings = settings()
    return Registry(current.tracking_uri, current.model.registered_name)


def _models() -> Path:
    return settings().state / "models"


@told()
def main() -> None:
    try:
        app(prog_name="wattcast models")
    except (OSError, ValueError) as error:
        refuse(message(error))


if __name__ == "__main__":
    main()
