"""Maintenance of the tables: compacts small files, deletes what is no longer kept, and vacuums unused files.

Rows are deleted where a contract limits how long they are kept; of old rejected records only the payload goes. Apart from that a
table reads the same before and after, and a stream over it sees no new rows.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from delta.tables import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from wattcast.contracts import contract
from wattcast.lake.locks import TableHasAWriter
from wattcast.lake.table_definition import table_properties
from wattcast.lake.tables import LakeTables
from wattcast.times import now_utc

log = logging.getLogger("wattcast.lake.maintenance")

MEBIBYTE = 1024 * 1024
PAYLOAD = "raw_payload"
# Where a table has deletion vectors, deleted rows would stay in the files.
REWRITE_FILES = {
    f"spark.databricks.delta.{change}.deletionVectors.persistent": "false" for change in ("delete", "update", "merge")
}


@dataclass(frozen=True)
class Files:
    """The files of the newest version of a table."""

    count: int
    size_bytes: int


@dataclass(frozen=True)
class MaintenanceReport:
    """A table before and after. `vacuumed` counts the files deleted from the storage; `left_for` says why it was skipped."""

    table: str
    before: Files
    after: Files
    rows_deleted: int = 0
    payloads_removed: int = 0
    vacuumed: int = 0
    seconds: float = 0.0
    left_for: str = ""


def maintain_table(lake: LakeTables, name: str) -> MaintenanceReport:
    """Compact a table, delete the rows and payloads that are no longer kept, and vacuum it.

    Each step takes the write lock, so jobs write the table in between. If another writer does not release the table in time,
    the report says so in `left_for`.
    """
    begun, before = monotonic(), files(lake, name)
    try:
        with lake.locks.write_lock(name):
            lake.check_writable(name)
            _restore_properties(lake, name)
            deleted, payloads = _delete_expired(lake, name), _remove_expired_payloads(lake, name)
            _compact(lake, name)
        with lake.locks.write_lock(name):
            vacuumed = _vacuum(lake, name)
    except TableHasAWriter as error:
        return MaintenanceReport(name, before, files(lake, name), seconds=monotonic() - begun, left_for=str(error))
    return MaintenanceReport(name, before, files(lake, name), deleted, payloads, vacuumed, monotonic() - begun)


def files(lake: LakeTables, name: str) -> Files:
    current = detail(lake, name)
    return Files(current["numFiles"], current["sizeInBytes"])


def _compact(lake: LakeTables, name: str) -> None:
    """Compact into files no larger than a batch of a stream reads, so that a stream from the beginning needs no more memory."""
    max_bytes = lake.settings.batch.max_megabytes_per_batch * MEBIBYTE
    sizes = {"maxFileSize": str(max_bytes), "minFileSize": str(max_bytes // 2)}
    with _spark_conf(lake.spark, {f"spark.databricks.delta.optimize.{key}": value for key, value in sizes.items()}):
        delta_table(lake, name).optimize().executeCompaction()


def delete_unused_files(lake: LakeTables, name: str) -> None:
    """Delete at once all files that the newest version of a table does not use. No job may run, since streams that have not read
    all rows, and batches that are being read or written, need them."""
    check, log_commits = "retentionDurationCheck.enabled", "vacuum.logging.enabled"
    with _vacuum_conf(lake.spark, **{check: "false", log_commits: "false"}):
        delta_table(lake, name).vacuum(0)


def _vacuum(lake: LakeTables, name: str) -> int:
    """Delete the files that no version of the last 30 days uses; returns how many. The table's own properties say 30 days."""
    with _vacuum_conf(lake.spark, **{"vacuum.logging.enabled": "true"}):
        table = delta_table(lake, name)
        table.vacuum()
        ended = table.history(1).first()
    metrics: Mapping[str, str] = ended["operationMetrics"] if ended and ended["operation"] == "VACUUM END" else {}
    return int(metrics.get("numDeletedFiles", 0))


def _delete_expired(lake: LakeTables, name: str) -> int:
    """Delete the rows older than the newest row by more than the contract keeps; returns how many. The newest row is the
    clock, not this machine, so that an old lake stays complete."""
    retention = contract(name).retention
    if retention is None:
        return 0
    ((newest,),) = lake.table(name).agg(F.max(retention.column)).collect()
    if newest is None:
        return 0
    is_expired = F.col(retention.column) < F.lit(newest - timedelta(days=retention.days))
    expired = lake.table(name).where(is_expired).count()
    if expired:
        log.info("%s keeps %d days by %s", name, retention.days, retention.column)
        with deletable(lake, name):
            delta_table(lake, name).delete(is_expired)
    return expired


def _remove_expired_payloads(lake: LakeTables, name: str) -> int:
    """Remove the payloads of records that were rejected longer ago than the settings keep them; returns how many. The rows stay
    with their reasons and the hash of the payload."""
    days = lake.settings.retention.rejected_payload_days
    if not days or PAYLOAD not in contract(name).column_names:
        return 0
    ((newest,),) = lake.table(name).agg(F.max("kafka_timestamp")).collect()
    if newest is None:
        return 0
    is_old = F.col("kafka_timestamp") < F.lit(payloads_kept_since(newest, now_utc(), days=days))
    is_expired = ~F.col("accepted") & F.col(PAYLOAD).isNotNull() & is_old
    expired = lake.table(name).where(is_expired).count()
    if expired:
        with deletable(lake, name):
            delta_table(lake, name).update(is_expired, {PAYLOAD: F.lit(None)})
    return expired


def payloads_kept_since(newest: datetime, now: datetime, *, days: int) -> datetime:
    """The arrival before which payloads are removed. The newest arrival is the clock, so that those of a replay stay, but a
    record stamped in the future does not move it."""
    return min(newest, now) - timedelta(days=days)


@contextmanager
def deletable(lake: LakeTables, name: str) -> Iterator[None]:
    """Lift append-only inside the block, and let Delta rewrite the files with changed rows. If the process dies in it, the next
    maintenance restores the property."""
    lake.set_properties(name, {"delta.appendOnly": "false"})
    try:
        with _spark_conf(lake.spark, REWRITE_FILES):
            yield
    finally:
        _restore_properties(lake, name)


def _restore_properties(lake: LakeTables, name: str) -> None:
    """Set the properties that the contract and the streams need, where they differ."""
    current = detail(lake, name)["properties"]
    needed = table_properties(contract(name))
    if different := {key: value for key, value in needed.items() if current.get(key) != value}:
        lake.set_properties(name, different)


@contextmanager
def _vacuum_conf(spark: SparkSession, **delta: str) -> Iterator[None]:
    """Set options of Delta for a VACUUM inside the block."""
    tasks = 4 * spark.sparkContext.defaultParallelism  # to list folders: Spark would take 10,000 for each table
    conf = {f"spark.databricks.delta.{key}": value for key, value in delta.items()}
    with _spark_conf(spark, conf | {"spark.sql.sources.parallelPartitionDiscovery.parallelism": str(tasks)}):
        yield


@contextmanager
def _spark_conf(spark: SparkSession, conf: Mapping[str, str]) -> Iterator[None]:
    """Set Spark options inside the block."""
    before = {key: spark.conf.get(key, None) for key in conf}
    for key, value in conf.items():
        spark.conf.set(key, value)
    try:
        yield
    finally:
        for key, earlier in before.items():
            spark.conf.unset(key) if earlier is None else spark.conf.set(key, earlier)


def delta_table(lake: LakeTables, name: str) -> DeltaTable:
    return DeltaTable.forPath(lake.spark, lake.path(name))


def detail(lake: LakeTables, name: str) -> Any:
    """Delta's description of a table, such as its `id`, `properties` and `tableFeatures`."""
    return delta_table(lake, name).detail().first()
