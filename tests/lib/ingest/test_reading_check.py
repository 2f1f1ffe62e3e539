"""`wattcast check-reading` applies the rules of ingest."""

from typing import Any

from pyspark.sql import SparkSession
from tests.jobs.test_ingest import ARRIVAL, RIGHT, WRONG, message

from wattcast.contracts import contract
from wattcast.ingest.reading_check import broken_rules
from wattcast.ingest.rejection_reasons import rejection_reasons


def building(name: str, *, allows_negative_energy: bool) -> tuple[Any, ...]:
    metadata = {"building_id": name, "allows_negative_energy": allows_negative_energy}
    return tuple(metadata.get(column) for column in contract("buildings").column_names)


def test_broken_rules_are_those_of_ingest_for_every_kind_of_record(spark: SparkSession) -> None:
    buildings = [building("solar", allows_negative_energy=True), building("strict", allows_negative_energy=False)]
    rules_by_record = broken_rules(spark, [payload for payload, _ in WRONG.values()], ARRIVAL, buildings)
    assert dict(zip(WRONG, map(list, rules_by_record), strict=True)) == {
        name: rules for name, (_, rules) in WRONG.items()
    }
    assert set(broken_rules(spark, list(RIGHT.values()), ARRIVAL, buildings)) == {()}


def test_rejected_record_has_a_reason_for_each_rule_that_it_breaks(spark: SparkSession) -> None:
    topic = contract("readings")
    for payload, rules in WRONG.values():
        sentences = rejection_reasons(rules, payload or b"", topic)
        assert len(sentences) == len(rules)
        for rule, reason in zip(rules, sentences, strict=True):
            name, _, kind = rule.partition(".")
            assert reason.startswith(name) if kind else reason[0].isupper(), rule
            assert reason.endswith(".")
            assert "breaks the rule" not in reason, rule
            assert len(reason) < 200


def test_byte_order_mark_and_array_of_readings_are_named(spark: SparkSession) -> None:
    for payload, sentence in (
        (b"\xef\xbb\xbf" + message(), "It begins with a byte order mark, which JSON does not allow."),
        (b"[" + message() + b"]", "Send each reading of the array as its own record."),
    ):
        (rules,) = broken_rules(spark, [payload], ARRIVAL)
        (reason,) = rejection_reasons(rules, payload, contract("readings"))
        assert reason.endswith(sentence)
