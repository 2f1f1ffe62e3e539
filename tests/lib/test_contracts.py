"""The contracts give schemas and rules."""

import pytest
import yaml
from jsonschema import Draft202012Validator, FormatChecker
from pyspark.sql import SparkSession

from wattcast.contracts import ContractError, Retention, contract, contracts, parse_contract
from wattcast.settings import project_folder

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


def valid(name: str, message: object) -> bool:
    return Draft202012Validator(contract(name).json_schema(), format_checker=FormatChecker()).is_valid(message)


@pytest.mark.parametrize("name", sorted(contracts()))
def test_every_contract_gives_columns_that_spark_understands(spark: SparkSession, name: str) -> None:
    parsed = contract(name)
    assert tuple(parsed.schema.fieldNames()) == parsed.column_names
    assert [f.nullable for f in parsed.schema.fields] == [not column.required for column in parsed.columns]


@pytest.mark.parametrize("name", [topic.name for topic in contracts().values() if topic.kind == "topic"])
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


def test_a_file_that_is_no_contract_is_refused_by_one_sentence() -> None:
    readings = (project_folder("data-contracts") / "readings.odcs.yaml").read_text(encoding="utf-8")
    with pytest.raises(ContractError, match="Not a data contract"):
        parse_contract("[1, 2")
    with pytest.raises(ContractError, match="occupancy: name, logicalType, physicalType and description are required"):
        parse_contract(readings.replace("        description: People in the building\n", ""))
    with pytest.raises(ContractError, match="refers to 'futureToleranceMinutes', which is no custom property"):
        parse_contract(readings.replace("property: futureToleranceMinutes", "property: otherMinutes"))
    with pytest.raises(ContractError, match="There is no contract reading"):
        contract("reading")


def test_a_rule_takes_its_tolerance_from_the_custom_property_of_its_contract() -> None:
    text = (project_folder("data-contracts") / "readings.odcs.yaml").read_text(encoding="utf-8")
    wider = parse_contract(text.replace("futureToleranceMinutes, value: 10", "futureToleranceMinutes, value: 60"))
    (measured_at,) = (column for column in wider.columns if column.name == "measured_at")
    assert wider.rules["measured_at.in_future"] == "measured_at <= kafka_timestamp + INTERVAL 60 MINUTES"
    assert measured_at.violations["measured_at.in_future"] == "Stamped more than 60 minutes after its own arrival"


def test_only_health_has_a_retention() -> None:
    retentions = {name: contract.retention for name, contract in contracts().items() if contract.retention}
    assert retentions == {"health": Retention(400, "measured_at")}


@pytest.mark.parametrize(
    ("name", "properties", "fault"),
    [
        (
            "received_readings",
            {"retentionDays": 30, "retentionBy": "kafka_timestamp"},
            "a table of received records must not have retentionDays",
        ),
        ("health", {"retentionDays": 0, "retentionBy": "as_of"}, "retentionDays must be a whole number above 0, not 0"),
        (
            "health",
            {"retentionDays": 30, "retentionBy": "value"},
            "retentionBy must be one of as_of, measured_at, not value",
        ),
        ("health", {"retentionDays": 30}, "retentionBy must be one of as_of, measured_at, not None"),
    ],
)
def test_a_retention_that_cannot_be_is_refused(name: str, properties: dict[str, object], fault: str) -> None:
    document = yaml.safe_load((project_folder("data-contracts") / f"{name}.odcs.yaml").read_text(encoding="utf-8"))
    (schema,) = document["schema"]
    others = [custom for custom in schema.get("customProperties", []) if not custom["property"].startswith("retention")]
    schema["customProperties"] = others + [{"property": key, "value": value} for key, value in properties.items()]
    with pytest.raises(ContractError, match=fault):
        parse_contract(yaml.safe_dump(document))
