"""The contracts give schemas and rules, and cannot change incompatibly in silence."""

from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator, FormatChecker
from pyspark.sql import SparkSession

from wattcast.contracts import ContractError, Retention, contract, contracts, incompatible_changes
from wattcast.settings import project_folder

BASELINE = Path(__file__).parent / "contract_baseline"
READING = {"building_id": "b1", "measured_at": "2017-06-01T10:00:00Z", "energy_usage_kwh": 12.5}
WEATHER = {"site": "s1", "issued_at": "2017-06-01T10:00:00Z", "target_hour": "2017-06-01T12:00:00+02:00"}
FORECAST = {
    "schema_version": 1, "forecast_id": "f1", "building_id": "b1", "origin": "2017-06-01T10:00:00Z", "purpose": "live",
    "issued_at": "2017-06-01T10:00:00Z", "target_hour": ["2017-06-01T10:00:00Z"], "p10_kwh": [1.0], "p50_kwh": [2.0],
    "p90_kwh": [3.0], "method": "model", "model_name": "mlp", "model_version": "1", "warnings": ["gaps"],
    "created_at": "2017-06-01T10:00:01Z",
}  # fmt: skip
ALERT = {
    "schema_version": 1, "alert_id": "a1", "state": "firing", "changed_at": "2017-06-01T10:00:00Z", "rule": "meter_silent",
    "severity": "warning", "scope": "building", "subject": "b1", "started_at": "2017-06-01T10:00:00Z", "value": 400.0,
    "threshold": 360.0, "message": "b1 is silent", "created_at": "2017-06-01T10:00:01Z",
}  # fmt: skip
GOOD = {"readings": READING, "weather-forecasts": WEATHER, "forecast-messages": FORECAST, "alert-messages": ALERT}
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


def valid(name: str, message: object) -> bool:
    return Draft202012Validator(contract(name).json_schema(), format_checker=FormatChecker()).is_valid(message)


@pytest.mark.parametrize("name", sorted(contracts()))
def test_every_contract_gives_columns_that_spark_understands(spark: SparkSession, name: str) -> None:
    parsed = contract(name)
    assert tuple(parsed.schema.fieldNames()) == parsed.column_names
    assert [f.nullable for f in parsed.schema.fields] == [not column.required for column in parsed.columns]


@pytest.mark.parametrize("name", [each.name for each in contracts().values() if each.kind == "topic"])
def test_the_json_schema_of_every_topic_is_a_schema_and_takes_a_good_message(name: str) -> None:
    Draft202012Validator.check_schema(contract(name).json_schema())
    assert valid(name, GOOD[name])
    assert valid(name, GOOD[name] | {"a_further_field": 1})
    assert not valid(name, [GOOD[name]])


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_message_without_a_required_field_is_refused(name: str) -> None:
    for column in contract(name).columns:
        lacking = {key: value for key, value in GOOD[name].items() if key != column.name}
        assert valid(name, lacking) is not column.required, column.name


@pytest.mark.parametrize(
    "wrong",
    [
        {"energy_usage_kwh": "12.5"}, {"energy_usage_kwh": None}, {"energy_usage_kwh": 1e7}, {"temperature_c": 61},
        {"humidity_pct": 100.1}, {"occupancy": -1}, {"building_id": ""}, {"building_id": "a\nb"}, {"device_id": "x" * 129},
        {"measured_at": "yesterday"}, {"measured_at": 1_500_000_000}, {"schema_version": 2},
    ],
)  # fmt: skip
def test_a_reading_with_a_wrong_value_is_refused(wrong: dict[str, object]) -> None:
    assert not valid("readings", READING | wrong)


def test_an_optional_field_of_a_reading_may_be_null() -> None:
    assert valid(
        "readings", READING | {"temperature_c": None, "humidity_pct": None, "occupancy": None, "device_id": None}
    )


def test_a_forecast_with_an_unknown_method_or_a_text_among_its_levels_is_refused() -> None:
    assert not valid("forecast-messages", FORECAST | {"method": "guess"})
    assert not valid("forecast-messages", FORECAST | {"p50_kwh": ["2.0"]})


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("name: meter_id", "name: id", ["meter_id is gone", "id is new and required"]),
        ("physicalType: DOUBLE", "physicalType: FLOAT", ["power_kw: physical_type DOUBLE became FLOAT"]),
        ("value: kW}", "value: W}", ["power_kw: unit kW became W"]),
        ("minimum: 0", "minimum: 1", ["power_kw: minimum was narrowed"]),
        ("maximum: 100", "maximum: 99", ["power_kw: maximum was narrowed"]),
        ("description: Power\n", "description: Power\n        required: true\n", ["power_kw became required"]),
        ("value: kW}]\n", "value: kW}]\n" + NEW_FIELD % ", required: true", ["site is new and required"]),
        ("value: kW}]\n", "value: kW}]" + RULE, ["power_kw: rule power_kw.odd is new or changed"]),
        ("description: Meter}", "description: Meter, logicalTypeOptions: {maxLength: 9}}", ["meter_id: maxLength was narrowed"]),
    ],
)  # fmt: skip
def test_a_change_that_breaks_readers_or_writers_is_found_and_needs_a_new_major_version(
    old: str, new: str, found: list[str]
) -> None:
    changed = OLD.replace(old, new)
    assert changed != OLD
    assert incompatible_changes(OLD, changed) == found
    assert incompatible_changes(OLD, changed.replace("version: 1.2.0", "version: 1.3.0")) == found
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


def test_a_file_that_is_no_contract_is_refused_by_one_sentence() -> None:
    with pytest.raises(ContractError, match="Not a data contract"):
        incompatible_changes("[1, 2", OLD)
    with pytest.raises(ContractError, match="power_kw: name, logicalType, physicalType and description are needed"):
        incompatible_changes(OLD, OLD.replace("        description: Power\n", ""))
    with pytest.raises(ContractError, match="There is no contract reading"):
        contract("reading")


@pytest.mark.parametrize("released", sorted(BASELINE.glob("*.odcs.yaml")), ids=lambda file: file.name.split(".")[0])
def test_no_contract_has_changed_incompatibly_since_its_release(released: Path) -> None:
    """After a new major version copy the contract to contract_baseline; never to silence this test."""
    now = project_folder("data-contracts") / released.name
    assert now.is_file(), f"{released.name} is gone"
    assert incompatible_changes(*(_whole(file) for file in (released, now))) == []


def test_every_contract_has_a_released_version_to_compare_with() -> None:
    files = {file.name for file in project_folder("data-contracts").glob("*.odcs.yaml")}
    assert files == {file.name for file in BASELINE.glob("*.odcs.yaml")}


def _whole(file: Path) -> str:
    """A contract without the reference to another's columns, which are compared there."""
    return "\n".join(
        line for line in file.read_text(encoding="utf-8").splitlines() if "property: columnsOf" not in line
    )


def test_only_health_is_kept_for_a_time() -> None:
    kept = {name: found.retention for name, found in contracts().items() if found.retention}
    assert kept == {"health": Retention(400, "measured_at")}


@pytest.mark.parametrize(
    ("name", "properties", "fault"),
    [
        ("received_readings", {"retentionDays": 30, "retentionBy": "kafka_timestamp"}, "a ledger has no retentionDays"),
        ("health", {"retentionDays": 0, "retentionBy": "as_of"}, "retentionDays cannot be 0"),
        (
            "health",
            {"retentionDays": 30, "retentionBy": "value"},
            "retentionBy must name one of as_of, measured_at, not value",
        ),
        ("health", {"retentionDays": 30}, "retentionBy must name one of as_of, measured_at, not None"),
    ],
)
def test_a_retention_that_cannot_be_is_refused(name: str, properties: dict[str, object], fault: str) -> None:
    document = yaml.safe_load((project_folder("data-contracts") / f"{name}.odcs.yaml").read_text(encoding="utf-8"))
    (schema,) = document["schema"]
    held = [each for each in schema.get("customProperties", []) if not each["property"].startswith("retention")]
    schema["customProperties"] = held + [{"property": key, "value": value} for key, value in properties.items()]
    with pytest.raises(ContractError, match=fault):
        incompatible_changes(yaml.safe_dump(document), yaml.safe_dump(document))
