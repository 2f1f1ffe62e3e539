"""The registry against a real MLflow store; away is a port at which nobody listens."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from wattcast_models.artifact.folder import ArtifactError
from wattcast_models.artifact.predictor import Predictor
from wattcast_models.registry.registry import Event, Registry
from wattcast_models.registry.sqlite_tables import stored_model
from wattcast_models.tracking.mlflow_store import NotInStore, StoreError, redact, with_client

AWAY = Registry("http://127.0.0.1:1")


def damage(folder: Path, **changes: object) -> None:
    """Change what every artifact of a store says of itself."""
    files = list(folder.rglob("model_config.json"))
    assert files
    for file in files:
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_a_registered_artifact_comes_back_as_it_went_in(
    registry: Registry, write_artifact: Callable[..., Path], tmp_path: Path
) -> None:
    folder = write_artifact(3)
    version = registry.register(folder)
    assert str(version) == "version 1 (test v3)"
    assert registry.fetch(version, tmp_path / "back") == Predictor.read(folder)
    assert sorted(file.name for file in (tmp_path / "back").iterdir()) == ["model.pt", "model_config.json"]
    assert registry.versions() == [registry.version(1)] == [version]


def test_the_same_artifact_is_one_version_and_another_needs_another_name(
    registry: Registry, write_artifact: Callable[..., Path]
) -> None:
    first, second = registry.register(write_artifact(0)), registry.register(write_artifact(1))
    assert registry.register(write_artifact(0)) == first
    assert [version.number for version in registry.versions()] == [second.number, first.number]
    other = write_artifact(2)
    damage(other, version="v0")
    with pytest.raises(ArtifactError, match=r"is another model\. .* give this one another version"):
        registry.register(other)


def test_what_happened_to_a_version_is_kept_in_order(registry: Registry, write_artifact: Callable[..., Path]) -> None:
    version = registry.register(write_artifact())
    happened = [Event("refused", "2026-01-01T00:00:00Z", "ann", "all buildings", figures={"ratio": 1.1})]
    happened.append(Event("promoted", "2026-01-02T00:00:00Z", "bob", "all buildings", forced_because="a holiday"))
    for event in reversed(happened):
        registry.record_event(version, event)
    assert registry.version(1).events == happened


def test_an_unknown_version_is_refused_with_those_that_there_are(
    registry: Registry, write_artifact: Callable[..., Path]
) -> None:
    with pytest.raises(NotInStore, match=r"The registry has no version 7 of wattcast\. Registered versions: none\."):
        registry.version(7)
    registry.register(write_artifact())
    with pytest.raises(NotInStore, match=r"Registered versions: 1\."):
        registry.version(7)


def test_a_registry_that_nobody_wrote_to_is_empty_and_costs_no_import(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom wattcast_models.registry.registry import Registry\n"
        f"registry = Registry('sqlite:///{tmp_path}/none/mlflow.db')\n"
        "print(registry.aliases(), registry.versions(), 'mlflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("{} [] False\n", "")
    assert not (tmp_path / "none").exists()


def test_rows_read_from_the_sqlite_file_are_those_of_mlflow(
    registry: Registry, write_artifact: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = registry.register(write_artifact(0)), registry.register(write_artifact(1))
    for alias in ("champion", "previous", "champion-site-nord"):
        registry.set_alias(alias, second if alias == "previous" else first)
    registry.record_event(second, Event("refused", "2026-01-01T00:00:00Z", "ann", "all buildings", figures={"a": 1.0}))
    with_client(registry.uri, lambda client: client.create_registered_model("other"))
    with_client(registry.uri, lambda client: client.delete_model_version(registry.name, "1"))
    direct = stored_model(registry.uri, registry.name)
    assert direct is not None, "MLflow's tables have another revision: compare the queries and set REVISION"
    rows = registry.aliases(), registry.versions()
    monkeypatch.setattr("wattcast_models.registry.registry.stored_model", lambda *_: None)
    assert rows == (registry.aliases(), registry.versions())
    assert [version.number for version in rows[1]] == [2]


@pytest.mark.parametrize(
    "change",
    ["UPDATE alembic_version SET version_num = 'x'", "DROP TABLE model_version_tags", "DELETE FROM alembic_version"],
)
def test_tables_of_another_shape_are_left_to_mlflow(registry: Registry, change: str) -> None:
    with closing(sqlite3.connect(registry.uri.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute(change)
    assert stored_model(registry.uri, registry.name) is None


def test_a_store_with_workspaces_is_left_to_mlflow(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_WORKSPACE", "other")
    assert stored_model(registry.uri, registry.name) is None


def test_versions_are_listed_without_mlflow_and_torch(registry: Registry, write_artifact: Callable[..., Path]) -> None:
    registry.register(write_artifact())
    code = (
        "import sys\nfrom wattcast.cli.main import main\nsys.argv = ['wattcast', 'models', 'list']\n"
        "try:\n    main()\nfinally:\n    print(*({'torch', 'mlflow', 'pandas', 'pyspark'} & {*sys.modules}), file=sys.stderr)"
    )
    variables = os.environ | {"WATTCAST_MODEL__TRACKING_URI": registry.uri}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=variables)
    assert (done.returncode, done.stderr) == (0, "\n")
    assert "test v0" in done.stdout


def test_a_new_store_is_made_without_a_word(write_artifact: Callable[..., Path], tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\nfrom wattcast_models.registry.registry import Registry\n"
        f"registry = Registry('sqlite:///{tmp_path}/new/mlflow.db')\n"
        f"registry.fetch(registry.register(Path('{write_artifact()}')), Path('{tmp_path}/back'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (tmp_path / "mlruns").exists()


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"lead_hours": 24}, "not the file that was registered"), ({"sha256": "0"}, "not the file that was registered")],
)
def test_an_artifact_that_was_tampered_with_is_refused(
    registry: Registry, write_artifact: Callable[..., Path], tmp_path: Path, changes: dict[str, object], says: str
) -> None:
    version = registry.register(write_artifact())
    damage(tmp_path / "mlflow", **changes)
    with pytest.raises(ArtifactError, match=says):
        registry.fetch(version, tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_weights_that_were_tampered_with_are_refused(
    registry: Registry, write_artifact: Callable[..., Path], tmp_path: Path
) -> None:
    version = registry.register(write_artifact())
    (weights,) = (tmp_path / "mlflow").rglob("model.pt")
    weights.write_bytes(weights.read_bytes() + b"x")
    with pytest.raises(ArtifactError, match="sha256 differs"):
        registry.fetch(version, tmp_path / "back")


def test_an_artifact_of_another_format_is_not_registered(
    registry: Registry, write_artifact: Callable[..., Path]
) -> None:
    folder = write_artifact()
    damage(folder, format_version=99)
    with pytest.raises(ArtifactError, match="format_version 99"):
        registry.register(folder)
    assert registry.versions() == []


@pytest.mark.parametrize("ask", [Registry.aliases, Registry.versions, lambda registry: registry.version(1)])
def test_a_registry_that_is_away_or_talks_rubbish_is_a_sentence(
    ask: Callable[[Registry], object], rubbish_server: str, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"no database" * 100)
    for registry in (AWAY, Registry(rubbish_server), Registry(f"sqlite:///{broken}")):
        with pytest.raises(StoreError, match="does not answer correctly: ") as error:
            ask(registry)
        assert "\n" not in str(error.value)
        assert len(str(error.value)) < 400


def test_a_password_is_not_said() -> None:
    with pytest.raises(StoreError) as error:
        Registry("http://ann:secret@127.0.0.1:1").aliases()
    assert "secret" not in str(error.value)
    assert redact("postgresql://ann:secret@db/mlflow") == "postgresql://db/mlflow"
