"""The Spark session: conf/spark-defaults.conf everywhere, conf/spark-local.conf where no cluster gave one."""

import logging
import os
import sys
import time
from urllib.parse import urlparse

from pyspark.logger import PySparkLogger
from pyspark.sql import SparkSession

from wattcast.settings import S3_SCHEMES, Settings, project_folder, spark_conf


def is_submitted() -> bool:
    """Whether spark-submit started this process, and with it the Java side."""
    return "PYSPARK_GATEWAY_PORT" in os.environ


def spark_session(settings: Settings, *, name: str) -> SparkSession:
    """The session of this application. Under spark-submit its settings come from there; otherwise a local one is made."""
    _begin()
    builder = SparkSession.builder.appName(name)
    for key, value in (_object_store_conf() | ({} if is_submitted() else _local_conf(settings))).items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):  # which repeat each error as JSON
        PySparkLogger.getLogger(name).setLevel(logging.CRITICAL + 1)
    return spark


def small_session(settings: Settings, *, name: str) -> SparkSession:
    """A session that starts sooner and knows neither Delta nor Kafka, for a few rows of this machine. Its plans are interpreted:
    to compile them takes longer than to run them once."""
    _begin()
    conf = spark_conf("spark-local.conf") | {
        "spark.master": "local[1]",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.driver.extraJavaOptions": " ".join([*_java_options(settings), "-XX:TieredStopAtLevel=1"]),
    }
    builder = SparkSession.builder.appName(name)
    for key, value in conf.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def _begin() -> None:
    """What must be so in this process before Spark starts: Spark gives and takes times without a zone as those of the process,
    wherever the machine is."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)


def is_in_s3(settings: Settings) -> bool:
    """Whether tables or checkpoints are in an object store that speaks S3."""
    return any(urlparse(uri).scheme in S3_SCHEMES for uri in (settings.lake_uri, settings.checkpoints_uri))


def _object_store_conf() -> dict[str, str]:
    """Where S3 is, if not at Amazon, by the variable that its tools read; the keys are found by Hadoop's connector itself."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if not endpoint:
        return {}
    return {
        "spark.hadoop.fs.s3a.endpoint": endpoint,
        "spark.hadoop.fs.s3a.endpoint.region": os.environ.get("AWS_REGION", "us-east-1"),
        "spark.hadoop.fs.s3a.path.style.access": "true",
    }


def _local_conf(settings: Settings) -> dict[str, str]:
    from wattcast.local.embedded.jars import JarSet, jars, spark_has

    conf = {
        key: value for file in ("spark-defaults.conf", "spark-local.conf") for key, value in spark_conf(file).items()
    }
    del conf["spark.jars.packages"]  # resolved once, into a cache of our own
    sets: list[JarSet] = ["spark", "s3"] if is_in_s3(settings) else ["spark"]
    needed = [str(jar) for each in sets if not spark_has(each) for jar in jars(each)]
    return conf | {
        **({"spark.driver.extraClassPath": os.pathsep.join(needed)} if needed else {}),
        "spark.driver.extraJavaOptions": " ".join(_java_options(settings)),
        "spark.sql.warehouse.dir": str(settings.state.resolve() / "warehouse"),
        "spark.pyspark.python": sys.executable,
    }


def _java_options(settings: Settings) -> list[str]:
    logs = settings.state.resolve() / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    return [
        f"-Dlog4j2.configurationFile={project_folder('conf') / 'log4j2.properties'}",
        f"-Dwattcast.logs={logs}",
        f"-Dderby.system.home={logs}",
        "-XX:+UseSerialGC",
    ]
