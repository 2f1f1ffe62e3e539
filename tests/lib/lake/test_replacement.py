"""A table is replaced by delta-rs under the lock and definition with which Spark writes it."""

import json
import tarfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from deltalake import DeltaTable
from tests.changed_contracts import column, declaring

from wattcast.contracts import contract
from wattcast.lake.file_locks import FileLocks
from wattcast.lake.locks import LakeLocks, TableHasAWriter
from wattcast.lake.replacement import OnlySpark, replace_rows
from wattcast.settings import Settings, settings

RELEASE = Path(__file__).parents[2] / "upgrade/releases/0.1.0"


@pytest.fixture
def own(tmp_path: Path) -> Settings:
    return settings().model_copy(update={"state": tmp_path})


@pytest.fixture
def released(tmp_path: Path, own: Settings) -> Settings:
    """The settings of a lake that Spark has written."""
    with tarfile.open(RELEASE / "state.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    return own


def folder(own: Settings) -> Path:
    return Path(own.lake_uri) / "buildings"


def actions(own: Settings, version: int) -> dict[str, dict[str, Any]]:
    """The actions of a commit by name; the last of each."""
    lines = (folder(own) / f"_delta_log/{version:020}.json").read_text().splitlines()
    return {name: action for line in lines for name, action in json.loads(line).items()}


def rows(*ids: str, **values: Any) -> pd.DataFrame:
    return pd.DataFrame({"building_id": ids} | {name: [value] * len(ids) for name, value in values.items()})


def columns_of(metadata: dict[str, Any]) -> list[tuple[str, str, bool]]:
    return [(one["name"], one["type"], one["nullable"]) for one in json.loads(metadata["schemaString"])["fields"]]


def read(own: Settings) -> list[dict[str, Any]]:
    return DeltaTable(folder(own)).to_pyarrow_table().sort_by("building_id").to_pylist()


def test_table_that_does_not_exist_is_created_as_its_contract_declares(own: Settings) -> None:
    replace_rows(own, "buildings", rows("b1", site="north", reading_interval_minutes=30, allows_negative_energy=True))
    definition, protocol = actions(own, 0)["metaData"], actions(own, 0)["protocol"]
    assert protocol == {"minReaderVersion": 1, "minWriterVersion": 2}
    assert definition["description"] == contract("buildings").description
    assert definition["configuration"] == {
        "delta.appendOnly": "false",
        "delta.logRetentionDuration": "interval 30 days",
        "delta.deletedFileRetentionDuration": "interval 30 days",
        "wattcast.contractVersion": contract("buildings").version,
    }
    empty = dict.fromkeys(("timezone", "country", "building_type", "closures"))
    assert read(own) == [
        {"building_id": "b1", "site": "north", **empty, "reading_interval_minutes": 30, "allows_negative_energy": True}
    ]


def test_created_table_has_the_columns_of_a_table_of_spark(own: Settings, released: Settings, tmp_path: Path) -> None:
    by_spark = actions(released, 0)["metaData"]
    new = own.model_copy(update={"state": tmp_path / "new"})
    replace_rows(new, "buildings", rows("b1"))
    by_delta_rs = actions(new, 0)["metaData"]
    assert columns_of(by_delta_rs) == columns_of(by_spark)
    assert by_delta_rs["configuration"].keys() >= by_spark["configuration"].keys() - {"wattcast.contractVersion"}


def test_rows_are_replaced_and_the_definition_and_earlier_version_stay(released: Settings) -> None:
    before, version = read(released), DeltaTable(folder(released)).version()
    replace_rows(released, "buildings", rows("x", "y", timezone="Europe/London"))
    assert [(row["building_id"], row["timezone"], row["site"]) for row in read(released)] == [
        ("x", "Europe/London", None),
        ("y", "Europe/London", None),
    ]
    commit = actions(released, version + 1)
    assert set(commit) == {"commitInfo", "add", "remove"}
    assert commit["commitInfo"]["operationParameters"]["mode"] == "Overwrite"
    earlier = DeltaTable(folder(released), version=version).to_pyarrow_table().sort_by("building_id").to_pylist()
    assert earlier == before
    assert len(before) > 0


def test_no_checkpoint_is_written_and_no_commit_removed(own: Settings) -> None:
    for number in range(12):
        replace_rows(own, "buildings", rows(f"b{number}"))
    assert len([*(folder(own) / "_delta_log").iterdir()]) == 13


def test_writer_waits_for_another_writer(own: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_rows(own, "buildings", rows("b1"))
    monkeypatch.setattr(LakeLocks.__init__, "__kwdefaults__", {"write_wait_seconds": 0.01})
    other = FileLocks(Path(own.lake_uri, ".locks"), own.lake_uri)
    other.acquire("buildings")
    with pytest.raises(TableHasAWriter, match="buildings is locked by another Wattcast process"):
        replace_rows(own, "buildings", rows("b2"))
    other.close()
    replace_rows(own, "buildings", rows("b2"))
    assert [row["building_id"] for row in read(own)] == ["b2"]


def test_building_without_an_id_is_not_written(own: Settings) -> None:
    replace_rows(own, "buildings", rows("b1"))
    with pytest.raises(ValueError, match="building_id"):
        replace_rows(own, "buildings", pd.DataFrame({"building_id": [None]}))
    assert [row["building_id"] for row in read(own)] == ["b1"]


def test_lake_in_an_object_store_is_for_spark(own: Settings) -> None:
    with pytest.raises(OnlySpark, match="is in an object store"):
        replace_rows(own.model_copy(update={"lake": "s3a://bucket/lake"}), "buildings", rows("b1"))


def test_table_that_differs_from_its_contract_is_for_spark(own: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_rows(own, "buildings", rows("b1"))
    declaring(monkeypatch)("buildings", heated_m2=column("heated_m2"))
    with pytest.raises(OnlySpark, match="the column heated_m2 is missing in the table and DOUBLE in the contract"):
        replace_rows(own, "buildings", rows("b2", heated_m2=1.5))
    assert [row["building_id"] for row in read(own)] == ["b1"]


def test_damaged_table_is_for_spark(own: Settings) -> None:
    replace_rows(own, "buildings", rows("b1"))
    (folder(own) / "_delta_log" / f"{2:020}.json").touch()
    with pytest.raises(OnlySpark, match=r"buildings is damaged: .*2\.json is empty"):
        replace_rows(own, "buildings", rows("b2"))
