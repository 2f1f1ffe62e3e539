"""Contracts cannot change incompatibly in silence."""

import shutil
from pathlib import Path

import pytest

from wattcast import contract_compatibility
from wattcast.contract_compatibility import incompatible_changes, incompatible_contracts
from wattcast.settings import project_folder

OLD = """
apiVersion: v3.1.0
kind: DataContract
id: meters
version: 1.2.0
status: active
schema:
  - name: meters
    physicalType: topic
    properties:
      - {name: meter_id, logicalType: string, physicalType: STRING, required: true, description: Meter}
      - name: power_kw
        logicalType: number
        physicalType: DOUBLE
        description: Power
        logicalTypeOptions: {minimum: 0, maximum: 100}
        customProperties: [{property: unit, value: kW}]
"""
RULE = """
        quality:
          - {name: power_kw.odd, type: custom, engine: spark-sql, implementation: power_kw <> 13}
"""
NEW_FIELD = "      - {name: site, logicalType: string, physicalType: STRING, description: Site%s}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of data-contracts, which the command compares."""
    shutil.copytree(project_folder("data-contracts"), tmp_path / "data-contracts")
    monkeypatch.setattr(contract_compatibility, "project_folder", lambda name: tmp_path / name)
    return tmp_path / "data-contracts"


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ("name: meter_id", "name: id", ["meter_id was removed", "id is new and required"]),
        ("physicalType: DOUBLE", "physicalType: FLOAT", ["power_kw: physical_type changed from DOUBLE to FLOAT"]),
        ("value: kW}", "value: W}", ["power_kw: unit changed from kW to W"]),
        ("minimum: 0", "minimum: 1", ["power_kw: minimum was narrowed"]),
        ("maximum: 100", "maximum: 99", ["power_kw: maximum was narrowed"]),
        ("description: Power\n", "description: Power\n        required: true\n", ["power_kw became required"]),
        ("value: kW}]\n", "value: kW}]\n" + NEW_FIELD % ", required: true", ["site is new and required"]),
        ("value: kW}]\n", "value: kW}]" + RULE, ["power_kw: rule power_kw.odd is new or changed"]),
        ("description: Meter}", "description: Meter, logicalTypeOptions: {maxLength: 9}}", ["meter_id: maxLength was narrowed"]),
    ],
)  # fmt: skip
def test_a_change_that_breaks_readers_or_writers_is_found_and_needs_a_new_major_version(
    old: str, new: str, changes: list[str]
) -> None:
    changed = OLD.replace(old, new)
    assert changed != OLD
    assert incompatible_changes(OLD, changed) == changes
    assert incompatible_changes(OLD, changed.replace("version: 1.2.0", "version: 1.3.0")) == changes
    assert incompatible_changes(OLD, changed.replace("version: 1.2.0", "version: 2.0.0")) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("description: Power", "description: Active power"),
        ("maximum: 100", "maximum: 200"),
        ("value: kW}]\n", "value: kW}]\n" + NEW_FIELD % ""),
    ],
)
def test_a_change_that_breaks_nobody_is_allowed(old: str, new: str) -> None:
    changed = OLD.replace(old, new)
    assert changed != OLD
    assert incompatible_changes(OLD, changed) == []


def test_no_contract_has_changed_incompatibly_since_its_release() -> None:
    """With a new major version copy the contract to data-contracts/released when it is released; never to silence this."""
    assert incompatible_contracts(project_folder("data-contracts")) == []


def test_a_narrowed_contract_fails_the_command_with_a_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contract_compatibility.main()
    assert capsys.readouterr().err == ""
    file = folder / "readings.odcs.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("maximum: 60}", "maximum: 50}"), encoding="utf-8")
    with pytest.raises(SystemExit, match="1"):
        contract_compatibility.main()
    assert "readings.odcs.yaml: temperature_c: maximum was narrowed." in capsys.readouterr().err


def test_another_tolerance_is_an_incompatible_change(folder: Path) -> None:
    file = folder / "readings.odcs.yaml"
    file.write_text(
        file.read_text(encoding="utf-8").replace("Minutes, value: 10}", "Minutes, value: 5}"), encoding="utf-8"
    )
    changed = ["readings.odcs.yaml: measured_at: rule measured_at.in_future is new or changed."]
    assert incompatible_contracts(folder) == changed


def test_a_removed_contract_and_one_without_a_released_version_are_reported(folder: Path) -> None:
    (folder / "alerts.odcs.yaml").unlink()
    (folder / "released" / "health.odcs.yaml").unlink()
    assert incompatible_contracts(folder) == [
        "alerts.odcs.yaml was removed.",
        "health.odcs.yaml has no released version: copy it to released/.",
    ]
