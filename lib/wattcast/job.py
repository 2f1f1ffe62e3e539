"""What every Spark job shares: arguments, session, logging, start, supervision, and a graceful stop between two batches."""

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pandas as pd
from prometheus_client import REGISTRY
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException, StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery

from wattcast import times
from wattcast.broker import Broker
from wattcast.contracts import contract
from wattcast.errors import told
from wattcast.lakehouse import Lakehouse, Snapshot
from wattcast.local.embedded.preflight import check_java
from wattcast.locks import LeasesUnavailable, TableHasAWriter
from wattcast.logs import configure_logging as configure_logging  # the jobs take it from here
from wattcast.metrics import CheckIns, QueryMetrics, QueryProgress, serve
from wattcast.session import is_submitted, spark_session
from wattcast.settings import Settings, settings

log = logging.getLogger("wattcast")

POLL_SECONDS = 0.1
STOP_SECONDS = 600

_health = threading.Lock()  # held by the thread of this process that writes `health`


@dataclass(frozen=True)
class Run:
    """What a job works with. `close_at` ends a replay: what would close by then closes now."""

    lake: Lakehouse
    broker: Broker
    settings: Settings
    close_at: datetime | None = None

    @property
    def spark(self) -> SparkSession:
        return self.lake.spark


@dataclass(frozen=True)
class Job:
    """A streaming job: `start` begins its queries; `reconcile` appends what is wanted now without waiting for new rows, and
    ends a run with --once. Returns how many rows that were."""

    name: str
    start: Callable[[Run], list[StreamingQuery]]
    reconcile: Callable[[Run], int] | None = None


class Stop(threading.Event):
    """Set by SIGTERM or Ctrl-C: finish the batch in hand, begin no other."""

    @contextmanager
    def on_signals(self) -> Iterator["Stop"]:
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        for number in before:
            signal.signal(number, lambda *_: self.set())
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@told()
def run(*jobs: Job, argv: Sequence[str] | None = None) -> None:
    """Run the jobs as one Spark application until they end (--once), fail, or are told to stop. Exits 1 on failure."""
    options = _options(jobs, argv)
    configure_logging()
    with (
        Stop().on_signals() as stop,
        opened(options.close_at, once=options.once, name="-".join(job.name for job in jobs)) as it,
    ):
        try:
            if options.once:
                _once(it, jobs, stop)
            else:
                with watched(it, "-".join(job.name for job in jobs)):
                    _continuously(it, jobs, stop)
        except StreamingQueryException as error:
            log.error("%s", _first_lines(error))
            sys.exit(1)


@contextmanager
def watched(run: Run, name: str) -> Iterator[QueryProgress]:
    """Meanwhile the progress of the queries is served to Prometheus and written into `health`, as the settings say."""
    metrics, progress = run.settings.metrics, QueryProgress()
    queries = QueryMetrics(progress)
    run.spark.streams.addListener(progress)
    REGISTRY.register(queries)
    if metrics.port:
        serve(metrics.host, metrics.port, job=name)
    writing = (
        CheckIns(partial(_check_in, run, progress), metrics.check_in_seconds) if metrics.check_in_seconds else None
    )
    if writing:
        writing.start()
    try:
        yield progress
    finally:
        if writing:
            writing.end()
        REGISTRY.unregister(queries)
        run.spark.streams.removeListener(progress)


def _check_in(run: Run, progress: QueryProgress) -> None:
    """A job goes on whether or not this succeeds; what is not written now is written next time."""
    try:
        append_health(run.lake, progress.rows())
    except (PySparkException, Py4JError, TableHasAWriter, LeasesUnavailable, OSError) as error:
        log.warning("The progress of the queries was not written: %s", str(error).splitlines()[0])


def append_health(lake: Lakehouse, rows: pd.DataFrame) -> int:
    """Measurements, each with its `as_of`, into `health`, but for those that are there; returns how many. Threads of one process
    do it in turns."""
    if rows.empty:
        return 0
    known = rows.assign(samples=rows["samples"].astype("Int64"), measured_at=datetime.now(UTC).replace(tzinfo=None))
    key = list(contract("health").key)

    def wanted(existing: Snapshot) -> DataFrame:
        there = existing.frame.where(F.col("as_of") >= F.lit(known["as_of"].min().to_pydatetime())).select(*key)
        return lake.frame("health", known).join(there, on=key, how="left_anti")

    with _health:
        return lake.append("health", wanted)


@contextmanager
def opened(
    close_at: datetime | None = None, *, once: bool = True, name: str = "wattcast", with_broker: bool = True
) -> Iterator[Run]:
    """Session, lake and broker of the settings, closed afterwards."""
    if not is_submitted():
        check_java()
    current = connected(settings()) if with_broker else settings()
    broker = Broker(current.kafka)
    spark = spark_session(current, name=name)
    lake = Lakehouse(spark, current, once=once)
    try:
        lake.create_tables()
        yield Run(lake, broker, current, close_at)
    finally:
        lake.close()
        spark.stop()


def connected(current: Settings) -> Settings:
    """The settings with the address of a broker: theirs, or that of the embedded stack if it is up."""
    if current.kafka.bootstrap_servers:
        return current
    from wattcast.local.embedded.stack import running_broker

    servers = running_broker(current.state)
    if servers is None:
        sys.exit(
            "No Kafka broker is known: start the embedded one with `wattcast up`, or set WATTCAST_KAFKA__BOOTSTRAP_SERVERS."
        )
    return current.with_changes(kafka={"bootstrap_servers": servers})


def instant(text: str) -> datetime:
    """A time of the command line as a naive UTC datetime, as Spark gives them. Raises TimeRefused."""
    return times.instant(text).replace(tzinfo=None)


def _options(jobs: Sequence[Job], argv: Sequence[str] | None) -> argparse.Namespace:
    name, file = ", ".join(job.name for job in jobs), Path(sys.argv[0]).stem
    parser = argparse.ArgumentParser(prog=f"wattcast run {file}", description=f"Wattcast job: {name}")
    parser.add_argument("--once", action="store_true", help="work through what is there, then end")
    parser.add_argument(
        "--close-at",
        type=instant,
        help="with --once: end of a finite replay (ISO 8601); closes what would close by then",
    )
    options = parser.parse_args(argv)
    if options.close_at and not options.once:
        parser.error("--close-at goes with --once")
    return options


def _once(run: Run, jobs: Sequence[Job], stop: Stop) -> None:
    for job in jobs:
        _supervise(job.start(run), stop)
        if job.reconcile and not stop.is_set():
            job.reconcile(run)


def _continuously(run: Run, jobs: Sequence[Job], stop: Stop) -> None:
    queries = [query for job in jobs for query in job.start(run)]
    log.info("running: %s", ", ".join(query.name or "" for query in queries))
    _supervise(queries, stop)


def _supervise(queries: Sequence[StreamingQuery], stop: Stop) -> None:
    """Wait until all end, or one fails (raises its StreamingQueryException), or `stop` is set: then stop them gracefully."""
    while any(query.isActive for query in queries) and not stop.wait(POLL_SECONDS):
        failed = next((query for query in queries if query.exception()), None)
        if failed is not None:
            break
    threads = [threading.Thread(target=_stop_between_batches, args=(query,)) for query in queries if query.isActive]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for query in queries:
        if (error := query.exception()) is not None:
            raise error


def _stop_between_batches(query: StreamingQuery, within_seconds: float = STOP_SECONDS) -> None:
    """Stop a query when its running batch has ended."""
    pause, waited, batch = threading.Event(), 0.0, _batch(query)
    while query.isActive and query.status["isTriggerActive"] and _batch(query) == batch and waited < within_seconds:
        pause.wait(0.01)
        waited += 0.01
    query.stop()


def _batch(query: StreamingQuery) -> int:
    progress = query.lastProgress
    return -1 if progress is None else int(progress["batchId"])


def _first_lines(error: StreamingQueryException) -> str:
    return "\n".join(str(error).splitlines()[:12])
