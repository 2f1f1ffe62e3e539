"""`wattcast models`: register, compare, promote and roll back versions of models, or pin an artifact on this machine.

A command imports what it needs when it runs: whatever loads a model needs torch, which takes seconds.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from wattcast.errors import FAILED, message, refuse
from wattcast.terminal.console import show as print_table
from wattcast_models.registry.model_refs import MODEL_REF_HELP

if TYPE_CHECKING:
    from wattcast.cli.models.version_actions import VersionStore
    from wattcast_models.registry.scopes import Scope


class ModelCommands(TyperGroup):
    """A group whose commands end with a message and exit status 2 when a file or an option cannot be used."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (OSError, ValueError) as error:
            refuse(message(error))


app = typer.Typer(
    cls=ModelCommands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Register, compare, promote and roll back versions of models, or pin an artifact on this machine.",
)

ArtifactFolder = Annotated[Path, typer.Argument(help="Folder with model.pt and model_config.json.")]
Data = Annotated[Path, typer.Option(help="Parquet or CSV file of readings on which the gate decides.")]
MaybeData = Annotated[Path | None, typer.Option(help="Parquet or CSV file of readings on which the gate decides.")]
Metadata = Annotated[Path | None, typer.Option(help="CSV file with building_id, site, timezone, country, closures.")]
ModelRef = Annotated[str, typer.Argument(help=MODEL_REF_HELP)]
MaybeModelRef = Annotated[str, typer.Argument(help=f"{MODEL_REF_HELP} Default: the model that forecasts now.")]
Site = Annotated[str, typer.Option(help="Only for the buildings of this site.")]
BuildingId = Annotated[str, typer.Option(help="Only for this building.")]


@app.command()
def register(folder: ArtifactFolder) -> None:
    """Add an artifact to the registry."""
    from wattcast_models.registry import promotion

    version = promotion.register(_store().registry, folder)
    print(f"Registered as {version}. To let the gate decide: wattcast models promote {version.number} --data FILE")


@app.command("list")
def list_versions() -> None:
    """List the registered versions and the buildings that they forecast."""
    from wattcast.settings import settings
    from wattcast_models.registry.model_tables import versions_table
    from wattcast_models.registry.registry import Registry

    current = settings()
    registry = Registry(current.tracking_uri, current.model.registered_name)
    print_table(versions_table(registry.versions(), registry.aliases()))


@app.command()
def show(version: MaybeModelRef = "") -> None:
    """Show the config of a model and the history of its version."""
    from wattcast_models.registry.model_tables import config_table, events_table

    store = _store()
    model = store.model(version) if version else store.current_model()
    print(f"{model.predictor.name} {model.predictor.version}" + ("" if version else f", {store.current_reason()}"))
    print_table(config_table(model.predictor.config, title=str(model)))
    if model.version and model.version.events:
        print_table(events_table(model.version.events))


@app.command()
def compare(a: ModelRef, b: ModelRef, data: Data, buildings_file: Metadata = None) -> None:
    """Show how the gate would decide on A as the challenger of B."""
    from wattcast.cli.models.closing import closing_rules
    from wattcast.cli.models.files import recorded_buildings
    from wattcast.cli.models.version_actions import gate_decision
    from wattcast_models.registry.model_tables import decision_table

    store = _store()
    challenger, champion = store.model(a), store.model(b)
    buildings = recorded_buildings(data, buildings_file, closing=closing_rules())
    decision = gate_decision(challenger.predictor, champion.predictor, buildings)
    print_table(decision_table(str(challenger), str(champion), decision))
    for reason in decision.reasons:
        print(f"- {reason}")


@app.command()
def promote(
    version: ModelRef,
    data: MaybeData = None,
    buildings_file: Metadata = None,
    site: Site = "",
    building: BuildingId = "",
    force: Annotated[bool, typer.Option("--force", help="Promote without the gate. Needs --reason.")] = False,
    reason: Annotated[str, typer.Option(help="Why the promotion is forced. Kept in the registry.")] = "",
) -> None:
    """Make a version the champion if the gate accepts it; exit status 1 if it does not."""
    from wattcast.cli.models.closing import closing_rules
    from wattcast.cli.models.version_actions import PromotionRequest, promote_version, requested_scope
    from wattcast_models.registry import promotion

    scope = requested_scope(site, building)
    request = PromotionRequest(version, scope, data, buildings_file, force, reason.strip())
    event, challenger = promote_version(request, _store(), closing_rules())
    for line in event.reasons:
        print(f"- {line}")
    if event.what == promotion.REFUSED:
        print(f"The gate refuses {challenger} as champion of {scope}.", file=sys.stderr)
        raise typer.Exit(FAILED)
    _print_champion(scope, str(challenger))


@app.command()
def rollback(site: Site = "", building: BuildingId = "") -> None:
    """Make the previous champion the champion again."""
    from wattcast.cli.models.version_actions import requested_scope
    from wattcast_models.registry import promotion

    scope = requested_scope(site, building)
    restored = promotion.rollback(_store().registry, scope)
    _print_champion(scope, f"{restored or 'that of all buildings'} again")


@app.command()
def export(
    version: ModelRef, folder: Annotated[Path, typer.Argument(help="Folder to create; it must not exist.")]
) -> None:
    """Write the artifact of a registered version into a folder."""
    from wattcast_models.registry import promotion

    if folder.exists():
        raise promotion.PromotionError(f"{folder} exists already: name a new folder.")
    store = _store()
    model = store.model(version)
    if model.version is None:
        raise promotion.PromotionError(f"{version} is not registered: only registered versions can be exported.")
    store.registry.fetch(model.version, folder)
    print(f"{model} was written to {folder}.")


@app.command()
def use(
    folder: Annotated[Path | None, typer.Argument(help="Folder with model.pt and model_config.json.")] = None,
    champion: Annotated[
        bool, typer.Option("--champion", help="Unpin: let the champions of the registry forecast.")
    ] = False,
) -> None:
    """Pin an artifact: it forecasts on this machine instead of any champion until `use --champion`."""
    from wattcast_models.registry import champions, promotion

    if (folder is None) != champion:
        raise promotion.PromotionError("Name either the folder of an artifact or --champion.")
    store = _store()
    if folder is None:
        champions.unpin_artifact(models=store.models)
        print(f"{store.current_model()}, {store.current_reason()}")
    else:
        predictor = champions.pin_artifact(folder, models=store.models)
        print(f"{predictor.name} {predictor.version}")


@app.command()
def reference(
    folder: ArtifactFolder,
    data: Annotated[Path, typer.Option(help="The readings, or the table hourly_usage, on which it was trained.")],
) -> None:
    """Add the training reference, which drift alerts need, to an artifact that was trained before references existed."""
    from wattcast.cli.models.closing import closing_rules
    from wattcast.cli.models.version_actions import add_training_reference

    add_training_reference(folder, data, closing_rules())
    print(f"The training reference was added to {folder}.")


@app.command()
def card(version: MaybeModelRef = "") -> None:
    """Print the model card as Markdown."""
    from wattcast_models.artifact.card import model_card

    store = _store()
    text = model_card((store.model(version) if version else store.current_model()).predictor.config)
    if sys.stdout.isatty():
        from rich.markdown import Markdown

        print_table(Markdown(text))
    else:
        print(text, end="")


def _store() -> "VersionStore":
    from wattcast.cli.models.version_actions import VersionStore
    from wattcast.settings import settings

    return VersionStore.of(settings())


def _print_champion(scope: "Scope", champion: str) -> None:
    print(f"Champion of {scope}: {champion}. Running jobs load it with their next batch.")
    store = _store()
    if folder := store.pinned_folder():
        print(f"On this machine {folder} forecasts instead, {store.current_reason()}.", file=sys.stderr)
