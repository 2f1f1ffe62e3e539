"""The Spark session: conf/spark-defaults.conf everywhere, conf/spark-local.conf where no cluster provides one."""

import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlparse

import psutil
from pyspark.logger import PySparkLogger
from pyspark.sql import SparkSession

from wattcast.runtime.java_output import without_module_warning
from wattcast.settings import S3_SCHEMES, Settings, project_folder, secret_variables, spark_conf

SECRET_WORDS = ("PASSWORD", "SECRET", "TOKEN", "CREDENTIAL", "ACCESS_KEY")  # in the names of variables with secrets
SUBMITTED = "PYSPARK_GATEWAY_"  # so begin the names of variables by which spark-submit gives this process its Java side


def is_submitted() -> bool:
    """Whether spark-submit started this process, and with it the Java side."""
    return f"{SUBMITTED}PORT" in os.environ


def spark_session(settings: Settings, *, name: str) -> SparkSession:
    """The session of this application: under spark-submit with its configuration, otherwise a local one."""
    _set_process_environment()
    builder = SparkSession.builder.appName(name)
    for key, value in (_object_store_conf() | ({} if is_submitted() else _local_conf(settings))).items():
        builder = builder.config(key, value)
    with _no_orphan(), without_module_warning():
        spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):  # they repeat each error as JSON
        PySparkLogger.getLogger(name).setLevel(logging.CRITICAL + 1)
    logging.getLogger().addFilter(_is_not_of_py4j)
    return spark


def _is_not_of_py4j(record: logging.LogRecord) -> bool:
    """Whether the root logger logs a record: py4j logs there, with a traceback, what it raises as well, such as Ctrl-C."""
    return record.module not in ("java_gateway", "clientserver")


@contextmanager
def _no_orphan() -> Iterator[None]:
    """End the Java process that starts in this block if Ctrl-C ends the block: Spark does not know it yet and would leave it."""
    before = set(psutil.Process().children())
    try:
        yield
    except KeyboardInterrupt:
        for child in set(psutil.Process().children()) - before:
            child.kill()
        raise


def small_session(settings: Settings, *, name: str) -> SparkSession:
    """A session without Delta and Kafka that starts sooner, for a few rows in memory. Its plans are interpreted: compiling them
    takes longer than running them once."""
    _set_process_environment()
    jars = missing_jars(settings)
    conf = spark_conf("spark-local.conf") | {
        "spark.master": "local[1]",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.driver.extraClassPath": os.pathsep.join(
            map(str, jars)
        ),  # not needed, but the class archive is for these
        "spark.driver.extraJavaOptions": " ".join([*_java_options(settings, jars), "-XX:TieredStopAtLevel=1"]),
    }
    builder = SparkSession.builder.appName(name)
    for key, value in conf.items():
        builder = builder.config(key, value)
    with without_module_warning():
        return builder.getOrCreate()


def remove_secrets(settings: Settings) -> None:
    """Remove the secrets that Spark does not need from the environment of this process, and so of Spark, which inherits it; the
    settings keep theirs. What stays: keys of AWS if tables or checkpoints are in an object store, and what spark-submit gives
    this process to reach its Java side."""
    secrets = {name for name in os.environ if any(word in name.upper() for word in SECRET_WORDS)} | secret_variables()
    needed = (SUBMITTED, "AWS_") if is_in_s3(settings) else (SUBMITTED,)
    for name in secrets:
        if not name.startswith(needed):
            os.environ.pop(name, None)


def _set_process_environment() -> None:
    """Set the time zone of this process to UTC and the Python of its workers. Spark reads and returns times without a zone in the
    zone of the process."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)


def is_in_s3(settings: Settings) -> bool:
    """Whether tables or checkpoints are in an object store that speaks S3."""
    return any(urlparse(uri).scheme in S3_SCHEMES for uri in (settings.lake_uri, settings.checkpoints_uri))


def _object_store_conf() -> dict[str, str]:
    """The endpoint of S3, if it is not Amazon's, from the variables that AWS tools read; Hadoop's connector finds the keys."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if not endpoint:
        return {}
    return {
        "spark.hadoop.fs.s3a.endpoint": endpoint,
        "spark.hadoop.fs.s3a.endpoint.region": os.environ.get("AWS_REGION", "us-east-1"),
        "spark.hadoop.fs.s3a.path.style.access": "true",
    }


def _local_conf(settings: Settings) -> dict[str, str]:
    conf = {
        key: value for file in ("spark-defaults.conf", "spark-local.conf") for key, value in spark_conf(file).items()
    }
    del conf["spark.jars.packages"]  # fetched once, into the cache of Wattcast
    jars = missing_jars(settings)
    return conf | {
        **({"spark.driver.extraClassPath": os.pathsep.join(map(str, jars))} if jars else {}),
        "spark.driver.extraJavaOptions": " ".join(_java_options(settings, jars)),
        "spark.sql.warehouse.dir": str(settings.state.resolve() / "warehouse"),
        "spark.pyspark.python": sys.executable,
    }


def missing_jars(settings: Settings) -> list[Path]:
    """The jars of Spark's connectors that these settings need and that are not in Spark's own folder."""
    from wattcast.embedded.jars import JarSet, jars, spark_has

    sets: list[JarSet] = ["spark", "s3"] if is_in_s3(settings) else ["spark"]
    return [jar for jar_set in sets if not spark_has(jar_set) for jar in jars(jar_set)]


def _java_options(settings: Settings, jars: Sequence[Path]) -> list[str]:
    from wattcast.embedded.class_archives import archive_file, use_options

    logs = settings.state.resolve() / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    return [
        f"-Dlog4j2.configurationFile={project_folder('conf') / 'log4j2.properties'}",
        f"-Dwattcast.logs={logs}",
        f"-Dderby.system.home={logs}",
        "-XX:+UseSerialGC",
        *use_options(archive_file("spark", jars)),
    ]
