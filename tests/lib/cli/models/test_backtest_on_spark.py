"""The backtest on Spark finds what the local one finds."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

from wattcast.cli.models.backtest_on_spark import SparkReadings, file_readings, usage_readings
from wattcast.contracts import contract
from wattcast.local.simulation.simulator import write_simulation
from wattcast.runtime.context import Run
from wattcast_models.artifact.folder import shipped_artifact
from wattcast_models.artifact.predictor import Predictor
from wattcast_models.data.closing import ClosingRules
from wattcast_models.data.readings import read_buildings, read_metadata
from wattcast_models.data.rolling import Rolling
from wattcast_models.evaluation.backtest import building_error_sums, model_method, with_reference
from wattcast_models.evaluation.baselines import Method, baseline
from wattcast_models.evaluation.results import Results

ROLLING = Rolling(test_share=0.3, origin_hours=(0, 12))


@pytest.fixture
def methods() -> list[Method]:
    model = model_method(Predictor.read(shipped_artifact()), ROLLING)
    return with_reference([model, *(baseline(name, ROLLING) for name in ("ridge", "lightgbm"))], ROLLING)


def test_same_figures_as_the_local_run(spark: SparkSession, methods: list[Method], tmp_path: Path) -> None:
    data = tmp_path / "readings.parquet"
    write_simulation(data, buildings=3, days=35, start=date(2026, 1, 1), interval_minutes=30, seed=4)
    with_a_short_one = pd.concat([pd.read_parquet(data), pd.read_parquet(data).head(20).assign(building_id="short")])
    with_a_short_one.to_parquet(data)
    metadata = tmp_path / "readings.buildings.csv"
    on_spark = SparkReadings(file_readings(spark, data), read_metadata(metadata)).results(methods, ROLLING)
    local = Results.from_parts(
        building_error_sums(building, methods, ROLLING) for building in read_buildings(data, metadata)
    )
    pd.testing.assert_frame_equal(on_spark.sums, local.sums, rtol=1e-9)
    assert len(local.buildings) == 3
    assert on_spark.skipped == local.skipped
    assert list(local.skipped) == ["short"]


def test_file_that_is_no_file_of_readings_is_named(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "columns.csv").write_text("when,building_id\n2024-03-01T00:00:00Z,a\n")
    with pytest.raises(ValueError, match=r"columns\.csv lacks the columns timestamp, energy_usage_kwh"):
        file_readings(spark, tmp_path / "columns.csv")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        file_readings(spark, tmp_path / "none.parquet")


def test_hourly_usage_is_read_at_its_newest_revision_and_without_partial_hours(once: Run) -> None:
    hour = datetime(2026, 1, 1, tzinfo=UTC)
    revisions = [(0, 1, 5.0, 1.0), (0, 2, 7.0, 1.0), (1, 1, 3.0, 0.5), (2, 1, 4.0, None)]
    rows = [
        (
            "b", hour + timedelta(hours=offset), hour + timedelta(hours=offset, minutes=revision), revision, kwh, 9.0, None, None,
            1, 1, coverage, [], hour,
        )
        for offset, revision, kwh, coverage in revisions
    ]  # fmt: skip
    frame = once.spark.createDataFrame(rows, contract("hourly_usage").schema)
    once.lake.append("hourly_usage", lambda _: frame)
    building = SparkReadings(usage_readings(once.lake), {}).building("b")
    np.testing.assert_array_equal(building.values[:, 0], [7.0, np.nan, 4.0])
    np.testing.assert_array_equal(building.values[:, 1], [9.0, 9.0, 9.0])
    (without_spark,) = read_buildings(
        Path(once.lake.path("hourly_usage")), closing=ClosingRules(**once.settings.closing_rules)
    )
    assert without_spark.start == building.start
    np.testing.assert_array_equal(without_spark.values, building.values)
    assert without_spark.context_as_known(0, 3)[:, 0].tolist() == [7.0, pytest.approx(np.nan, nan_ok=True), 4.0]


def test_metadata_of_the_lake_is_read_without_spark_at_its_newest_version(once: Run) -> None:
    for zone in ("Europe/Paris", "Europe/London"):
        once.lake.replace(
            "buildings", once.lake.frame("buildings", pd.DataFrame([{"building_id": "b", "timezone": zone}]))
        )
    unknown = {"country": "", "building_type": "", "closures": ""}
    assert read_metadata(Path(once.lake.path("buildings"))) == {"b": {"timezone": "Europe/London"} | unknown}
