"""The backtest on Spark: executors score the buildings with the same function as the local backtest."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from wattcast.cli.models.backtest_options import HOURLY_USAGE
from wattcast.cli.models.files import STRICT_FILES, contract_copy
from wattcast.errors import exit_on_user_error
from wattcast.lake.migration import inspect_tables
from wattcast.lake.tables import LakeTables
from wattcast.lake.views import register_views
from wattcast.logs import configure_logging
from wattcast.quality_flags import usable_energy
from wattcast.runtime.context import Run, opened
from wattcast.settings import settings
from wattcast_models.data.readings import METADATA, REQUIRED, Building, buildings_from_readings, metadata_of
from wattcast_models.data.rolling import Rolling
from wattcast_models.evaluation.backtest import readings_error_sums
from wattcast_models.evaluation.baselines import Method
from wattcast_models.evaluation.metrics import KEYS, SUMS
from wattcast_models.evaluation.results import RESULT_COLUMNS, Results
from wattcast_models.features.raw_inputs import CONTEXT_INPUTS

TYPES = dict.fromkeys(KEYS, "string") | {"group": "int"} | dict.fromkeys([*SUMS, "unanswered"], "double")
SCHEMA = ", ".join(f"`{name}` {TYPES.get(name, 'string')}" for name in RESULT_COLUMNS)

BuildingMetadata = dict[str, dict[str, str]]


@dataclass(frozen=True)
class SparkReadings:
    """Readings with the columns of a file, and the metadata by building id."""

    readings: DataFrame
    metadata: BuildingMetadata

    def results(self, methods: Sequence[Method], rolling: Rolling) -> Results:
        """The results of all buildings; only their error sums are collected to the driver."""
        metadata = self.metadata  # so that the function does not hold `self`, which cannot be pickled

        def score(readings: pd.DataFrame) -> pd.DataFrame:
            return readings_error_sums(readings, places=metadata, methods=methods, rolling=rolling)

        rows = self.readings.groupBy("building_id").applyInPandas(score, SCHEMA)
        return Results.from_parts([rows.toPandas()])

    def building(self, building_id: str) -> Building:
        readings = self.readings.where(F.col("building_id") == building_id).orderBy("timestamp")
        return buildings_from_readings(readings.toPandas(), self.metadata)[0]


@contextmanager
def spark_readings(data: Path, buildings_file: Path | None, requested_ids: Collection[str]) -> Iterator[SparkReadings]:
    """The readings of a file, or of the table `hourly_usage`, in a new Spark session. The strict reader copies a file to the
    state folder, which executors can read."""
    configure_logging()
    is_table = str(data) == HOURLY_USAGE
    metadata = dict(metadata_of(buildings_file, STRICT_FILES)) if buildings_file else {}
    state = settings().state.resolve()
    state.mkdir(parents=True, exist_ok=True)
    with (
        exit_on_user_error(),
        TemporaryDirectory(prefix="backtest-", dir=state) as folder,
        opened(name="backtest", with_broker=False, prepare=inspect_tables) as run,
    ):
        readings = usage_readings(run.lake) if is_table else file_readings(run.spark, contract_copy(data, Path(folder)))
        if requested_ids:
            readings = readings.where(F.col("building_id").isin(*requested_ids))
        yield SparkReadings(readings, _table_metadata(run) if is_table and not buildings_file else metadata)


def file_readings(spark: SparkSession, data: Path) -> DataFrame:
    """The readings of a Parquet or CSV file, with those columns of the contract that the file has."""
    if not data.exists():
        raise FileNotFoundError(f"{data} does not exist.")
    reader = spark.read.option("header", "true").option("inferSchema", "true")
    path = data.resolve().as_uri()
    rows = reader.csv(path) if ".csv" in data.suffixes else reader.parquet(path)
    rows = rows.withColumnRenamed("measured_at", "timestamp")
    if missing := [name for name in REQUIRED if name not in rows.columns]:
        raise ValueError(f"{data.name} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}.")
    return rows.select(
        F.col("building_id").cast("string"),
        F.col("timestamp").cast("timestamp"),
        *(F.col(name).cast("string") for name in ("device_id",) if name in rows.columns),
        *(F.col(name).cast("double") for name in CONTEXT_INPUTS if name in rows.columns),
    ).where(F.col("building_id").isNotNull() & F.col("timestamp").isNotNull())


def usage_readings(lake: LakeTables) -> DataFrame:
    """The newest revision of each hour of `hourly_usage`; the energy of an incomplete or unusable hour is null."""
    register_views(lake)
    hours = lake.spark.table("hourly_usage_latest")
    return hours.select(
        "building_id",
        F.col("hour").alias("timestamp"),
        usable_energy().alias("energy_usage_kwh"),
        *(F.col(name).cast("double") for name in CONTEXT_INPUTS[1:]),
    )


def _table_metadata(run: Run) -> BuildingMetadata:
    """The metadata in the table `buildings`."""
    rows = run.lake.table("buildings").select("building_id", *METADATA).collect()
    return {row.building_id: {name: row[name] or "" for name in METADATA} for row in rows}
