"""The model registry in MLflow: the versions of a model with their artifacts, the aliases of champions, and the history."""

import hashlib
import json
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wattcast_models.artifact.folder import CONFIG, WEIGHTS, ArtifactError
from wattcast_models.registry.sqlite_tables import StoredVersion, stored_model
from wattcast_models.tracking.mlflow_store import NotInStore, StoreError, experiment, store_exists, with_client

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from wattcast_models.artifact.predictor import Predictor

EXPERIMENT = "wattcast-registered"
FOLDER = "model"  # of the artifact in its run
EVENT_PREFIX = "event "  # of the tags that hold the events of a version; the time follows
TAGS = ("model_name", "model_version", "config_sha256")


@dataclass(frozen=True)
class Event:
    """An event in the history of a version: promoted, refused, rolled back to, or rolled back from."""

    what: str
    at: str  # ISO 8601, UTC
    by: str
    scope: str
    against: str = ""  # the champion at that time
    reasons: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    forced_because: str = ""


@dataclass(frozen=True)
class Version:
    """A registered artifact. The sha256 of its config identifies it, since the config holds the sha256 of the weights."""

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
    """The registered model `name` in the MLflow store at `uri`. Every method raises StoreError if the store does not answer."""

    uri: str
    name: str = "wattcast"

    def aliases(self) -> dict[str, int]:
        """The version numbers by alias; empty before the first registration."""
        if not store_exists(self.uri):
            return {}
        if stored := stored_model(self.uri, self.name):
            return stored.aliases
        try:
            return with_client(self.uri, lambda client: _numbers(client.get_registered_model(self.name).aliases))
        except NotInStore:
            return {}

    def versions(self) -> list[Version]:
        """All versions, the newest first."""
        if not store_exists(self.uri):
            return []
        stored = stored_model(self.uri, self.name)
        entries = stored.versions if stored else with_client(self.uri, self._all_versions)
        return sorted((_version(entry) for entry in entries), key=lambda version: -version.number)

    def version(self, number: int) -> Version:
        """Raises NotInStore with the existing numbers."""
        with suppress(NotInStore):
            if store_exists(self.uri):
                return _version(with_client(self.uri, lambda client: client.get_model_version(self.name, str(number))))
        numbers = ", ".join(str(version.number) for version in reversed(self.versions())) or "none"
        raise NotInStore(f"The registry has no version {number} of {self.name}. Registered versions: {numbers}.")

    def register(self, folder: Path) -> Version:
        """Register the artifact in `folder`; an artifact that is registered already keeps its version.

        Raises:
            ArtifactError: the artifact cannot be used, or another artifact has its name and version.
        """
        from wattcast_models.artifact.predictor import Predictor  # torch takes seconds to import

        predictor, sha256 = Predictor.read(folder), config_sha256(folder)
        for version in self.versions():
            if version.config_sha256 == sha256:
                return version
            if (version.model_name, version.model_version) == (predictor.name, predictor.version):
                raise ArtifactError(
                    f"{folder} has the same name and version as {version}, but is another model. Forecasts identify their model "
                    "by name and version: give this one another version."
                )
        tags = dict(zip(TAGS, (predictor.name, predictor.version, sha256), strict=True))
        return _version(with_client(self.uri, lambda client: self._create_version(client, folder, tags)))

    def fetch(self, version: Version, folder: Path) -> "Predictor":
        """Download the artifact of a version into `folder`, which must not exist, and read it.

        Raises:
            ArtifactError: the artifact is not the registered one, or this version of Wattcast cannot run it.
        """
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetched-") as temporary:
            download = Path(temporary)
            with_client(self.uri, lambda client: _download(client, version, download))
            predictor = read_checked(download / FOLDER, version.config_sha256)
            try:
                (download / FOLDER).rename(folder)
            except OSError:
                if not folder.is_dir():  # otherwise another process has fetched it at the same time
                    raise
        return predictor

    def set_alias(self, alias: str, version: Version) -> None:
        with_client(self.uri, lambda client: client.set_registered_model_alias(self.name, alias, str(version.number)))

    def drop_alias(self, alias: str) -> None:
        with_client(self.uri, lambda client: client.delete_registered_model_alias(self.name, alias))

    def record_event(self, version: Version, event: Event) -> None:
        """Add an event to the history of a version."""
        key, value = EVENT_PREFIX + event.at, json.dumps(asdict(event))
        with_client(self.uri, lambda client: client.set_model_version_tag(self.name, str(version.number), key, value))

    def _all_versions(self, client: Any) -> list[Any]:
        """The versions of all pages of the answer."""
        query = f"name = '{self.name}'"
        page = client.search_model_versions(query)
        versions = list(page)
        while page.token:
            page = client.search_model_versions(query, page_token=page.token)
            versions += page
        return versions

    def _create_version(self, client: Any, folder: Path, tags: Mapping[str, str]) -> "ModelVersion":
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


def read_checked(folder: Path, sha256: str) -> "Predictor":
    """The model in this folder; ArtifactError unless its config has this sha256."""
    from wattcast_models.artifact.predictor import Predictor

    if config_sha256(folder) != sha256:
        raise ArtifactError(f"{folder / CONFIG} is not the file that was registered: its sha256 differs.")
    return Predictor.read(folder)


def _download(client: Any, version: Version, target: Path) -> None:
    """Download the two files of the artifact, and no other files of its run, into `target`/FOLDER."""
    (target / FOLDER).mkdir()
    with tempfile.TemporaryDirectory(dir=target) as received:
        for name in (WEIGHTS, CONFIG):
            file = Path(client.download_artifacts(version.run_id, f"{FOLDER}/{name}", received))
            file.rename(target / FOLDER / name)


def _numbers(aliases: Mapping[str, Any]) -> dict[str, int]:
    return {str(alias): int(number) for alias, number in aliases.items()}


def _version(entry: "ModelVersion | StoredVersion") -> Version:
    """Raises StoreError for a version that Wattcast did not register."""
    try:
        events = [
            Event(**json.loads(value)) for key, value in sorted(entry.tags.items()) if key.startswith(EVENT_PREFIX)
        ]
        registered_at = datetime.fromtimestamp(entry.creation_timestamp / 1000, UTC)
        name, version, sha256 = (str(entry.tags[key]) for key in TAGS)
        return Version(int(entry.version), name, version, sha256, str(entry.run_id), registered_at, events)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        number = getattr(entry, "version", "")
        raise StoreError(
            f"Version {number} in the registry was not registered by `wattcast models register`."
        ) from error
