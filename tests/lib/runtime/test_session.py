"""The environment that a process leaves to Spark."""

import os
from pathlib import Path

import psutil
import pytest
from pyspark.sql import SparkSession

from wattcast.runtime.session import remove_secrets
from wattcast.settings import settings

SECRETS = (
    "WATTCAST_KAFKA__PASSWORD",
    "WATTCAST_ALERTS__WEBHOOK",
    "MLFLOW_TRACKING_PASSWORD",
    "GITHUB_TOKEN",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
)


@pytest.mark.parametrize(
    ("lake", "left"), [("", []), ("s3a://bucket/lake", ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"])]
)
def test_secrets_are_removed_except_those_of_the_object_store_of_the_lake(
    lake: str, left: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*SECRETS, "WATTCAST_LOG_LEVEL", "PYSPARK_GATEWAY_SECRET"):
        monkeypatch.setenv(name, "value")
    remove_secrets(settings().model_copy(update={"lake": lake}))
    assert [name for name in SECRETS if name in os.environ] == left
    assert os.environ["WATTCAST_LOG_LEVEL"] == "value"
    assert os.environ["PYSPARK_GATEWAY_SECRET"] == "value"  # without it a process under spark-submit has no Spark


def test_spark_starts_with_the_archive_of_its_classes_that_make_install_has_written(spark: SparkSession) -> None:
    assert spark._jvm is not None
    java = psutil.Process(spark._jvm.java.lang.ProcessHandle.current().pid())
    archives = {Path(file.path).name.partition("-")[0] for file in java.memory_maps() if file.path.endswith(".jsa")}
    assert "spark" in archives, "run `wattcast jars`"
