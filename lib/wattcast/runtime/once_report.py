"""What a run with --once logs: its batches, what is left, that it still works, and the result with the next command."""

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from pyspark.sql.streaming.query import StreamingQuery

from wattcast.progress import REPORT_SECONDS, duration
from wattcast.runtime.batch_progress import BatchProgress, Starts

log = logging.getLogger("wattcast.progress")

POLL_SECONDS = 1.0
NEXT = {
    "ingest": "wattcast run aggregate --once",
    "aggregate": "wattcast run forecast --once",
    "forecast": "wattcast run publish --once",
    "publish": "wattcast run score --once",
    "score": 'wattcast sql "SELECT * FROM accuracy_by_model"',
    "pipeline": 'wattcast sql "SELECT building_id, target_hour, p50_kwh, method FROM forecast_hours" --rows 5',
    "monitor": 'wattcast sql "SELECT rule, subject, message FROM open_alerts"',
}


class OnceReport:
    """The progress of a run. `appended` counts the rows that its jobs append, by table, and grows while they work."""

    def __init__(
        self, name: str, appended: Mapping[str, int], starts: Starts, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._name, self._appended, self._starts, self._clock = name, appended, starts, clock
        self._began = self._step_began = self._polled = self._logged = clock()
        self._step, self._batches = name, dict[str, int]()
        self._records, self._messages = Counter[str](), 0
        self._appended_before = Counter[str]()  # when the step began

    def begin(self, step: str) -> None:
        """A job of the run starts."""
        self._step, self._step_began, self._appended_before = step, self._clock(), Counter(self._appended)
        self._log("%s: started", step)

    def watch(self, queries: Sequence[StreamingQuery]) -> None:
        """Log the batches that have ended since the last call; it looks once a second."""
        if self._clock() - self._polled >= POLL_SECONDS:
            self.look(queries)

    def look(self, queries: Sequence[StreamingQuery]) -> None:
        """Log the batches that have ended since the last look."""
        self._polled = self._clock()
        for query in queries:
            last = query.lastProgress
            if last is None or int(last["batchId"]) == self._batches.get(query.name or ""):
                continue
            for progress in query.recentProgress:
                self.report(json.loads(progress.json))

    def report(self, progress: Mapping[str, object]) -> None:
        """Log a batch by Spark's report of it, once; a batch that read and sent nothing is not logged."""
        name, number = str(progress.get("name") or progress["id"]), int(str(progress["batchId"]))
        if number <= self._batches.get(name, -1) or not progress.get("numInputRows"):
            return
        self._batches[name] = number
        batch = BatchProgress.of(progress, self._starts)
        self._records[name] += batch.records or 0
        self._messages += batch.messages
        self._log("%s: batch %d in %s%s", name, number, duration(batch.seconds), self._details(batch))

    def tick(self) -> None:
        """Log that the job still works, if nothing else was logged for a while."""
        if self._clock() - self._logged >= REPORT_SECONDS - POLL_SECONDS:
            since = self._clock() - self._step_began
            self._log("%s: has worked for %s%s", self._step, duration(since), self._rows())

    def end(self, *, is_stopped: bool) -> None:
        """Log the result and the next command."""
        counts = [
            *([f"{sum(self._records.values()):,} records received"] if sum(self._records.values()) else []),
            *(f"{count:,} rows added to {table}" for table, count in self._appended.items() if count),
            *([f"{self._messages:,} messages sent"] if self._messages else []),
        ]
        how = "was stopped" if is_stopped else "ended"
        result = ", ".join(counts) or "nothing was pending"
        command = f"wattcast run {self._name} --once" if is_stopped else NEXT.get(self._name, "wattcast status")
        self._log(
            "%s %s after %s: %s. Next: %s", self._name, how, duration(self._clock() - self._began), result, command
        )

    def _details(self, batch: BatchProgress) -> str:
        if batch.records is None:
            return f", {batch.messages:,} messages sent" if batch.messages else self._rows()
        text, read = f", {batch.records:,} records", self._records[batch.query]
        if not batch.records_left:
            return text
        seconds = (self._clock() - self._step_began) * batch.records_left / read if read else 0
        return f"{text}; {batch.records_left:,} left, about {duration(seconds)}"

    def _rows(self) -> str:
        """The rows that this step has added so far."""
        added = Counter(self._appended) - self._appended_before
        rows = ", ".join(f"{count:,} to {table}" for table, count in added.items())
        return f"; rows added: {rows}" if rows else ""

    def _log(self, text: str, *values: object) -> None:
        self._logged = self._clock()
        log.info(text, *values)
