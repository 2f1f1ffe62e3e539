"""What `wattcast models` does with versions: resolve them, let the gate decide, promote them, add a training reference."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from wattcast.cli.models.files import STRICT_FILES, recorded_buildings
from wattcast.settings import Settings
from wattcast_models.artifact.files import extend_config, read_artifact
from wattcast_models.artifact.folder import shipped_artifact
from wattcast_models.artifact.predictor import Predictor
from wattcast_models.artifact.reference import training_reference
from wattcast_models.data.closing import ClosingRules
from wattcast_models.data.readings import Building
from wattcast_models.data.training_data import TrainingData
from wattcast_models.registry import champions, promotion
from wattcast_models.registry.model_refs import SHIPPED, ResolvedModel, resolve_model
from wattcast_models.registry.registry import Event, Registry, Version
from wattcast_models.registry.scopes import ALL, Scope

if TYPE_CHECKING:
    from wattcast_models.registry.gate import GateDecision


@dataclass(frozen=True)
class VersionStore:
    """The registry and the folder of the models on this machine."""

    registry: Registry
    models: Path
    configured_artifact: str  # WATTCAST_MODEL__ARTIFACT, or empty

    @classmethod
    def of(cls, settings: Settings) -> Self:
        registry = Registry(settings.tracking_uri, settings.model.registered_name)
        return cls(registry, settings.state / "models", settings.model.artifact)

    def model(self, ref: str) -> ResolvedModel:
        return resolve_model(ref, self.registry)

    def current_model(self) -> ResolvedModel:
        """The model that forecasts, on this machine, the buildings without a champion of their own."""
        folder = self.pinned_folder()
        return ResolvedModel(Predictor.read(folder)) if folder else self.model("champion")

    def pinned_folder(self) -> Path | None:
        """The artifact that forecasts instead of any champion: that of the settings or the pinned one."""
        return champions.pinned_artifact(self.configured_artifact, models=self.models)

    def current_reason(self) -> str:
        """Why `current_model` forecasts, as the end of a sentence."""
        if self.configured_artifact:
            return "set by WATTCAST_MODEL__ARTIFACT"
        if self.pinned_folder():
            return "pinned on this machine by `wattcast models use`"
        return "the champion" if "champion" in self.registry.aliases() else "the shipped model"


@dataclass(frozen=True)
class PromotionRequest:
    """The options of `wattcast models promote`."""

    version: str
    scope: Scope
    data: Path | None
    buildings_file: Path | None
    force: bool
    reason: str


def promote_version(request: PromotionRequest, store: VersionStore, closing: ClosingRules) -> tuple[Event, Version]:
    """Promote a registered version if the gate accepts it or if it is forced; returns what happened and the version.

    Raises PromotionError for options that do not fit together.
    """
    if request.force != bool(request.reason):
        raise promotion.PromotionError("--force needs --reason TEXT, and --reason needs --force.")
    if request.data is None and not request.force:
        raise promotion.PromotionError("The gate needs readings to decide: add --data FILE.")
    challenger = store.model(request.version).version
    if challenger is None:
        folder = shipped_artifact() if request.version == SHIPPED else request.version
        raise promotion.PromotionError(
            f"{request.version} is not registered: run `wattcast models register {folder}` first, then promote its number."
        )
    buildings = recorded_buildings(request.data, request.buildings_file, closing=closing) if request.data else []
    sites = promotion.read_sites(request.buildings_file) if request.buildings_file and request.scope != ALL else {}
    event = promotion.promote(
        store.registry,
        challenger,
        buildings,
        judge=gate_decision,
        scope=request.scope,
        sites=sites,
        forced_because=request.reason,
    )
    return event, challenger


def gate_decision(challenger: Predictor, champion: Predictor, buildings: Sequence[Building]) -> "GateDecision":
    from wattcast_models.registry.gate import judge  # takes seconds to import, and most commands do not need it

    return judge(challenger, champion, buildings)


def requested_scope(site: str, building: str) -> Scope:
    """The scope of --site or --building, by default all buildings."""
    if site and building:
        raise promotion.PromotionError("Give --site or --building, not both.")
    scope = Scope("site", site) if site else Scope("building", building) if building else ALL
    scope.alias("champion")  # raises ValueError for a name that cannot be an alias
    return scope


def add_training_reference(folder: Path, data: Path, closing: ClosingRules) -> None:
    """Add to an artifact the distribution of its inputs in the data on which it was trained.

    Raises ValueError for another file than the one on which it was trained.
    """
    config, _ = read_artifact(folder)
    trained_on = config["data"]
    if "sha256" in trained_on:
        with data.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        if sha256 != trained_on["sha256"]:
            raise ValueError(f"{data} is not the file on which {config['name']} {config['version']} was trained.")
    source = TrainingData(
        data,
        hold_out_share=config.get("held_out_share", 0.0),
        synthetic_count=int(config.get("synthetic_buildings", 0)),
        seed=config["seed"],
        version=trained_on.get("version"),
        hindsight=trained_on.get("hindsight", False),
        excluded_ids=frozenset(config.get("excluded_building_ids", ())),
        closing=closing,
        files=STRICT_FILES,
    )
    buildings = [*source.recorded_buildings(), *source.synthetic_buildings()]
    extend_config(folder, reference=training_reference(buildings))
