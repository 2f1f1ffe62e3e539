"""Spark goes on with a table that delta-rs has created or replaced."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from pyspark.sql import SparkSession

from wattcast.contracts import contract
from wattcast.lake.migration import prepare_tables
from wattcast.lake.replacement import replace_rows
from wattcast.lake.schema_changes import differences
from wattcast.runtime.context import Run, build_run
from wattcast.settings import Settings

MINUTES = pd.array([30, None], "Int64")
ROWS = pd.DataFrame({"building_id": ["b1", "b2"], "reading_interval_minutes": MINUTES, "site": [None, "north"]})


@pytest.fixture
def created(spark: SparkSession, local_settings: Settings) -> Iterator[Run]:
    """A run over a lake in which delta-rs has created the table `buildings`, and Spark the others."""
    replace_rows(local_settings, "buildings", ROWS)
    run = build_run(spark, local_settings, once=True)
    prepare_tables(run.lake)
    yield run
    run.close()


def ids(run: Run) -> list[str]:
    return sorted(row.building_id for row in run.lake.table("buildings").collect())


def test_created_table_fits_its_contract_and_is_read(created: Run, new_run: Callable[..., Run], tmp_path: Path) -> None:
    assert differences(contract("buildings"), created.lake.shape("buildings")) == []
    by_spark = new_run(created.settings.model_copy(update={"state": tmp_path / "by_spark"}))
    assert created.lake.properties("buildings") == by_spark.lake.properties("buildings")
    assert created.lake.table("buildings").schema == by_spark.lake.table("buildings").schema
    by_spark.close()
    rows = created.lake.table("buildings").orderBy("building_id").collect()
    assert [(row.building_id, row.reading_interval_minutes, row.site) for row in rows] == [
        ("b1", 30, None),
        ("b2", None, "north"),
    ]


def test_spark_and_delta_rs_replace_the_rows_in_turn(created: Run) -> None:
    created.lake.replace("buildings", created.lake.frame("buildings", ROWS.assign(building_id=["c1", "c2"])))
    assert ids(created) == ["c1", "c2"]
    created.close()
    replace_rows(created.settings, "buildings", ROWS.assign(building_id=["d1", "d2"]))
    assert ids(created) == ["d1", "d2"]
    created.lake.replace("buildings", created.lake.frame("buildings", ROWS))
    assert ids(created) == ["b1", "b2"]
