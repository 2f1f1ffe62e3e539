"""The registry: every version of a model as an artifact in MLflow, which of them are champions, and how they became it."""

import hashlib
import json
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wattcast_models.artifact import CONFIG, WEIGHTS, ArtifactError
from wattcast_models.mlflow_store import NotInStore, StoreError, asked, experiment, is_begun
from wattcast_models.predictor import Predictor

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

EXPERIMENT = "wattcast-registered"
FOLDER = "model"  # the artifact's place in its run
EVENT = "event "  # before the time, in the keys of the tags that tell what happened to a version
KEYS = ("model_name", "model_version", "config_sha256")


@dataclass(frozen=True)
class Event:
    """What happened to a version: promoted, refused, rolled back to, or rolled back from."""

    what: str
    at: str  # ISO 8601, UTC
    by: str
    scope: str
    against: str = ""  # the champion of the time
    reasons: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    forced_because: str = ""


@dataclass(frozen=True)
class Version:
    """A registered artifact. The sha256 of its config stands for all of it: the config has that of the weights."""

    number: int
    model_name: str
    model_version: str
    config_sha256: str
    run_id: str
    registered_at: datetime
    events: list[Event]

    def __str__(self) -> str:
        return f"version {self.number} ({self.model_name} {self.model_version})"


@dataclass(frozen=True)
class Registry:
    """The registered model `name` of the MLflow store at `uri`. Every method raises StoreError where it does not answer."""

    uri: str
    name: str = "wattcast"

    def aliases(self) -> dict[str, int]:
        """The numbers of the versions by alias; none where nothing was ever registered."""
        if not is_begun(self.uri):
            return {}
        try:
            return asked(self.uri, lambda client: _numbers(client.get_registered_model(self.name).aliases))
        except NotInStore:
            return {}

    def versions(self) -> list[Version]:
        """All versions, the newest first."""
        if not is_begun(self.uri):
            return []
        wanted = f"name = '{self.name}'"
        found = asked(self.uri, lambda client: _all(client, wanted))
        return sorted((_version(each) for each in found), key=lambda version: -version.number)

    def version(self, number: int) -> Version:
        """Raises NotInStore, with the numbers that there are."""
        with suppress(NotInStore):
            if is_begun(self.uri):
                return _version(asked(self.uri, lambda client: client.get_model_version(self.name, str(number))))
        there = ", ".join(str(version.number) for version in reversed(self.versions())) or "none yet"
        raise NotInStore(f"There is no version {number} of {self.name} in the registry; there are: {there}.")

    def register(self, folder: Path) -> Version:
        """The artifact of `folder` as a version: the one that it is already, else a new one.

        Raises:
            ArtifactError: it cannot be used, or another artifact has its name and version.
        """
        predictor, sha256 = Predictor.read(folder), config_sha256(folder)
        for version in self.versions():
            if version.config_sha256 == sha256:
                return version
            if (version.model_name, version.model_version) == (predictor.name, predictor.version):
                raise ArtifactError(
                    f"{folder} says to be {predictor.name} {predictor.version}, as {version} does, but is another model: "
                    "forecasts tell their models by name and version, so give it a version of its own."
                )
        tags = dict(zip(KEYS, (predictor.name, predictor.version, sha256), strict=True))
        return _version(asked(self.uri, lambda client: self._logged(client, folder, tags)))

    def fetch(self, version: Version, folder: Path) -> Predictor:
        """Put the artifact of a version into `folder`, which must not exist yet, and read it.

        Raises:
            ArtifactError: what came is not what was registered, or this version of Wattcast cannot run it.
        """
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetched-") as at:
            place = Path(at)
            asked(self.uri, lambda client: _download(client, version, place))
            predictor = read_checked(place / FOLDER, version.config_sha256)
            try:
                (place / FOLDER).rename(folder)
            except OSError:
                if not folder.is_dir():  # else another process was faster
                    raise
        return predictor

    def set_alias(self, alias: str, version: Version) -> None:
        asked(self.uri, lambda client: client.set_registered_model_alias(self.name, alias, str(version.number)))

    def drop_alias(self, alias: str) -> None:
        asked(self.uri, lambda client: client.delete_registered_model_alias(self.name, alias))

    def note(self, version: Version, event: Event) -> None:
        """Keep what happened to a version, beside what happened before."""
        key, value = EVENT + event.at, json.dumps(asdict(event))
        asked(self.uri, lambda client: client.set_model_version_tag(self.name, str(version.number), key, value))

    def _logged(self, client: Any, folder: Path, tags: Mapping[str, str]) -> "ModelVersion":
        from mlflow.exceptions import MlflowException

        try:
            client.create_registered_model(self.name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        run = client.create_run(experiment(client, self.uri, EXPERIMENT), run_name=" ".join([*tags.values()][:2]))
        for name in (WEIGHTS, CONFIG):
            client.log_artifact(run.info.run_id, str(folder / name), FOLDER)
        client.set_terminated(run.info.run_id)
        source = f"{run.info.artifact_uri}/{FOLDER}"
        return client.create_model_version(self.name, source, run.info.run_id, tags=dict(tags), await_creation_for=None)


def config_sha256(folder: Path) -> str:
    try:
        return hashlib.sha256((folder / CONFIG).read_bytes()).hexdigest()
    except OSError as error:
        raise ArtifactError(f"{folder} is no model artifact: {error.strerror}: {error.filename}") from error


def read_checked(folder: Path, sha256: str) -> Predictor:
    """The model in this folder; ArtifactError unless it is the registered one."""
    if config_sha256(folder) != sha256:
        raise ArtifactError(f"{folder / CONFIG} is not the file that was registered: its sha256 differs.")
    return Predictor.read(folder)


def _download(client: Any, version: Version, place: Path) -> None:
    """The two files of the artifact into `place`, whatever else may lie beside them."""
    (place / FOLDER).mkdir()
    with tempfile.TemporaryDirectory(dir=place) as received:
        for name in (WEIGHTS, CONFIG):
            Path(client.download_artifacts(version.run_id, f"{FOLDER}/{name}", received)).rename(place / FOLDER / name)


def _numbers(aliases: Mapping[str, Any]) -> dict[str, int]:
    return {str(alias): int(number) for alias, number in aliases.items()}


def _all(client: Any, wanted: str) -> list[Any]:
    """All pages of the versions."""
    page = client.search_model_versions(wanted)
    found = list(page)
    while page.token:
        page = client.search_model_versions(wanted, page_token=page.token)
        found += page
    return found


def _version(found: "ModelVersion") -> Version:
    """Raises StoreError for a version that Wattcast did not register."""
    try:
        events = [Event(**json.loads(value)) for key, value in sorted(found.tags.items()) if key.startswith(EVENT)]
        registered_at = datetime.fromtimestamp(found.creation_timestamp / 1000, UTC)
        name, version, sha256 = (str(found.tags[key]) for key in KEYS)
        return Version(int(found.version), name, version, sha256, str(found.run_id), registered_at, events)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        number = getattr(found, "version", "")
        raise StoreError(
            f"Version {number} in the registry was not put there by `wattcast models register`."
        ) from error
