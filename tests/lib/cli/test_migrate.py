"""`wattcast migrate` says what it would do, and does it on request."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession
from tests.changed_contracts import column, declared, declaring
from tests.commands import Wattcast

from wattcast.lake.migration import prepare_tables
from wattcast.runtime.context import Run

Migrate = Callable[..., list[list[str]]]


@pytest.fixture
def migrate(once: Run, shared_spark: SparkSession, wattcast: Wattcast) -> Migrate:
    """Runs the command; returns its exit status and the cells of the lines about the tables that differ."""

    def run(*options: str) -> list[list[str]]:
        result = wattcast("--state", str(once.settings.state), "migrate", *options)
        lines = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in result.out.splitlines()]
        return [[str(result.status)], *(line for line in lines if len(line) == 6 and line[0] != "table")]

    return run


def test_nothing_is_changed_without_apply_and_with_it_each_change_is_made(
    once: Run, migrate: Migrate, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = pd.DataFrame({"building_id": ["b1"], "reading_interval_minutes": [30]})
    once.lake.replace("buildings", once.lake.frame("buildings", rows))
    once.lake.alter("alerts", "ADD COLUMNS (seen BOOLEAN)")
    declare = declaring(monkeypatch)
    declare("buildings", "2.0.0", reading_interval_minutes=column("reading_interval_minutes", "BIGINT"))
    declare(
        "hourly_usage", revision=replace(declared("hourly_usage", "revision"), required=False), pv_kwh=column("pv_kwh")
    )
    version = once.lake.snapshot("buildings").version
    changes = [
        ["0"],
        ["alerts", "seen", "BOOLEAN", "missing", "nothing", "its values stay, and it is null in new rows"],
        ["buildings", "reading_interval_minutes", "INT", "BIGINT", "change type",
         "the table is rewritten; the wider type holds each value exactly"],
        ["hourly_usage", "revision", "INT NOT NULL", "INT", "allow null", "only the definition changes"],
        ["hourly_usage", "pv_kwh", "missing", "DOUBLE", "add column", "it is null in existing rows"],
    ]  # fmt: skip
    assert migrate() == changes
    assert once.lake.snapshot("buildings").version == version
    assert migrate("--apply") == changes
    assert migrate() == changes[:2]
    prepare_tables(once.lake)
    assert once.lake.properties("buildings")["wattcast.contractVersion"] == "2.0.0"
    rewritten = DeltaTable(once.lake.path("buildings"))
    assert rewritten.to_pandas()[["building_id", "reading_interval_minutes"]].values.tolist() == [["b1", 30]]
    fields = {field.name: (field.type.type, field.nullable) for field in rewritten.schema().fields}
    assert (fields["reading_interval_minutes"], fields["building_id"]) == (("long", True), ("string", False))


def test_what_cannot_be_migrated_is_refused_with_the_reason(
    once: Run, migrate: Migrate, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = Path(once.settings.checkpoints_uri) / "aggregate"
    (checkpoint / "offsets").mkdir(parents=True)
    (checkpoint / "offsets" / "0").write_text(f'v1\n{{"reservoirId":"{once.lake.shape("received_readings").id}"}}')
    declare = declaring(monkeypatch)
    declare("buildings", country=column("country", "INT"), floors=column("floors", required=True))
    declare("received_readings", kafka_partition=column("kafka_partition", "BIGINT", required=True))
    first = f"first stop the jobs that read the table, and remove their checkpoints: {checkpoint}"
    assert migrate("--apply") == [
        ["1"],
        ["buildings", "country", "STRING", "INT", "cannot", "values could be lost"],
        ["buildings", "floors", "missing", "DOUBLE NOT NULL", "cannot", "the rows of the table have no value for it"],
        ["received_readings", "kafka_partition", "INT NOT NULL", "BIGINT NOT NULL", "cannot", first],
    ]


def test_a_state_folder_without_a_lake_is_named(shared_spark: SparkSession, wattcast: Wattcast, tmp_path: Path) -> None:
    result = wattcast("--state", str(tmp_path), "migrate")
    assert (result.status, "has no tables: set WATTCAST_LAKE or --state" in result.err) == (2, True)


def test_a_command_that_writes_refuses_a_table_that_needs_a_migration_in_one_line(
    once: Run, shared_spark: SparkSession, wattcast: Wattcast, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "buildings.csv"
    file.write_text("building_id\nb1\n")
    declaring(monkeypatch)("buildings", country=column("country", "INT"))
    result = wattcast("--state", str(once.settings.state), "buildings", "import", str(file))
    assert (result.status, result.line) == (
        2,
        "The table buildings does not fit its contract 1.1.0: the column country is STRING in the table and INT in the "
        "contract; `wattcast migrate` shows what can be migrated, and how.\n",
    )
