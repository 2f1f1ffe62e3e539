"""The table `health`: appends of measurements, and the progress of the queries of a job while it runs."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pandas as pd
from prometheus_client import REGISTRY
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from wattcast.contracts import contract
from wattcast.lake.locks import LeasesUnavailable, TableHasAWriter
from wattcast.lake.tables import LakeTables, Snapshot
from wattcast.runtime.context import Run
from wattcast.runtime.exporter import QueryMetrics, serve_metrics
from wattcast.runtime.outage import Outage
from wattcast.runtime.progress import QueryProgress
from wattcast.times import now_utc

log = logging.getLogger("wattcast.runtime.health")


def append_health(lake: LakeTables, rows: pd.DataFrame) -> int:
    """Append the measurements, each with its `as_of`, that `health` does not hold yet; returns how many."""
    if rows.empty:
        return 0
    measurements = rows.assign(samples=rows["samples"].astype("Int64"), measured_at=now_utc())
    key = list(contract("health").key)

    def pending(existing: Snapshot) -> DataFrame:
        earliest = measurements["as_of"].min().to_pydatetime()
        existing_keys = existing.frame.where(F.col("as_of") >= F.lit(earliest)).select(*key)
        return lake.frame("health", measurements).join(existing_keys, on=key, how="left_anti")

    return lake.append("health", pending)


class HeartbeatWriter(threading.Thread):
    """Calls `write` every `seconds` in a thread of its own, so that it never delays the job."""

    def __init__(self, write: Callable[[], None], seconds: int) -> None:
        super().__init__(daemon=True, name="heartbeats")
        self._write, self._seconds, self._stopped = write, seconds, threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(self._seconds):
            self._write()

    def stop(self, within_seconds: float = 60) -> None:
        self._stopped.set()
        self.join(within_seconds)


@contextmanager
def progress_reports(run: Run, name: str, outage: Outage) -> Iterator[QueryProgress]:
    """Serve the progress of the queries to Prometheus and write it into `health` inside the block, as the settings say."""
    metrics, progress = run.settings.metrics, QueryProgress()
    query_metrics = QueryMetrics(progress, outage)
    run.spark.streams.addListener(progress)
    REGISTRY.register(query_metrics)
    if metrics.port:
        serve_metrics(metrics.host, metrics.port, job=name)
    seconds = metrics.check_in_seconds
    heartbeats = HeartbeatWriter(partial(_write_progress, run, progress), seconds) if seconds else None
    if heartbeats:
        heartbeats.start()
    try:
        yield progress
    finally:
        if heartbeats:
            heartbeats.stop()
        REGISTRY.unregister(query_metrics)
        run.spark.streams.removeListener(progress)


def _write_progress(run: Run, progress: QueryProgress) -> None:
    """Append the progress. A failure is a warning: the job goes on, and the next heartbeat writes the newest progress."""
    try:
        append_health(run.lake, progress.rows())
    except (PySparkException, Py4JError, TableHasAWriter, LeasesUnavailable, OSError) as error:
        log.warning("The progress of the queries was not written: %s", str(error).splitlines()[0])
