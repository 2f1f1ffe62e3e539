"""Runs streaming queries until they end, one fails or a signal arrives, and stops them between two batches."""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from pyspark.sql.streaming.query import StreamingQuery

from wattcast.causes import explanation
from wattcast.errors import FAILED

POLL_SECONDS = 0.1
BATCH_POLL_SECONDS = 0.01
STOP_SECONDS = 600


class QueryFailed(Exception):
    """A streaming query has failed; `__cause__` is its error."""

    exit_status = FAILED

    def __init__(self, query: str, error: Exception) -> None:
        super().__init__(f"The query {query} has failed: {explanation(error)}.")


class Stop(threading.Event):
    """Set by SIGTERM or Ctrl-C: the running batches finish and no other starts."""

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


def supervise(
    queries: Sequence[StreamingQuery], stop: Stop, watch: Callable[[Sequence[StreamingQuery]], None] = lambda _: None
) -> None:
    """Wait until all queries end, one fails or `stop` is set; then stop the others between two batches. `watch` is called while
    they run.

    Raises:
        QueryFailed: a query has failed.
    """
    while any(query.isActive for query in queries) and not stop.wait(POLL_SECONDS):
        if failed_query(queries):
            break
        watch(queries)
    stop_queries(queries)
    raise_failure(queries)


def failed_query(queries: Sequence[StreamingQuery]) -> StreamingQuery | None:
    """The first query that has failed, if any."""
    return next((query for query in queries if query.exception() is not None), None)


def raise_failure(queries: Sequence[StreamingQuery]) -> None:
    """Raise QueryFailed if a query has failed."""
    if (query := failed_query(queries)) is not None and (error := query.exception()) is not None:
        raise QueryFailed(query.name or "without a name", error) from error


def stop_queries(queries: Sequence[StreamingQuery]) -> None:
    """Stop the queries that run, all at once, each between two batches."""
    threads = [threading.Thread(target=_stop_between_batches, args=(query,)) for query in queries if query.isActive]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _stop_between_batches(query: StreamingQuery, within_seconds: float = STOP_SECONDS) -> None:
    """Stop a query when its running batch has ended, or after `within_seconds`."""
    pause, waited, batch = threading.Event(), 0.0, _batch_number(query)
    while _is_in_batch(query, batch) and waited < within_seconds:
        pause.wait(BATCH_POLL_SECONDS)
        waited += BATCH_POLL_SECONDS
    query.stop()


def _is_in_batch(query: StreamingQuery, number: int) -> bool:
    return query.isActive and bool(query.status["isTriggerActive"]) and _batch_number(query) == number


def _batch_number(query: StreamingQuery) -> int:
    progress = query.lastProgress
    return -1 if progress is None else int(progress["batchId"])
