"""A model by what it is called on the command line: a number of the registry, an alias, `shipped`, or a folder."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from wattcast_models.artifact import shipped_artifact
from wattcast_models.mlflow_store import NotInStore
from wattcast_models.predictor import Predictor
from wattcast_models.registry import Registry, Version

SHIPPED = "shipped"
HELP = "A number of the registry, champion, previous, shipped, or the folder of an artifact."


@dataclass(frozen=True)
class Model:
    """A model; `version` is None for one that is not registered."""

    predictor: Predictor
    version: Version | None = None

    def __str__(self) -> str:
        return str(self.version) if self.version else f"{self.predictor.name} {self.predictor.version}"


def named(name: str, registry: Registry) -> Model:
    """The model called `name`; while nothing was promoted, the champion is the one that comes with the package.

    Raises:
        NotInStore: there is none of that name.
        ArtifactError: it cannot be used.
    """
    if name.isdecimal():
        return of_version(registry.version(int(name)), registry)
    if name in ("champion", "previous"):
        number = registry.aliases().get(name)
        if number is None and name == "previous":
            raise NotInStore("There is no champion before the present one.")
        return of_version(None if number is None else registry.version(number), registry)
    folder = shipped_artifact() if name == SHIPPED else Path(name)
    if not folder.is_dir():
        raise NotInStore(f"There is no model {name}: give a number, champion, previous, shipped, or a folder.")
    return Model(Predictor.read(folder))


def of_version(version: Version | None, registry: Registry) -> Model:
    """The model of a version, without one that which comes with the package."""
    if version is None:
        return Model(Predictor.read(shipped_artifact()))
    with TemporaryDirectory() as place:
        return Model(registry.fetch(version, Path(place) / "model"), version)
