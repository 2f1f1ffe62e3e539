"""Upkeep of the tables: small files become few, rows that a contract keeps for a time go, and so do files that nobody needs.

What a reader sees of a table that has no retention is the same before and after, and a stream over it sees nothing of it.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Any

from delta.tables import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from wattcast.contracts import Retention, contract
from wattcast.lakehouse import Lakehouse, properties_of
from wattcast.locks import TableHasAWriter

log = logging.getLogger("wattcast.maintenance")

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Files:
    """What the newest version of a table is made of."""

    count: int
    size_bytes: int


@dataclass(frozen=True)
class Maintained:
    """A table before and after. `vacuumed` are files that are gone from the storage; `left_for` says why nothing was done."""

    table: str
    before: Files
    after: Files
    rows_deleted: int = 0
    vacuumed: int = 0
    seconds: float = 0.0
    left_for: str = ""


def maintained(lake: Lakehouse, name: str) -> Maintained:
    """Compact a table, delete what its contract keeps no longer, and vacuum it.

    Each in a turn with the jobs that write the table: these go on between. What still writes it when the time to wait is over is
    told in `left_for`.
    """
    begun, before = monotonic(), files(lake, name)
    try:
        with lake.turn(name):
            _restore_properties(lake, name)
            deleted = _delete_expired(lake, name)
            _compact(lake, name)
        with lake.turn(name):
            vacuumed = _vacuum(lake, name)
    except TableHasAWriter as error:
        return Maintained(name, before, files(lake, name), seconds=monotonic() - begun, left_for=str(error))
    return Maintained(name, before, files(lake, name), deleted, vacuumed, monotonic() - begun)


def files(lake: Lakehouse, name: str) -> Files:
    row = _detail(lake, name)
    return Files(row["numFiles"], row["sizeInBytes"])


def _compact(lake: Lakehouse, name: str) -> None:
    """Files no larger than what a batch of a stream reads, so that one from the beginning needs no more memory than others."""
    most = lake.settings.batch.max_megabytes_per_batch * MEBIBYTE
    sizes = {"maxFileSize": str(most), "minFileSize": str(most // 2)}
    with _set(lake.spark, {f"spark.databricks.delta.optimize.{key}": value for key, value in sizes.items()}):
        _table(lake, name).optimize().executeCompaction()


def _vacuum(lake: Lakehouse, name: str) -> int:
    """Delete the files that no version of the last 30 days has; how many that were. The table itself says that it is 30 days."""
    tasks = 4 * lake.spark.sparkContext.defaultParallelism  # to list folders: Spark would take 10,000 for each table
    listing = {"spark.sql.sources.parallelPartitionDiscovery.parallelism": str(tasks)}
    with _set(lake.spark, listing | {"spark.databricks.delta.vacuum.logging.enabled": "true"}):
        table = _table(lake, name)
        table.vacuum()
        ended = table.history(1).first()
    metrics: Mapping[str, str] = ended["operationMetrics"] if ended and ended["operation"] == "VACUUM END" else {}
    return int(metrics.get("numDeletedFiles", 0))


def _delete_expired(lake: Lakehouse, name: str) -> int:
    """Rows that are older than the newest by more than the contract keeps. The clock is that of the rows, so that an old
    lake stays whole."""
    retention = contract(name).retention
    if retention is None:
        return 0
    ((newest,),) = lake.table(name).agg(F.max(retention.column)).collect()
    if newest is None:
        return 0
    is_expired = F.col(retention.column) < F.lit(newest - timedelta(days=retention.days))
    expired = lake.table(name).where(is_expired).count()
    if expired:
        with _deletable(lake, name, retention):
            _table(lake, name).delete(is_expired)
    return expired


@contextmanager
def _deletable(lake: Lakehouse, name: str, retention: Retention) -> Iterator[None]:
    """The table is append-only but for now. A process that dies here leaves it to the next one to say so again."""
    log.info("%s keeps %d days by %s", name, retention.days, retention.column)
    _set_properties(lake, name, {"delta.appendOnly": "false"})
    try:
        yield
    finally:
        _restore_properties(lake, name)


def _restore_properties(lake: Lakehouse, name: str) -> None:
    """What the contract and the streams need: facts cannot be changed, and files stay long enough for a stream that lags."""
    has = _detail(lake, name)["properties"]
    if lacking := {key: value for key, value in properties_of(contract(name)).items() if has.get(key) != value}:
        _set_properties(lake, name, lacking)


def _set_properties(lake: Lakehouse, name: str, properties: Mapping[str, str]) -> None:
    said = ", ".join(f"'{key}' = '{value}'" for key, value in properties.items())
    lake.spark.sql(f"ALTER TABLE delta.`{lake.path(name)}` SET TBLPROPERTIES ({said})")


@contextmanager
def _set(spark: SparkSession, conf: Mapping[str, str]) -> Iterator[None]:
    before = {key: spark.conf.get(key, None) for key in conf}
    for key, value in conf.items():
        spark.conf.set(key, value)
    try:
        yield
    finally:
        for key, earlier in before.items():
            spark.conf.unset(key) if earlier is None else spark.conf.set(key, earlier)


def _table(lake: Lakehouse, name: str) -> DeltaTable:
    return DeltaTable.forPath(lake.spark, lake.path(name))


def _detail(lake: Lakehouse, name: str) -> Any:
    return _table(lake, name).detail().first()
