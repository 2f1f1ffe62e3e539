"""Jobs add the new optional columns of the contracts to the tables when they start, and refuse every other change."""

import logging
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest
from deltalake import DeltaTable
from tests.changed_contracts import Declare, column, declaring

from wattcast.contracts import Column
from wattcast.lake.migration import TableNeedsMigration, inspect_tables, prepare_tables
from wattcast.lake.views import publish_views
from wattcast.runtime.context import Run, build_run


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch) -> Declare:
    return declaring(monkeypatch)


def put(run: Run, *ids: str) -> None:
    rows = pd.DataFrame({"building_id": ids, "reading_interval_minutes": [30] * len(ids)})
    run.lake.replace("buildings", run.lake.frame("buildings", rows))


def operations(run: Run, table: str) -> list[str]:
    """What made the versions of a table, the oldest first."""
    return [commit["operation"] for commit in reversed(DeltaTable(run.lake.path(table)).history())]


def test_two_jobs_that_start_at_once_add_a_new_optional_column_once(
    once: Run, declare: Declare, caplog: pytest.LogCaptureFixture
) -> None:
    put(once, "b1")
    spark = (
        once.spark.newSession()
    )  # other tests leave temporary views in that of `once`, which hide those of the catalog
    publish_views(build_run(spark, once.settings).lake)
    declare("buildings", heated_m2=column("heated_m2"), lifts=column("lifts", "INT"))
    second = build_run(once.spark, once.settings).lake
    caplog.set_level(logging.INFO, "wattcast.lake")
    with ThreadPoolExecutor() as threads:
        for started in [threads.submit(prepare_tables, lake) for lake in (once.lake, second)]:
            started.result()
    assert operations(once, "buildings")[-2:] == ["ADD COLUMNS", "SET TBLPROPERTIES"]
    assert caplog.messages == ["Migrated the table buildings to its contract 1.1.0: add column heated_m2, lifts."]
    assert [row.heated_m2 for row in once.lake.table("buildings").collect()] == [None]
    assert [row.building_id for row in spark.sql("SELECT * FROM buildings").collect()] == [
        "b1"
    ]  # by the view from before
    rows = pd.DataFrame({"building_id": ["b2"], "heated_m2": [12.5]})
    once.lake.replace("buildings", once.lake.frame("buildings", rows))
    assert DeltaTable(once.lake.path("buildings")).to_pandas().heated_m2.tolist() == [12.5]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"country": column("country", "INT")}, "the column country is STRING in the table and INT in the contract"),
        ({"floors": column("floors", required=True)}, "floors is missing in the table and DOUBLE NOT NULL in the contract"),
        ({"building_id": None}, "the column building_id is STRING NOT NULL in the table and missing in the contract"),
    ],
)  # fmt: skip
def test_a_job_refuses_another_change_and_names_the_command(
    once: Run, declare: Declare, changes: dict[str, Column | None], why: str
) -> None:
    declare("hourly_usage", extra=column("extra"))
    declare("buildings", **changes)
    with pytest.raises(TableNeedsMigration) as refused:
        prepare_tables(once.lake)
    assert str(refused.value).startswith("The table buildings does not fit its contract 1.1.0: ")
    assert why in str(refused.value)
    assert str(refused.value).endswith("; `wattcast migrate` shows what can be migrated, and how.")
    assert operations(once, "hourly_usage") == ["CREATE TABLE"]  # nothing was changed


def test_columns_of_another_release_stay_and_the_table_is_read_and_written(
    once: Run, caplog: pytest.LogCaptureFixture
) -> None:
    put(once, "b1")
    once.lake.alter("buildings", "ADD COLUMNS (lifts INT)")
    prepare_tables(once.lake)
    assert "The table buildings has columns that its contract 1.0.0 does not declare: lifts." in caplog.text
    put(once, "b2")
    assert once.lake.table("buildings").select("building_id", "lifts").collect() == [("b2", None)]


def test_a_program_that_reads_goes_on_and_says_what_differs(
    once: Run, declare: Declare, caplog: pytest.LogCaptureFixture
) -> None:
    declare("buildings", country=column("country", "INT"), lifts=column("lifts"))
    inspect_tables(once.lake)
    assert "country is STRING in the table and INT in the contract, and the column lifts is missing" in caplog.text
    assert operations(once, "buildings") == ["CREATE TABLE"]
