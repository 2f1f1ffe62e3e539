"""The one module that knows Delta: tables by the name of their contract, pinned snapshots, streams and appends.

Facts are appended, never rewritten. Processes that write one table do it in turns: each looks what is missing and adds that
before another looks. A Delta transaction that counts on from the last append that was seen is the second guard.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, partial, reduce
from typing import Any
from urllib.parse import urlparse

import pandas as pd
from delta.tables import DeltaTable
from py4j.protocol import Py4JError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery
from pyspark.sql.streaming.readwriter import DataStreamWriter

from wattcast.contracts import Contract, contract, tables
from wattcast.errors import FAILED
from wattcast.locks import Locks, end_process, locks
from wattcast.settings import Settings
from wattcast.views import VIEWS

RETENTION = "interval 30 days"
CREATED_WITHIN_SECONDS, TURN_SECONDS = 120, 3600


@dataclass(frozen=True)
class Snapshot:
    """A table at one version; what is read from it does not change while a batch runs."""

    name: str
    frame: DataFrame
    version: int


@dataclass(frozen=True)
class Lakehouse:
    """The Delta tables of one lake, and the streaming queries over them."""

    spark: SparkSession
    settings: Settings
    once: bool = False
    _newest: dict[tuple[str, str], datetime] = field(default_factory=dict)

    def path(self, name: str) -> str:
        return f"{self.settings.lake_uri}/{name}"

    def create_tables(self) -> None:
        """Create the tables that are missing, as their contracts say; of several jobs that start at once, one does."""
        if not self._missing():
            return
        self._locks.take("tables", wait_seconds=CREATED_WITHIN_SECONDS)
        for table in self._missing():
            builder = (
                DeltaTable.createIfNotExists(self.spark)
                .location(self.path(table.name))
                .addColumns(table.schema)
                .comment(table.description)
                .property("wattcast.contractVersion", table.version)
            )
            for key, value in properties_of(table).items():
                builder = builder.property(key, value)
            if table.partitioned_by:
                builder = builder.partitionedBy(*table.partitioned_by)
            builder.execute()
        self._locks.release("tables")

    def snapshot(self, name: str) -> Snapshot:
        return self._at(name, int(self._latest(name).version()))

    def table(self, name: str) -> DataFrame:
        """The newest version, also in each batch of a stream that joins it."""
        return self.spark.read.format("delta").load(self.path(name))

    def stream(self, name: str) -> DataFrame:
        """New rows of a table as they are committed, as many at a time as the settings of a batch allow."""
        batch = self.settings.batch
        reader = self.spark.readStream.format("delta").option("maxFilesPerTrigger", batch.max_files_per_batch)
        if contract(name).retention:  # rows that it takes away are nothing new
            reader = reader.option("skipChangeCommits", "true")
        return reader.option("maxBytesPerTrigger", f"{batch.max_megabytes_per_batch}m").load(self.path(name))

    def received_offsets(self, name: str, *, topic: str, query: str) -> dict[int, int]:
        """By partition of a topic, the last offset in a table of received records, for a query that has lost its checkpoint;
        nothing for one that has it and knows better."""
        path = self._jvm.org.apache.hadoop.fs.Path(f"{self.settings.checkpoints_uri}/{query}/metadata")
        if path.getFileSystem(self.spark._jsparkSession.sessionState().newHadoopConf()).exists(path):
            return {}
        rows = self.table(name).where(F.col("kafka_topic") == topic)
        last = rows.groupBy("kafka_partition").agg(F.max("kafka_offset").alias("last"))
        return {row.kafka_partition: row.last for row in last.collect()}

    def register_views(self) -> None:
        """Make every table and view of `wattcast.views` known to SQL by its name."""
        for table in tables():
            self.table(table.name).createOrReplaceTempView(table.name)
        for name, sql in VIEWS.items():
            self.spark.sql(sql).createOrReplaceTempView(name)

    def publish_views(self) -> None:
        """Make them known to all other sessions of this application too; each query reads the newest versions."""
        for table in tables():
            view = f"CREATE OR REPLACE VIEW {table.name} AS TABLE delta.`{self.path(table.name)}`"
            self.spark.sql(view)
        for name, sql in VIEWS.items():
            self.spark.sql(f"CREATE OR REPLACE VIEW {name} AS {sql}")

    def newest(self, snapshot: Snapshot, *columns: str) -> list[datetime | None]:
        """The greatest times in some columns; after the first look only files that can hold a greater one are read."""
        known = [self._newest.get((snapshot.name, column)) for column in columns]
        recent = snapshot.frame
        if None not in known:
            is_recent = [F.col(column) >= F.lit(time) for column, time in zip(columns, known, strict=True)]
            recent = recent.where(reduce(lambda a, b: a | b, is_recent))
        row = recent.agg(*(F.max(column) for column in columns)).first()
        newest = [found or time for found, time in zip(row or known, known, strict=True)]
        self._newest.update(
            {(snapshot.name, column): time for column, time in zip(columns, newest, strict=True) if time}
        )
        return newest

    def heartbeat(self, seconds: int) -> DataFrame:
        """A stream of one empty building_id about every so many seconds."""
        beats = self.spark.readStream.format("rate").option("rowsPerSecond", 1).load()
        return beats.where(F.unix_seconds("timestamp") % seconds == 0).select(
            F.lit(None).cast("string").alias("building_id")
        )

    def append(self, name: str, wanted: Callable[[Snapshot], DataFrame | None]) -> int:
        """Append what `wanted` finds missing in the table; returns how many rows. Meanwhile no other process appends to it: one
        that does is waited for."""
        with self.turn(name):
            existing, appends = self._with_appends(name)
            rows = wanted(existing)
            if rows is None:
                return 0
            columns = [F.col(column).cast(kind) for column, kind in _types(name)]
            kept = rows.select(*columns).persist()
            try:
                count = kept.count()
                if count:
                    writer = kept.write.format("delta").mode("append")
                    writer = writer.option("txnAppId", _appender(name)).option("txnVersion", appends + 1)
                    writer.save(self.path(name))
                return count
            finally:
                kept.unpersist()

    def frame(self, name: str, rows: pd.DataFrame) -> DataFrame:
        """Rows in the columns and types of a table, from pandas; a column that is missing there is null."""
        table = contract(name)
        wanted = rows.reindex(columns=list(table.column_names)).astype(object)
        plain = wanted.mask(wanted.isna(), other=None)
        made = [tuple(map(_as_python, row)) for row in plain.itertuples(index=False)]
        return self.spark.createDataFrame(made, table.schema)

    def replace(self, name: str, rows: DataFrame) -> None:
        """Put `rows` in the place of a table that is no ledger, such as the metadata of buildings; history is kept."""
        columns = [F.col(column).cast(kind) for column, kind in _types(name)]
        with self.turn(name):
            rows.select(*columns).write.format("delta").mode("overwrite").save(self.path(name))

    def append_stream(self, name: str, rows: DataFrame, *, query: str) -> StreamingQuery:
        """Stream `rows` into a table, exactly once: as Delta's own sink does, by query and number of the batch, but in turns with
        others that write the table."""

        def append(batch: DataFrame, number: int) -> None:
            query_id = batch.sparkSession.sparkContext.getLocalProperty("sql.streaming.queryId")
            writer = batch.write.format("delta").mode("append")
            with self.turn(name):
                writer.option("txnAppId", query_id).option("txnVersion", number).save(self.path(name))

        return self.start(rows.writeStream.foreachBatch(append), query=query)

    def append_wanted(
        self,
        name: str,
        *,
        wanted: Callable[[DataFrame, Snapshot], DataFrame | None],
        on: DataFrame,
        query: str,
        seconds: float | None = None,
    ) -> StreamingQuery:
        """For each micro-batch of `on`, append what `wanted(batch, existing)` finds missing."""

        def append(batch: DataFrame, _batch_id: int) -> None:
            self.append(name, lambda existing: wanted(batch, existing))

        return self.start(on.writeStream.foreachBatch(append), query=query, seconds=seconds)

    def start(self, writer: DataStreamWriter, *, query: str, seconds: float | None = None) -> StreamingQuery:
        """Start a streaming query under its name, with its own checkpoint and the trigger of this run, or a rarer one."""
        self.own(f"query-{query}")
        seconds = max(self.settings.batch.trigger_seconds, seconds or 0)
        writer = writer.trigger(availableNow=True) if self.once else writer.trigger(processingTime=f"{seconds} seconds")
        return writer.queryName(query).option("checkpointLocation", f"{self.settings.checkpoints_uri}/{query}").start()

    def own(self, name: str) -> None:
        """Become the one runner of a query, until `close` or the end of this process.

        Raises:
            TableHasAWriter: another process is it.
        """
        self._locks.take(name)

    @contextmanager
    def turn(self, name: str) -> Iterator[None]:
        """Be the one writer of a table for a while. Another's while is waited for: a batch, or a part of a backfill."""
        self._locks.take(name, wait_seconds=TURN_SECONDS)
        try:
            yield
        finally:
            self._locks.release(name)

    def close(self) -> None:
        if "_locks" in vars(self):
            self._locks.close()

    @cached_property
    def _locks(self) -> Locks:
        scheme = urlparse(self.settings.lake_uri).scheme
        commit_store = self.spark.conf.get(f"spark.delta.logStore.{scheme}.impl", "") if scheme else ""
        return locks(self.settings, commit_store=commit_store or "", end=partial(end_process, halt=self._halt))

    @property
    def _jvm(self) -> Any:
        """Spark's Java side: Hadoop and Delta have there what they lack in Python."""
        return self.spark._jvm

    def _halt(self) -> None:
        """End the JVM at once, so that no batch in hand is committed."""
        logging.getLogger("py4j").setLevel(logging.CRITICAL)  # it says that there is no answer
        with suppress(Py4JError, OSError):  # the JVM is gone before it answers
            self._jvm.java.lang.Runtime.getRuntime().halt(FAILED)

    def _missing(self) -> list[Contract]:
        return [table for table in tables() if not DeltaTable.isDeltaTable(self.spark, self.path(table.name))]

    def _with_appends(self, name: str) -> tuple[Snapshot, int]:
        """The newest version, and the number of the last append by what was missing that is in it. That number is what moves
        with appends alone: a compaction makes a version, too."""
        latest = self._latest(name)
        found = latest.transactions().get(_appender(name))
        return self._at(name, int(latest.version())), int(found.get()) if found.isDefined() else -1

    def _at(self, name: str, version: int) -> Snapshot:
        frame = self.spark.read.format("delta").option("versionAsOf", version).load(self.path(name))
        return Snapshot(name, frame, version)

    def _latest(self, name: str) -> Any:
        """Delta's own snapshot of the newest version. Its public way, a query of the history, takes a Spark job each time."""
        none = self._jvm.scala.Option.empty()
        log = self._jvm.org.apache.spark.sql.delta.DeltaLog.forTable(self.spark._jsparkSession, self.path(name))
        return log.update(False, none, none)


def properties_of(table: Contract) -> dict[str, str]:
    """What Delta must hold to: facts are appended only, and files stay for streams that lag and for readers of the past."""
    return {
        "delta.deletedFileRetentionDuration": RETENTION,
        "delta.logRetentionDuration": RETENTION,
        "delta.appendOnly": "true" if table.properties.get("appendOnly", True) else "false",
    }


def _appender(name: str) -> str:
    """Under which the appends to a table by what was missing are counted."""
    return f"wattcast/{name}"


def _types(name: str) -> Iterable[tuple[str, str]]:
    return [(column.name, column.physical_type) for column in contract(name).columns]


def _as_python(value: Any) -> Any:
    """What Spark takes: of a pandas time the datetime."""
    return value.to_pydatetime() if isinstance(value, pd.Timestamp) else value
