"""The Delta tables of a lake, by the names of their contracts: snapshots, appends and replacements.

Facts are appended, never rewritten. Writers of a table take turns: each computes what is missing and appends it before the next
one looks. A Delta transaction number, counted from the last append in the snapshot, is the second guard.
"""

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from typing import Any

import pandas as pd
from delta.tables import DeltaTable
from py4j.protocol import Py4JError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from wattcast.causes import explanation, known_cause
from wattcast.contracts import Contract, contract, tables
from wattcast.lake.delta_log import COMMIT, TableDamaged, damaged_commit, versions
from wattcast.lake.locks import LakeLocks
from wattcast.lake.schema_changes import ColumnType, TableShape
from wattcast.lake.storage import SparkStorage
from wattcast.lake.table_definition import CONTRACT_VERSION, rows_in_columns, table_properties
from wattcast.settings import Settings

log = logging.getLogger("wattcast.lake")


@dataclass(frozen=True)
class Snapshot:
    """A table at one version; what is read from it does not change while a batch runs."""

    name: str
    frame: DataFrame
    version: int


@dataclass(frozen=True)
class NewestTimes:
    """The greatest time in each of some columns of a table at a version; None where a column has none."""

    version: int
    times: Mapping[str, datetime | None]

    def with_newest(self, newest: Sequence[datetime | None]) -> "NewestTimes":
        """With later times, in the order of the columns, of rows that were not looked at before."""
        later = zip(self.times.items(), newest, strict=True)
        return NewestTimes(
            self.version, {column: max(filter(None, (time, new)), default=None) for (column, time), new in later}
        )


class LakeTables:
    """Reads and writes the Delta tables under `settings.lake_uri`."""

    def __init__(self, spark: SparkSession, settings: Settings, locks: LakeLocks) -> None:
        self.spark, self.settings, self.locks = spark, settings, locks
        self._checked: dict[str, str | None] = {}  # the damage of the log, by table
        self.appended: Counter[str] = Counter()  # rows that this process has appended by `append`, by table
        self._newest: dict[str, NewestTimes] = {}  # by table

    def path(self, name: str) -> str:
        return f"{self.settings.lake_uri}/{name}"

    def create_tables(self) -> None:
        """Create the tables that do not exist, as their contracts declare. Of jobs that start at once, one creates them."""
        if not self.missing_tables():
            return
        with self.locks.creation_lock():
            for table in self.missing_tables():
                self._create(table)

    def missing_tables(self) -> list[Contract]:
        """The contracts whose tables do not exist."""
        return [table for table in tables() if not DeltaTable.isDeltaTable(self.spark, self.path(table.name))]

    def snapshot(self, name: str) -> Snapshot:
        """The newest version of a table, pinned."""
        self._damage(name)
        return self._at(name, int(self._delta_snapshot(name).version()))

    def table(self, name: str) -> DataFrame:
        """The newest version of a table. A streaming query that joins it reads the newest version in each batch."""
        self._damage(name)
        return self.spark.read.format("delta").load(self.path(name))

    def newest_times(self, snapshot: Snapshot, *columns: str) -> list[datetime | None]:
        """The greatest time in each column; None where a column has none.

        The result is remembered: later calls read only the files that can hold a greater time, and none after an own append.
        """
        before = self._newest.get(snapshot.name, NewestTimes(-1, {}))
        if before.version != snapshot.version or not before.times.keys() >= set(columns):
            previous = {column: before.times.get(column) for column in (*before.times, *columns)}
            recent = snapshot.frame
            if None not in previous.values():
                is_recent = [F.col(column) >= F.lit(time) for column, time in previous.items()]
                recent = recent.where(reduce(lambda a, b: a | b, is_recent))
            newest = recent.agg(*(F.max(column) for column in previous)).collect()[0]
            before = self._newest[snapshot.name] = NewestTimes(snapshot.version, previous).with_newest(newest)
        return [before.times[column] for column in columns]

    def frame(self, name: str, rows: pd.DataFrame) -> DataFrame:
        """Pandas rows in the columns and types of a table; a column that `rows` lacks is null."""
        table = contract(name)
        values = rows_in_columns(table, rows)
        records = [tuple(map(_python_value, row)) for row in values.itertuples(index=False)]
        return self.spark.createDataFrame(records, table.schema)

    def append(self, name: str, pending: Callable[[Snapshot], DataFrame | None]) -> int:
        """Append the rows that `pending` computes from the newest snapshot; returns how many. It holds the write lock of the
        table, so no other writer appends between the snapshot and the commit.

        Raises:
            TableHasAWriter: another writer holds the lock for longer than a writer waits.
            TableDamaged: one of the newest commits of the table is damaged.
        """
        with self.locks.write_lock(name):
            self.check_writable(name)
            existing, last_append = self._snapshot_and_last_append(name)
            rows = pending(existing)
            if rows is None:
                return 0
            rows = self._in_table_types(name, rows).persist()
            remembered = self._newest.get(name, NewestTimes(-1, {}))
            try:
                count, *newest = rows.agg(F.count("*"), *(F.max(column) for column in remembered.times)).collect()[0]
                if count:
                    writer = rows.write.format("delta").mode("append")
                    writer = writer.option("txnAppId", _append_id(name)).option("txnVersion", last_append + 1)
                    writer.save(self.path(name))
                    self.appended[name] += count
                    if remembered.version == existing.version:
                        self._newest[name] = NewestTimes(existing.version + 1, remembered.times).with_newest(newest)
                return int(count)
            finally:
                rows.unpersist()

    def replace(self, name: str, rows: DataFrame) -> None:
        """Overwrite a table that is not append-only, such as the metadata of buildings. Delta keeps the earlier versions."""
        with self.locks.write_lock(name):
            self.check_writable(name)
            self._in_table_types(name, rows).write.format("delta").mode("overwrite").save(self.path(name))

    def check_writable(self, name: str) -> None:
        """Check, once in a process, that no row is lost by a write to a table.

        Raises:
            TableDamaged: one of its newest commits is damaged.
        """
        if damage := self._damage(name):
            raise TableDamaged(damage)

    def properties(self, name: str) -> dict[str, str]:
        """The Delta properties of the newest version of a table."""
        return dict(self._java(self._delta_snapshot(name).metadata().configuration()).items())

    def set_properties(self, name: str, properties: Mapping[str, str]) -> None:
        """Set Delta properties of a table; the others stay."""
        pairs = ", ".join(f"{_literal(key)} = {_literal(value)}" for key, value in properties.items())
        self.alter(name, f"SET TBLPROPERTIES ({pairs})")

    def alter(self, name: str, change: str) -> None:
        """Change the definition of a table by the rest of an ALTER TABLE statement, under its write lock."""
        with self.locks.write_lock(name):
            self.check_writable(name)
            self.spark.sql(f"ALTER TABLE delta.`{self.path(name)}` {change}")

    def shape(self, name: str) -> TableShape:
        """The columns and the partitioning of the newest version of a table.

        Raises:
            TableDamaged: its log cannot be read.
        """
        metadata = self._delta_snapshot(name).metadata()
        schema = StructType.fromJson(json.loads(metadata.schemaString()))
        types = {field.name: ColumnType(field.dataType.simpleString().upper(), not field.nullable) for field in schema}
        version = metadata.configuration().get(CONTRACT_VERSION)
        partitions = tuple(self._java(metadata.partitionColumns()))
        return TableShape(metadata.id(), types, partitions, version.get() if version.isDefined() else None)

    def last_transaction(self, name: str, application: str) -> int:
        """The number of the newest transaction of a Delta application in a table; -1 for none."""
        return _last_transaction(self._delta_snapshot(name), application)

    def delta_log(self, name: str) -> Any:
        """Delta's own log object of a table, from its Java side."""
        jvm: Any = self.spark._jvm
        return jvm.org.apache.spark.sql.delta.DeltaLog.forTable(self.spark._jsparkSession, self.path(name))

    def _create(self, table: Contract) -> None:
        builder = (
            DeltaTable.createIfNotExists(self.spark)
            .location(self.path(table.name))
            .addColumns(table.schema)
            .comment(table.description)
            .property(CONTRACT_VERSION, table.version)
        )
        for key, value in table_properties(table).items():
            builder = builder.property(key, value)
        if table.partitioned_by:
            builder = builder.partitionedBy(*table.partitioned_by)
        builder.execute()

    def _in_table_types(self, name: str, rows: DataFrame) -> DataFrame:
        columns: Iterable[tuple[str, str]] = ((column.name, column.physical_type) for column in contract(name).columns)
        return rows.select(*(F.col(column).cast(kind) for column, kind in columns))

    def _snapshot_and_last_append(self, name: str) -> tuple[Snapshot, int]:
        """The newest version, and the number of the last append of pending rows in it; -1 for none. The version itself is no
        such number: a compaction makes a version, too."""
        latest = self._delta_snapshot(name)
        return self._at(name, int(latest.version())), _last_transaction(latest, _append_id(name))

    def _damage(self, name: str) -> str | None:
        """What is wrong with the commits since the newest checkpoint of a table; None if nothing. Logged and looked at once."""
        if name not in self._checked:
            self._checked[name] = self._log_damage(name)
            if damage := self._checked[name]:
                log.warning("%s", damage)
        return self._checked[name]

    def _log_damage(self, name: str) -> str | None:
        commits = self._java(self._delta_snapshot(name).logSegment().deltas())
        sizes = versions({file.getPath().getName(): file.getLen() for file in commits}, COMMIT)
        damage = damaged_commit(SparkStorage(self.spark, self.path(name)), sizes)
        return damage and (
            f"The table {name} is damaged: its commit {self.path(name)}/{damage}, so it reads without the rows of that commit "
            "and a write would lose them. `wattcast doctor --lake` says how to restore it."
        )

    def _java(self, scala_collection: Any) -> Any:
        """A collection of Scala as the Java collection that Python iterates."""
        jvm: Any = self.spark._jvm
        return jvm.scala.jdk.javaapi.CollectionConverters.asJava(scala_collection)

    def _at(self, name: str, version: int) -> Snapshot:
        frame = self.spark.read.format("delta").option("versionAsOf", version).load(self.path(name))
        return Snapshot(name, frame, version)

    def _delta_snapshot(self, name: str) -> Any:
        """Delta's own snapshot object, from its Java side. The public way, a query of the history, takes a Spark job."""
        jvm: Any = self.spark._jvm
        none = jvm.scala.Option.empty()
        try:
            return self.delta_log(name).update(False, none, none)
        except Py4JError as error:
            if known_cause(error) is None:
                raise
            raise TableDamaged(f"The table {self.path(name)} cannot be read: {explanation(error)}.") from error


def _last_transaction(delta_snapshot: Any, application: str) -> int:
    transaction = delta_snapshot.transactions().get(application)
    return int(transaction.get()) if transaction.isDefined() else -1


def _literal(text: str) -> str:
    """A text as a string literal of Spark SQL."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _append_id(name: str) -> str:
    """The Delta application id under which the appends of pending rows to a table are counted."""
    return f"wattcast/{name}"


def _python_value(value: Any) -> Any:
    """A value that Spark accepts: a datetime for a pandas Timestamp."""
    return value.to_pydatetime() if isinstance(value, pd.Timestamp) else value
