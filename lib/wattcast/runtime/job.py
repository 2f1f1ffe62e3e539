"""A streaming job, and the Spark application that runs one or several of them."""

import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from kafka.errors import KafkaError
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql.streaming.query import StreamingQuery

from wattcast.broker import Broker, BrokerUnreachable
from wattcast.causes import explanation
from wattcast.errors import FAILED, exit_on_user_error, sentence
from wattcast.lake.checkpoints import CheckpointUnusable
from wattcast.lake.delta_log import TableDamaged
from wattcast.logs import configure_logging, log_failure
from wattcast.progress import Ticker
from wattcast.runtime.context import Run, opened
from wattcast.runtime.health import progress_reports
from wattcast.runtime.once_report import OnceReport
from wattcast.runtime.options import streaming_options
from wattcast.runtime.outage import Outage, run_through_outages
from wattcast.runtime.supervision import QueryFailed, Stop, supervise

log = logging.getLogger("wattcast")


@dataclass(frozen=True)
class Job:
    """A streaming job. `start` starts its queries. `reconcile` appends what is pending without waiting for new rows and returns
    how many rows; it ends a run with --once."""

    name: str
    start: Callable[[Run], list[StreamingQuery]]
    reconcile: Callable[[Run], int] | None = None


@exit_on_user_error()
def run(*jobs: Job, name: str, argv: Sequence[str] | None = None) -> None:
    """Run the jobs as one Spark application until they end (--once), one fails or a signal arrives. Exits 1 on failure."""
    options = streaming_options(name, [job.name for job in jobs], argv)
    configure_logging()
    application = "-".join(job.name for job in jobs)
    with (
        Stop().on_signals() as stop,
        opened(options.close_at, once=options.once, name=application) as current,
    ):
        try:
            if options.once:
                _run_once(current, jobs, stop, name)
            else:
                _run_continuously(current, jobs, stop, application)
        except (QueryFailed, CheckpointUnusable, TableDamaged) as error:
            log_failure(str(error), error)
            sys.exit(FAILED)
        except (PySparkException, Py4JError) as error:
            log_failure(sentence(explanation(error)), error)
            sys.exit(FAILED)


def _run_once(run: Run, jobs: Sequence[Job], stop: Stop, name: str) -> None:
    """Job by job, since a job reads what the one before it has appended."""
    report = OnceReport(name, run.lake.appended, partial(_offsets, run.broker))
    with Ticker(report.tick):
        for job in jobs:
            report.begin(job.name)
            queries = job.start(run)
            supervise(queries, stop, report.watch)
            report.look(queries)
            if stop.is_set():
                break
            if job.reconcile:
                job.reconcile(run)
    report.end(is_stopped=stop.is_set())


def _offsets(broker: Broker, topic: str) -> dict[int, tuple[int, int]]:
    """The broker's first and next offset of each partition, for a report; empty if it does not answer, which ends no job."""
    try:
        return broker.offsets(topic)
    except (KafkaError, BrokerUnreachable) as error:
        log.warning("The number of records may be too high: the broker did not say where %s begins: %s", topic, error)
        return {}


def _run_continuously(run: Run, jobs: Sequence[Job], stop: Stop, application: str) -> None:
    outage = Outage(run.broker)
    with progress_reports(run, application, outage):
        run_through_outages([partial(job.start, run) for job in jobs], outage, stop, _log_running)


def _log_running(queries: Sequence[str]) -> None:
    log.info("running: %s", ", ".join(queries))
