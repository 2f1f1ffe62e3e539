"""The progress of the streaming queries of this application, batch by batch."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import time
from typing import Any

import pandas as pd
from pyspark.sql.streaming.listener import (
    QueryIdleEvent,
    QueryProgressEvent,
    QueryStartedEvent,
    QueryTerminatedEvent,
    StreamingQueryListener,
)

from wattcast.measurements import combined, measurement_row
from wattcast.runtime.batch_progress import lag_records
from wattcast.times import naive_utc


@dataclass(frozen=True)
class Progress:
    """The newest batch of a query; `lag_records` is None unless it reads from Kafka."""

    batch_seconds: float
    rows_per_second: float
    lag_records: float | None
    at: float  # seconds since 1970 at which the query reported last

    @classmethod
    def of(cls, progress: Mapping[str, Any], at: float) -> "Progress":
        """From Spark's JSON report of a batch."""
        milliseconds = progress.get("durationMs", {}).get("triggerExecution", 0)
        rate, lag = progress.get("processedRowsPerSecond"), lag_records(progress.get("sources", []))
        return cls(milliseconds / 1000, float(rate or 0.0), None if lag is None else float(lag), at)


class QueryProgress(StreamingQueryListener):
    """The newest progress of each query of this application, by name. Spark calls the listener between batches, in its own
    thread, so a method neither takes time nor fails."""

    def __init__(self) -> None:
        self._progress: dict[str, Progress] = {}
        self._names: dict[str, str] = {}  # by run id

    def onQueryStarted(self, event: QueryStartedEvent) -> None:
        self._names[str(event.runId)] = event.name or str(event.id)

    def onQueryProgress(self, event: QueryProgressEvent) -> None:
        progress = json.loads(event.progress.json)
        self._progress[progress.get("name") or progress["id"]] = Progress.of(progress, time())

    def onQueryIdle(self, event: QueryIdleEvent) -> None:
        name = self._names.get(str(event.runId), "")
        last = self._progress.get(name)
        if last is not None:
            self._progress[name] = replace(last, at=time())

    def onQueryTerminated(self, event: QueryTerminatedEvent) -> None:
        name = self._names.pop(str(event.runId), "")
        self._progress.pop(name, None)

    @property
    def newest(self) -> dict[str, Progress]:
        return dict(self._progress)

    def rows(self) -> pd.DataFrame:
        """The newest progress as measurements of the scope query; `as_of` is when the query reported."""
        queries = [_measurements(name, progress) for name, progress in self.newest.items()]
        return pd.concat(queries, ignore_index=True) if queries else pd.DataFrame()


def _measurements(query: str, progress: Progress) -> pd.DataFrame:
    rows = [
        measurement_row("batch_seconds", "query", query, progress.batch_seconds),
        measurement_row("rows_per_second", "query", query, progress.rows_per_second),
    ]
    if progress.lag_records is not None:
        rows.append(measurement_row("stream_lag_records", "query", query, progress.lag_records))
    return combined(rows).assign(as_of=naive_utc(datetime.fromtimestamp(progress.at, UTC)))
