"""What a job runs with: the session, the lake, its streams, the broker and the settings, opened and closed together."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import SparkSession

from wattcast.broker import Broker
from wattcast.embedded.preflight import check_java
from wattcast.lake.lock_choice import lake_locks
from wattcast.lake.migration import prepare_tables
from wattcast.lake.streams import LakeStreams
from wattcast.lake.tables import LakeTables
from wattcast.runtime.connection import connected
from wattcast.runtime.session import is_submitted, spark_session
from wattcast.settings import Settings, settings


@dataclass(frozen=True)
class Run:
    """What a job runs with. `close_at` ends a replay: when all batches are done, hours that would close by that time
    close."""

    lake: LakeTables
    streams: LakeStreams
    broker: Broker
    settings: Settings
    close_at: datetime | None = None

    @property
    def spark(self) -> SparkSession:
        return self.lake.spark

    def close(self) -> None:
        """Release the locks of the lake; the session stays."""
        self.lake.locks.close()


def build_run(spark: SparkSession, settings: Settings, *, once: bool = False, close_at: datetime | None = None) -> Run:
    """A run over an open session, with locks of its own. With `once` its queries process the data that is there, then end."""
    lake = LakeTables(spark, settings, lake_locks(spark, settings))
    return Run(lake, LakeStreams(lake, once=once), Broker(settings.kafka), settings, close_at)


@contextmanager
def opened(
    close_at: datetime | None = None,
    *,
    once: bool = True,
    name: str = "wattcast",
    with_broker: bool = True,
    prepare: Callable[[LakeTables], None] = prepare_tables,
) -> Iterator[Run]:
    """A run with a session of its own and its tables prepared for writing, or as `prepare` does; both are closed afterwards.

    Raises:
        TableNeedsMigration: a table does not fit its contract.
    """
    if not is_submitted():
        check_java()
    current = connected(settings()) if with_broker else settings()
    spark = spark_session(current, name=name)
    run = build_run(spark, current, once=once, close_at=close_at)
    try:
        prepare(run.lake)
        yield run
    finally:
        run.close()
        spark.stop()
