"""The backtest over thousands of buildings: each is scored where its readings are, by the function that scores a local file."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from wattcast.errors import told
from wattcast.job import Run, configure_logging, opened
from wattcast.lakehouse import Lakehouse
from wattcast_models.backtest import COLUMNS, Results, scored_readings
from wattcast_models.baselines import Method
from wattcast_models.features import CONTEXT_INPUTS
from wattcast_models.metrics import KEYS, SUMS
from wattcast_models.readings import METADATA, REQUIRED, Building, buildings_of, read_places
from wattcast_models.rolling import Rolling

HOURLY_USAGE = "hourly_usage"
TYPES = dict.fromkeys(KEYS, "string") | {"group": "int"} | dict.fromkeys([*SUMS, "unanswered"], "double")
SCHEMA = ", ".join(f"`{name}` {TYPES.get(name, 'string')}" for name in COLUMNS)

Places = dict[str, dict[str, str]]


@dataclass(frozen=True)
class OnSpark:
    """Readings with the columns of a file, and the metadata of their buildings."""

    readings: DataFrame
    places: Places

    def results(self, methods: Sequence[Method], rolling: Rolling) -> Results:
        """Only the sums of each building come back to the driver."""
        places = self.places

        def score(readings: pd.DataFrame) -> pd.DataFrame:
            return scored_readings(readings, places=places, methods=methods, rolling=rolling)

        rows = self.readings.groupBy("building_id").applyInPandas(score, SCHEMA)
        return Results.of([rows.toPandas()])

    def building(self, building_id: str) -> Building:
        own = self.readings.where(F.col("building_id") == building_id).orderBy("timestamp")
        return buildings_of(own.toPandas(), self.places)[0]


@contextmanager
def on_spark(data: Path, buildings_file: Path | None, chosen: Collection[str]) -> Iterator[OnSpark]:
    """The readings of a Parquet or CSV file, or of the table `hourly_usage`, in a Spark session of the settings."""
    configure_logging()
    with told(), opened(name="backtest", with_broker=False) as run:
        is_table = str(data) == HOURLY_USAGE
        readings = usage(run.lake) if is_table else recorded(run.spark, data)
        if chosen:
            readings = readings.where(F.col("building_id").isin(*chosen))
        places = read_places(buildings_file) if buildings_file else _known_places(run) if is_table else {}
        yield OnSpark(readings, places)


def recorded(spark: SparkSession, data: Path) -> DataFrame:
    """The readings of a file, in the columns of the contract that it has."""
    if not data.exists():
        raise FileNotFoundError(f"{data} does not exist.")
    reader = spark.read.option("header", "true").option("inferSchema", "true")
    path = data.resolve().as_uri()
    found = reader.csv(path) if ".csv" in data.suffixes else reader.parquet(path)
    if lacking := [name for name in REQUIRED if name not in found.columns]:
        raise ValueError(f"{data.name} lacks the column{'s' * (len(lacking) > 1)} {', '.join(lacking)}.")
    return found.select(
        F.col("building_id").cast("string"),
        F.col("timestamp").cast("timestamp"),
        *(F.col(name).cast("double") for name in CONTEXT_INPUTS if name in found.columns),
    ).where(F.col("building_id").isNotNull() & F.col("timestamp").isNotNull())


def usage(lake: Lakehouse) -> DataFrame:
    """The newest revision of each hour; an hour that is not whole is missing."""
    lake.register_views()
    is_whole = F.coalesce(F.col("coverage"), F.lit(1.0)) >= 1
    hours = lake.spark.table("hourly_usage_latest")
    return hours.select(
        "building_id",
        F.col("hour").alias("timestamp"),
        F.when(is_whole, F.col("energy_usage_kwh")).alias("energy_usage_kwh"),
        *(F.col(name).cast("double") for name in CONTEXT_INPUTS[1:]),
    )


def _known_places(run: Run) -> Places:
    """The metadata in the table `buildings`."""
    rows = run.lake.table("buildings").select("building_id", *METADATA).collect()
    return {row.building_id: {name: row[name] or "" for name in METADATA} for row in rows}
