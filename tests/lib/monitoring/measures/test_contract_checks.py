"""Contracts as suites: every table keeps its own after the pipeline's tests, and each kind of breach is found."""

from pathlib import Path

import pandas as pd
import pytest
from tests.jobs.monitored import AS_OF, hours, put, records

from wattcast.contracts import tables
from wattcast.monitoring.measures.contract_checks import (
    check_tables,
    contract_expectations,
    data_context,
    failure_measurements,
)
from wattcast.runtime.context import Run


def test_great_expectations_sends_no_usage_statistics(tmp_path: Path) -> None:
    assert data_context(tmp_path).variables.analytics_enabled is False


@pytest.mark.parametrize("table", tables(), ids=lambda table: table.name)
def test_every_column_key_and_rule_of_a_contract_is_expected(table) -> None:  # type: ignore[no-untyped-def]
    made = contract_expectations(table)
    said = {getattr(each, "column", None) for each in made}
    assert {column.name for column in table.columns if column.required} <= said
    assert {each.description for each in made if each.description} == set(table.rules)
    assert sum("unique" in each.expectation_type for each in made) == 1


def test_good_rows_pass_and_bad_ones_are_named_with_their_rule(once: Run, tmp_path: Path) -> None:
    usage = hours().tail(60)
    put(once, "hourly_usage", usage)
    put(once, "received_readings", records(hours()).tail(60))
    names = ("hourly_usage", "received_readings")
    good = {each.table: each for each in check_tables(once.lake, as_of=AS_OF, names=names, docs=tmp_path)}
    assert {name: each.failed for name, each in good.items()} == dict.fromkeys(names, ())
    assert good["hourly_usage"].rows > 0
    assert (tmp_path / "index.html").is_file()
    assert len(list(tmp_path.rglob("validations/**/*.html"))) >= 2
    put(once, "hourly_usage", pd.concat([usage.tail(1), usage.iloc[-2:-1].assign(coverage=7.0, building_id="other")]))
    spoilt = records(hours()).tail(1).assign(accepted=True, rejected_for=[[]], kafka_offset=99_999, energy_usage_kwh=-5.0,
                                             temperature_c=900.0)  # fmt: skip
    put(once, "received_readings", spoilt)
    bad = check_tables(once.lake, as_of=AS_OF, names=names, docs=tmp_path)
    broken = {each.table: " ".join(each.failed) for each in bad}
    assert "coverage" in broken["hourly_usage"]
    assert "unique" in broken["hourly_usage"]
    assert "energy_usage_kwh.negative" in broken["received_readings"]
    assert "temperature_c" in broken["received_readings"]
    rows = failure_measurements(bad).set_index("subject")["value"]
    assert rows["hourly_usage"] == 2
    assert rows["received_readings"] == 2
