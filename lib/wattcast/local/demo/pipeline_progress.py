"""Progress bars of the demo: what the queries have processed, and the forecasts that a Kafka consumer receives."""

import json
import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from pyspark.sql.streaming.query import StreamingQuery
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from wattcast.runtime.context import Run

SENT, CONSUMED = "sent", "consumed"
COUNTED_QUERIES = {"ingest": "records received", "aggregate": "readings aggregated", "forecast": "hours forecast from"}
TITLES = {SENT: "readings sent (%)", **COUNTED_QUERIES, CONSUMED: "forecasts consumed from Kafka"}


class PipelineProgress:
    """Shows the bars inside its `with` block. `consumed` are the forecast messages, `first_forecast_seconds` the time from
    `started_at` (monotonic) to the first one."""

    def __init__(self, run: Run, queries: Sequence[StreamingQuery], console: Console, started_at: float) -> None:
        self._run, self._queries, self._started_at = run, queries, started_at
        self._rows: Counter[str] = Counter()  # by query
        self._batches: dict[str, int] = {}
        self._consumer = run.broker.consumer(run.settings.kafka.forecasts_topic)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console)
        self._tasks = {
            key: self._progress.add_task(f"{title:<30}", total=100 if key == SENT else None)
            for key, title in TITLES.items()
        }
        self.consumed: list[dict[str, Any]] = []
        self.first_forecast_seconds: float | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
        self._consumer.close()

    def update(self, share_sent: float, *, sent: int | None = None) -> None:
        """Consume new forecasts and redraw the bars; `sent` is the total of a replay that is done. Raises the error of a failed
        query."""
        self._consume()
        for query in self._queries:
            self._count_rows(query)
        self._progress.update(self._tasks[SENT], completed=round(100 * share_sent))
        for name in COUNTED_QUERIES:
            total = sent if name == "ingest" else None
            self._progress.update(self._tasks[name], completed=self._rows[name], total=total)
        self._progress.update(self._tasks[CONSUMED], completed=len(self.consumed))

    def wait_until_idle(self, queries: Sequence[StreamingQuery]) -> None:
        """Wait until these queries have processed all rows that are there."""
        for query in queries:
            query.processAllAvailable()
        self.update(1.0)

    def wait_until_consumed(self) -> None:
        """Wait until the consumer is at the end of the topic."""
        ends = self._run.broker.offsets(self._run.settings.kafka.forecasts_topic)
        while any(self._consumer.position(part) < ends[part.partition][1] for part in self._consumer.assignment()):
            self.update(1.0)

    def _consume(self) -> None:
        for messages in self._consumer.poll(timeout_ms=300).values():
            self.consumed += [json.loads(message.value) for message in messages]
        if self.consumed and self.first_forecast_seconds is None:
            self.first_forecast_seconds = time.monotonic() - self._started_at
            text = f"First forecast consumed from Kafka after {self.first_forecast_seconds:.0f} s."
            self._progress.console.print(text)

    def _count_rows(self, query: StreamingQuery) -> None:
        if (error := query.exception()) is not None:
            raise error
        progress, name = query.lastProgress, query.name or ""
        if progress is not None and self._batches.get(name) != progress["batchId"]:
            self._batches[name] = progress["batchId"]
            self._rows[name] += progress["numInputRows"]
