"""The registry with its models, the keys of the API and the settings that an earlier release wrote go on."""

import tarfile
from contextlib import closing
from pathlib import Path
from sqlite3 import connect

import pytest
import yaml

from wattcast.serving.security.keys import ApiKeys
from wattcast.settings import Settings
from wattcast_models.registry.champions import ChampionSource
from wattcast_models.registry.registry import Registry

LOCATIONS = (("runs", "artifact_uri"), ("model_versions", "source"), ("model_versions", "storage_location"))


@pytest.fixture
def state(release: Path, tmp_path: Path) -> Path:
    """The state folder of the release, moved here: MLflow keeps the address of each model."""
    with tarfile.open(release / "registry.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    with closing(connect(tmp_path / "mlflow/mlflow.db")) as database:
        ((location,),) = database.execute("SELECT artifact_uri FROM runs LIMIT 1")
        former = location.partition("/mlflow/artifacts/")[0]
        for table, column in LOCATIONS:
            database.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (former, tmp_path.as_uri()))
        database.commit()
    return tmp_path


@pytest.fixture
def conf(release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of settings with every setting of the release."""
    file = tmp_path / "settings.yaml"
    file.write_text((release / "settings.yaml").read_text())
    (tmp_path / "site.yaml").write_text("")
    monkeypatch.setenv("WATTCAST_CONF", str(tmp_path))
    monkeypatch.setenv("WATTCAST_PROFILE", "site")
    for name in ("WATTCAST_STATE", "WATTCAST_BATCH__TRIGGER_SECONDS"):
        monkeypatch.delenv(name)
    return file


def test_the_champion_of_the_release_is_the_model_that_forecasts(state: Path) -> None:
    registry = Registry(f"sqlite:///{state}/mlflow/mlflow.db")
    champion = ChampionSource(registry, models=state / "models").current().overall
    assert champion is not None
    assert (champion.name, champion.version) == ("small", "1")
    assert [str(version) for version in registry.versions()] == [
        "version 2 (small 1)",
        "version 1 (wattcast-mlp 2.0.0)",
    ]


def test_a_key_of_the_release_is_valid(state: Path) -> None:
    assert [(key.name, key.scopes, key.revoked_at) for key in ApiKeys(state / "keys.json").all()] == [
        ("reader", ("read",), None)
    ]


def test_each_setting_of_the_release_has_its_value(conf: Path) -> None:
    written = yaml.safe_load(conf.read_text())
    read = Settings().model_dump(mode="json")
    for name, value in written.items():
        current = {key: read[name][key] for key in value} if isinstance(value, dict) else read[name]
        assert current == value, name
