"""One broker and one Spark session for each process of the run; every test gets tables and topics of its own."""

import os
import secrets
import shutil
import signal
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# pyspark.sql.connect takes a main module without a file for its doctests and ends it; a worker of pytest-xdist has none.
if not hasattr(sys.modules["__main__"], "__file__"):
    sys.modules["__main__"].__file__ = os.devnull

_state = Path(tempfile.mkdtemp(prefix="wattcast-tests-"))
os.environ |= {
    "WATTCAST_STATE": str(_state),
    "WATTCAST_BATCH__TRIGGER_SECONDS": "0.2",
    # The first compiler is enough for a process of seconds. Its default code cache of 48 MB is too small for a pipeline on a
    # busy machine: a full one stops Spark.
    "SPARK_SUBMIT_OPTS": "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m",
}

from pyspark.sql import SparkSession

from wattcast.embedded.kafka_server import EmbeddedBroker
from wattcast.runtime.context import Run, build_run
from wattcast.runtime.session import spark_session
from wattcast.settings import Settings, settings

pytest_plugins = ["tests.commands"]
SLOW_FIXTURES = {"spark", "embedded_broker"}
SLOW_FOLDERS = (  # of tests that start programs, browsers or trainings, or that try hundreds of cases
    "tests/chaos/test_chaos.py", "tests/examples", "tests/jobs", "tests/k8s", "tests/upgrade", "tests/test_sql_guide.py",
    "tests/lib/cli/benchmarks", "tests/lib/cli/models", "tests/lib/cli/test_check_reading.py", "tests/lib/embedded",
    "tests/lib/hourly/test_revisions_law.py", "tests/lib/lake/test_halt.py", "tests/lib/serving/test_openapi.py",
    "tests/lib/monitoring/test_months.py", "tests/lib/serving/static", "tests/lib/serving/test_generated.py",
    "tests/models/data/test_sources.py", "tests/models/evaluation", "tests/models/registry", "tests/models/tracking",
    "tests/models/training",
)  # fmt: skip

# Plans of a few rows: to compile them takes longer than to run them once. Commands that tests start do compile theirs.
INTERPRETED = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.shuffle.partitions": "2",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--chaos-seed", type=int, default=None, help="Seed of the faults and kills in test_chaos; default: a new one."
    )


def pytest_configure(config: pytest.Config) -> None:
    """Draw the seed of test_chaos once, so that all workers of pytest-xdist get the same one. A shell makes what it starts in the
    background ignore SIGINT; tests of Ctrl-C, and the processes that tests start, need it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.option.chaos_seed is None:
        config.option.chaos_seed = secrets.randbelow(2**32)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    if any("test_chaos" in getattr(report, "nodeid", "") for report in reports):
        seed = terminalreporter.config.option.chaos_seed
        terminalreporter.write_line(f"test_chaos ran with seed {seed}; --chaos-seed {seed} repeats its faults.")


@pytest.hookimpl(tryfirst=True)  # before the options -m and -k choose
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark slow tests, and run them first. Tests that need the recorded readings are skipped, by name, where WATTCAST_DATA is not
    set; with WATTCAST_REQUIRE_DATA the run fails instead."""
    for item in items:
        if item.nodeid.startswith(SLOW_FOLDERS) or SLOW_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("slow")
    items.sort(
        key=lambda item: item.get_closest_marker("slow") is None
    )  # no worker begins a slow file when the others are done
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


@pytest.fixture(scope="session")
def empty_lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a lake whose tables are empty. To create them takes seconds, so the tests copy it."""
    run = build_run(spark, settings().model_copy(update={"state": tmp_path_factory.mktemp("empty")}))
    run.lake.create_tables()
    run.close()
    return Path(run.settings.lake_uri)


@pytest.fixture(scope="session")
def new_run(spark: SparkSession, empty_lake: Path) -> Callable[..., Run]:
    """Builds a run over a lake of empty tables of its own, in the state folder of the settings."""

    def build(own: Settings, *, once: bool = False) -> Run:
        shutil.copytree(empty_lake, own.lake_uri, ignore=shutil.ignore_patterns(".locks"))
        return build_run(spark, own, once=once)

    return build


@pytest.fixture
def once(new_run: Callable[..., Run], local_settings: Settings) -> Iterator[Run]:
    """A run whose queries process the data that is there, then end."""
    run = new_run(local_settings, once=True)
    yield run
    run.close()
