"""Runs streaming jobs through an outage of the Kafka broker, for which the jobs that need it wait while the others go on, and
through changes of the columns of the tables that they read."""

import logging
from collections.abc import Callable, Sequence
from time import monotonic

from kafka.errors import KafkaError
from pyspark.sql.streaming.query import StreamingQuery

from wattcast.broker import Broker, BrokerUnreachable
from wattcast.causes import known_cause
from wattcast.runtime.changed_tables import ChangedTables
from wattcast.runtime.supervision import POLL_SECONDS, Stop, failed_query, raise_failure, stop_queries

log = logging.getLogger("wattcast")

PROBE_SECONDS = 5.0
REPORT_SECONDS = 60.0
SETTLED_SECONDS = 300.0  # a failure sooner after a restart belongs to the same outage


class Outage:
    """Whether the broker is away, and for how long it has been."""

    def __init__(self, broker: Broker, *, clock: Callable[[], float] = monotonic) -> None:
        self._broker, self._clock = broker, clock
        self._max_seconds = broker.kafka.outage_minutes * 60
        self._since: float | None = None
        self._ended = self._probed = self._reported = float("-inf")
        self._is_open = False

    @property
    def seconds(self) -> float:
        """How long this process has been waiting for the broker; 0 when it does not."""
        return self._clock() - self._since if self._is_open and self._since is not None else 0.0

    @property
    def is_bearable(self) -> bool:
        """Whether the process still waits."""
        return self.seconds < self._max_seconds

    def begin(self, query: str) -> None:
        """A query has failed because the broker does not answer."""
        now = self._clock()
        if not self._is_open:
            if self._since is None or now - self._ended > SETTLED_SECONDS:
                self._since = now
            self._is_open, self._probed, self._reported = True, now, now
        log.warning(
            "The Kafka broker at %s does not answer: the query %s waits for it, at most %g minutes (kafka.outage_minutes).",
            self._broker.kafka.bootstrap_servers, query, self._max_seconds / 60,
        )  # fmt: skip

    def has_ended(self) -> bool:
        """Whether the broker answers again; it is asked every few seconds, and a longer outage is logged every minute."""
        now = self._clock()
        if now - self._reported >= REPORT_SECONDS:
            self._reported = now
            log.warning("The Kafka broker has not answered for %d min.", self.seconds // 60)
        if now - self._probed < PROBE_SECONDS:
            return False
        is_reachable = self._broker.is_reachable()
        self._probed = self._clock()
        return is_reachable

    def end(self) -> None:
        """The waiting queries have started again."""
        log.info("The Kafka broker answers again after %d seconds.", self.seconds)
        self._is_open, self._ended = False, self._clock()


def run_through_outages(
    starts: Sequence[Callable[[], list[StreamingQuery]]],
    outage: Outage,
    stop: Stop,
    running: Callable[[list[str]], None],
) -> None:
    """Start queries and run them until all end, one fails or `stop` is set. Queries whose broker does not answer are started
    again by the function that started them, which continues from their checkpoints, when it does; queries that read a table whose
    columns have changed are started again at once.

    Raises:
        QueryFailed: a query failed for another reason, or the outage takes too long.
    """
    groups = [start() for start in starts]
    running([query.name or "" for group in groups for query in group])
    waiting: set[int] = set()
    changed_tables = ChangedTables()
    while not stop.wait(POLL_SECONDS):
        is_running = _any_active(groups)
        for number, group in enumerate(groups):
            failed = failed_query(group)
            if failed is None or number in waiting:
                continue
            if _is_of_broker(failed) and outage.is_bearable:
                waiting.add(number)
                outage.begin(failed.name or "")
            elif changed_tables.can_continue(failed):
                groups[number] = _started_again(group, starts[number])
        if _has_failed(groups, waiting, outage) or not (is_running or waiting or _any_active(groups)):
            break
        if waiting and outage.has_ended() and _restarted(groups, starts, waiting):
            outage.end()
    stop_queries([query for group in groups for query in group])
    raise_failure(
        [query for number, group in enumerate(groups) if not (stop.is_set() and number in waiting) for query in group]
    )


def _any_active(groups: Sequence[Sequence[StreamingQuery]]) -> bool:
    return any(query.isActive for group in groups for query in group)


def _is_of_broker(query: StreamingQuery) -> bool:
    error = query.exception()
    cause = known_cause(error) if error is not None else None
    return cause is not None and cause.is_of_broker


def _has_failed(groups: Sequence[Sequence[StreamingQuery]], waiting: set[int], outage: Outage) -> bool:
    """Whether a query failed that does not wait, or the wait is over."""
    others = [query for number, group in enumerate(groups) if number not in waiting for query in group]
    return failed_query(others) is not None or (bool(waiting) and not outage.is_bearable)


def _started_again(group: Sequence[StreamingQuery], start: Callable[[], list[StreamingQuery]]) -> list[StreamingQuery]:
    stop_queries(group)
    return start()


def _restarted(
    groups: list[list[StreamingQuery]], starts: Sequence[Callable[[], list[StreamingQuery]]], waiting: set[int]
) -> bool:
    """Whether all waiting queries have started again; if the broker is away once more, the others still wait."""
    for number in sorted(waiting):
        try:
            groups[number] = _started_again(groups[number], starts[number])
        except (BrokerUnreachable, KafkaError):
            return False
        waiting.discard(number)
    return True
