"""One broker and one Spark session for each process of the run; every test gets tables and topics of its own."""

import os
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

# pyspark.sql.connect takes a main module without a file for its doctests and ends it; a worker of pytest-xdist has none.
if not hasattr(sys.modules["__main__"], "__file__"):
    sys.modules["__main__"].__file__ = os.devnull

_state = Path(tempfile.mkdtemp(prefix="wattcast-tests-"))
os.environ |= {"WATTCAST_STATE": str(_state), "WATTCAST_BATCH__TRIGGER_SECONDS": "0.2"}

from pyspark.sql import SparkSession

from wattcast.broker import Broker
from wattcast.job import Run
from wattcast.lakehouse import Lakehouse
from wattcast.local.embedded.kafka_server import EmbeddedBroker
from wattcast.session import spark_session
from wattcast.settings import Settings, settings

# Plans of a few rows: to compile them takes longer than to run them once. Commands that tests start do compile theirs.
INTERPRETED = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.shuffle.partitions": "2",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--recovery-days", type=int, default=3, help="Days of 36 buildings through which kills are survived."
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that need the recorded readings are skipped, by name, where WATTCAST_DATA does not say where they are; with
    WATTCAST_REQUIRE_DATA the run fails instead."""
    if os.environ.get("WATTCAST_DATA"):
        return
    if os.environ.get("WATTCAST_REQUIRE_DATA"):
        raise pytest.UsageError(
            "WATTCAST_REQUIRE_DATA is set, but WATTCAST_DATA does not say where the recorded readings are."
        )
    for item in items:
        if item.get_closest_marker("readings"):
            item.add_marker(pytest.mark.skip(reason="needs the recorded readings: set WATTCAST_DATA"))


@pytest.fixture(scope="session")
def recorded() -> Path:
    """The folder of the recorded readings."""
    return Path(os.environ["WATTCAST_DATA"])


@pytest.fixture(scope="session")
def embedded_broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(_state) as broker:
        yield broker


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    session = spark_session(settings(), name="tests")
    for key, value in INTERPRETED.items():
        session.conf.set(key, value)
    yield session
    session.stop()


@pytest.fixture
def local_settings(embedded_broker: EmbeddedBroker, tmp_path: Path) -> Settings:
    """Settings with a lake, checkpoints and topics of this test alone."""
    tag = uuid.uuid4().hex[:8]
    return (
        settings()
        .with_changes(
            kafka={
                "bootstrap_servers": embedded_broker.bootstrap_servers,
                "readings_topic": f"readings-{tag}",
                "weather_forecasts_topic": f"weather-forecasts-{tag}",
                "forecasts_topic": f"forecasts-{tag}",
                "alerts_topic": f"alerts-{tag}",
            }
        )
        .model_copy(update={"state": tmp_path})
    )


@pytest.fixture
def once(spark: SparkSession, local_settings: Settings) -> Iterator[Run]:
    """A run whose queries work through what is there, then end."""
    lake = Lakehouse(spark, local_settings, once=True)
    lake.create_tables()
    yield Run(lake, Broker(local_settings.kafka), local_settings)
    lake.close()
