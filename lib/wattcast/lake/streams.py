"""Streaming queries over the tables of a lake: their sources, their appends and how they start."""

import logging
from collections.abc import Callable, Sequence

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery
from pyspark.sql.streaming.readwriter import DataStreamWriter

from wattcast.causes import explanation, known_cause
from wattcast.lake.checkpoints import (
    CheckpointUnusable,
    Continuation,
    check_not_ahead,
    checkpoint,
    continuation,
    newest_batch,
)
from wattcast.lake.offsets import PARTITION, received_ranges
from wattcast.lake.storage import SparkStorage
from wattcast.lake.tables import LakeTables, Snapshot

log = logging.getLogger("wattcast.lake")


class LakeStreams:
    """Starts streaming queries over `tables`. With `once` a query processes the data that is there, then ends."""

    def __init__(self, tables: LakeTables, *, once: bool = False) -> None:
        self.once = once
        self._tables, self._spark, self._settings = tables, tables.spark, tables.settings

    def read_stream(self, name: str) -> DataFrame:
        """New rows of a table as they are committed; the settings limit how many a batch reads. Commits that delete or change
        rows, as retention and erasure do, have no new rows and are skipped."""
        batch = self._settings.batch
        reader = self._spark.readStream.format("delta").option("skipChangeCommits", "true")
        reader = reader.option("maxFilesPerTrigger", batch.max_files_per_batch)
        reader = reader.option("maxBytesPerTrigger", f"{batch.max_megabytes_per_batch}m")
        return reader.load(self._tables.path(name))

    def heartbeat(self, seconds: int) -> DataFrame:
        """A stream of one row with an empty building_id about every `seconds`."""
        beats = self._spark.readStream.format("rate").option("rowsPerSecond", 1).load()
        is_due = F.unix_seconds("timestamp") % seconds == 0
        return beats.where(is_due).select(F.lit(None).cast("string").alias("building_id"))

    def received_offsets(self, name: str, *, topic: str, query: str) -> dict[int, int]:
        """The last received offset of each partition of a topic, from the table `name`, for a query that has lost its checkpoint.
        Empty while the checkpoint has offsets, because the query continues from them."""
        if newest_batch(self._storage(query), "offsets") >= 0:
            return {}
        return {
            row.kafka_partition: row.last
            for row in self._last_offsets(name).where(F.col("kafka_topic") == topic).collect()
        }

    def append_stream(
        self,
        name: str,
        rows: DataFrame,
        *,
        query: str,
        rows_of_batch: Callable[[DataFrame], DataFrame] | None = None,
    ) -> StreamingQuery:
        """Stream `rows` of Kafka records, or what `rows_of_batch` computes of each batch of them, into a table exactly once: each
        batch is a Delta transaction numbered by query and batch, as in Delta's own sink, and takes the write lock of the table.
        Where the table is ahead of the checkpoint, records whose offsets it has already are left out.

        Raises:
            CheckpointUnusable: the checkpoint is damaged, or ahead of the table.
            TableDamaged: one of the newest commits of the table is damaged.
        """
        self._tables.locks.query_lock(query)
        self._tables.check_writable(name)
        ahead = self._continuation(name, query)
        received = self._last_offsets(name).collect() if ahead.may_repeat else []

        def append(batch: DataFrame, number: int) -> None:
            query_id = batch.sparkSession.sparkContext.getLocalProperty("sql.streaming.queryId")
            computed = rows_of_batch(batch) if rows_of_batch else batch
            writer = _unreceived(computed, received).write.format("delta").mode("append")
            with self._tables.locks.write_lock(name):
                writer = writer.option("txnAppId", query_id).option("txnVersion", number + ahead.added)
                writer.save(self._tables.path(name))

        return self.start(rows.writeStream.foreachBatch(append), query=query)

    def append_pending(
        self,
        name: str,
        *,
        pending: Callable[[DataFrame, Snapshot], DataFrame | None],
        trigger: DataFrame,
        query: str,
        seconds: float | None = None,
    ) -> StreamingQuery:
        """For each micro-batch of the stream `trigger`, append the rows that `pending(batch, existing)` computes."""

        def append(batch: DataFrame, _number: int) -> None:
            self._tables.append(name, lambda existing: pending(batch, existing))

        return self.start(trigger.writeStream.foreachBatch(append), query=query, seconds=seconds)

    def start(self, writer: DataStreamWriter, *, query: str, seconds: float | None = None) -> StreamingQuery:
        """Start a streaming query under its name, with a checkpoint of that name. The trigger is that of the settings, or
        `seconds` if that is longer.

        Raises:
            TableHasAWriter: another process runs this query.
            CheckpointUnusable: its checkpoint is damaged or cannot be written.
        """
        self._tables.locks.query_lock(query)
        seconds = max(self._settings.batch.trigger_seconds, seconds or 0)
        writer = writer.trigger(availableNow=True) if self.once else writer.trigger(processingTime=f"{seconds} seconds")
        try:
            return writer.queryName(query).option("checkpointLocation", self._checkpoint(query)).start()
        except (Py4JError, PySparkException) as error:
            if known_cause(error) is None:
                raise
            raise CheckpointUnusable(
                f"The query {query} cannot start from {self._checkpoint(query)}: {explanation(error)}."
            ) from error

    def _continuation(self, name: str, query: str) -> Continuation:
        """How a query goes on after what its checkpoint and the table `name` have of it."""
        state = checkpoint(self._storage(query))
        written = self._tables.last_transaction(name, state.query_id)
        check_not_ahead(state, written, place=self._checkpoint(query), table=name)
        if written > state.finished + 1:
            log.warning(
                "The checkpoint of %s ends with batch %d, but %s has batch %d of it: it is an older copy or incomplete. Records "
                "that the table has already are left out.",
                query, state.finished, name, written,
            )  # fmt: skip
        return continuation(state, written)

    def _last_offsets(self, name: str) -> DataFrame:
        """The last received offset (`last`) of each partition of a table of Kafka records, also where its row was erased."""
        ranges = received_ranges(self._tables.table(name), self._tables.table("erasures"))
        return ranges.groupBy(*PARTITION).agg(F.max("last_offset").alias("last"))

    def _storage(self, query: str) -> SparkStorage:
        return SparkStorage(self._spark, self._checkpoint(query))

    def _checkpoint(self, query: str) -> str:
        return f"{self._settings.checkpoints_uri}/{query}"


def _unreceived(batch: DataFrame, received: Sequence[Row]) -> DataFrame:
    """The rows of a batch behind the last received offset of their partition, which `received` contains."""
    if not received:
        return batch
    last = batch.sparkSession.createDataFrame(received)
    is_new = F.col("last").isNull() | (F.col("kafka_offset") > F.col("last"))
    return batch.join(F.broadcast(last), on=PARTITION, how="left").where(is_new).select(*batch.columns)
