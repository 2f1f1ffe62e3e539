"""References to a model on the command line: a version number, an alias, `shipped`, or the folder of an artifact."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from wattcast_models.artifact.folder import shipped_artifact
from wattcast_models.registry.registry import Registry, Version
from wattcast_models.tracking.mlflow_store import NotInStore

if TYPE_CHECKING:
    from wattcast_models.artifact.predictor import Predictor

SHIPPED = "shipped"
MODEL_REF_HELP = "Version number, champion, previous, shipped, or the folder of an artifact."


@dataclass(frozen=True)
class ResolvedModel:
    """A model; `version` is None if it is not registered."""

    predictor: "Predictor"
    version: Version | None = None

    def __str__(self) -> str:
        return str(self.version) if self.version else f"{self.predictor.name} {self.predictor.version}"


def resolve_model(ref: str, registry: Registry) -> ResolvedModel:
    """The model that `ref` names; before the first promotion, the champion is the shipped model.

    Raises:
        NotInStore: there is no such model.
        ArtifactError: the model cannot be used.
    """
    if ref.isdecimal():
        return load_version(registry.version(int(ref)), registry)
    if ref in ("champion", "previous"):
        number = registry.aliases().get(ref)
        if number is None and ref == "previous":
            raise NotInStore("There is no previous champion.")
        return load_version(None if number is None else registry.version(number), registry)
    from wattcast_models.artifact.predictor import Predictor  # torch takes seconds to import

    folder = shipped_artifact() if ref == SHIPPED else Path(ref)
    if not folder.is_dir():
        raise NotInStore(f"There is no model {ref}: give a version number, champion, previous, shipped, or a folder.")
    return ResolvedModel(Predictor.read(folder))


def load_version(version: Version | None, registry: Registry) -> ResolvedModel:
    """The model of a version; the shipped model for None."""
    from wattcast_models.artifact.predictor import Predictor

    if version is None:
        return ResolvedModel(Predictor.read(shipped_artifact()))
    with TemporaryDirectory() as folder:
        return ResolvedModel(registry.fetch(version, Path(folder) / "model"), version)
