"""The Spark session: conf/spark-defaults.conf everywhere, conf/spark-local.conf where no cluster gave one."""

import os
import sys

from pyspark.sql import SparkSession

from wattcast.settings import Settings, project_folder, spark_conf


def is_submitted() -> bool:
    """Whether spark-submit started this process, and with it the Java side."""
    return "PYSPARK_GATEWAY_PORT" in os.environ


def spark_session(settings: Settings, *, name: str) -> SparkSession:
    """The session of this application. Under spark-submit its settings come from there; otherwise a local one is made."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName(name)
    if not is_submitted():
        for key, value in _local_conf(settings).items():
            builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def _local_conf(settings: Settings) -> dict[str, str]:
    from wattcast.local.embedded.jars import jars, spark_has_jars

    conf = {
        key: value for file in ("spark-defaults.conf", "spark-local.conf") for key, value in spark_conf(file).items()
    }
    del conf["spark.jars.packages"]  # resolved once, into a cache of our own
    logs = settings.state.resolve() / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    java_options = [
        f"-Dlog4j2.configurationFile={project_folder('conf') / 'log4j2.properties'}",
        f"-Dwattcast.logs={logs}",
        f"-Dderby.system.home={logs}",
        "-XX:+UseSerialGC",
    ]
    return conf | {
        **({} if spark_has_jars() else {"spark.jars": ",".join(str(jar) for jar in jars("spark"))}),
        "spark.driver.extraJavaOptions": " ".join(java_options),
        "spark.sql.warehouse.dir": str(settings.state.resolve() / "warehouse"),
        "spark.pyspark.python": sys.executable,
    }
