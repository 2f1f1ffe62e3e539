"""Figures of a job while it runs: the progress of its streaming queries, for Prometheus and for the table `health`."""

import json
import logging
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from time import time
from typing import Any, cast

import pandas as pd
from prometheus_client import REGISTRY, CollectorRegistry, Gauge, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from pyspark.sql.streaming.listener import (
    QueryIdleEvent,
    QueryProgressEvent,
    QueryStartedEvent,
    QueryTerminatedEvent,
    StreamingQueryListener,
)

from wattcast.measures import one_row, together

log = logging.getLogger("wattcast.metrics")

PORTS_TRIED = 20
MOST_SERIES = 50_000  # of `health`; beyond it buildings and devices are left out
PER_THING = ("building", "device")


@dataclass(frozen=True)
class Progress:
    """Of the newest batch of a query; `lag_records` only where it reads from Kafka."""

    batch_seconds: float
    rows_per_second: float
    lag_records: float | None
    at: float  # seconds since 1970 at which the query was heard of last

    @classmethod
    def of(cls, progress: Mapping[str, Any], at: float) -> "Progress":
        """From Spark's own account of a batch, as JSON."""
        milliseconds = progress.get("durationMs", {}).get("triggerExecution", 0)
        rate = progress.get("processedRowsPerSecond")
        return cls(milliseconds / 1000, float(rate or 0.0), _lag(progress.get("sources", [])), at)


class QueryProgress(StreamingQueryListener):
    """Remembers the newest progress of each query of this application. Spark calls it between batches, in a thread of its own: it
    does nothing that takes time or can fail."""

    def __init__(self) -> None:
        self._of: dict[str, Progress] = {}
        self._names: dict[str, str] = {}  # by run

    def onQueryStarted(self, event: QueryStartedEvent) -> None:
        self._names[str(event.runId)] = event.name or str(event.id)

    def onQueryProgress(self, event: QueryProgressEvent) -> None:
        progress = json.loads(event.progress.json)
        self._of[progress.get("name") or progress["id"]] = Progress.of(progress, time())

    def onQueryIdle(self, event: QueryIdleEvent) -> None:
        name = self._names.get(str(event.runId), "")
        last = self._of.get(name)
        if last is not None:
            self._of[name] = Progress(last.batch_seconds, last.rows_per_second, last.lag_records, time())

    def onQueryTerminated(self, event: QueryTerminatedEvent) -> None:
        name = self._names.pop(str(event.runId), "")
        self._of.pop(name, None)

    @property
    def newest(self) -> dict[str, Progress]:
        return dict(self._of)

    def rows(self) -> pd.DataFrame:
        """As measurements of the scope query, as_of when each was heard of."""
        parts = []
        for name, each in self.newest.items():
            found = [
                one_row("batch_seconds", "query", name, each.batch_seconds),
                one_row("rows_per_second", "query", name, each.rows_per_second),
            ]
            if each.lag_records is not None:
                found.append(one_row("stream_lag_records", "query", name, each.lag_records))
            parts.append(together(found).assign(as_of=naive(each.at)))
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


class QueryMetrics(Collector):
    """The newest progress of each query, as Prometheus asks for it."""

    def __init__(self, progress: QueryProgress) -> None:
        self._progress = progress

    def collect(self) -> Iterator[GaugeMetricFamily]:
        about = {
            "batch_seconds": "Time that the newest batch of a query took",
            "rows_per_second": "Rows a second of the newest batch of a query",
            "lag_records": "Records of the topic that a query has not taken yet",
            "at": "When a query was heard of last, in seconds since 1970",
        }
        newest = self._progress.newest
        for name, said in about.items():
            metric = "wattcast_query_seen_timestamp_seconds" if name == "at" else f"wattcast_query_{name}"
            family = GaugeMetricFamily(metric, said, labels=["query"])
            for query, each in newest.items():
                if (value := getattr(each, name)) is not None:
                    family.add_metric([query], value)
            yield family


class HealthMetrics(Collector):
    """The newest measurements and open alerts of the monitor, as Prometheus asks for them; none before the first evaluation."""

    def __init__(self) -> None:
        self._values, self._firing, self._at = together([]), 0, 0.0

    def put(self, values: pd.DataFrame, firing: int) -> None:
        """What was measured now, in place of what was known."""
        if len(values) > MOST_SERIES:
            values = values[~values["scope"].isin(PER_THING)]
        self._values, self._firing, self._at = values, firing, time()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        labels = ["measure", "scope", "subject"]
        value = GaugeMetricFamily("wattcast_health", "Newest value of a measure of the table health", labels=labels)
        samples = GaugeMetricFamily("wattcast_health_samples", "How much it was made from", labels=labels)
        for row in self._values.itertuples():
            names = [str(row.measure), str(row.scope), str(row.subject)]
            value.add_metric(names, float(str(row.value)))
            if not pd.isna(row.samples):
                samples.add_metric(names, float(str(row.samples)))
        yield value
        yield samples
        if self._at:
            yield GaugeMetricFamily("wattcast_alerts_firing", "Alerts that fire", value=self._firing)
            yield GaugeMetricFamily(
                "wattcast_monitor_evaluated_timestamp_seconds", "When the monitor evaluated last", value=self._at
            )


def serve(host: str, port: int, *, registry: CollectorRegistry = REGISTRY, job: str = "") -> int | None:
    """Serve the figures of this process at a port, or at the next that is free; says which. None, with a warning, if none is."""
    if job:
        info = Gauge("wattcast_job_info", "Which job this is", ["job"], registry=registry)
        info.labels(job).set(1)
    for each in range(port, port + PORTS_TRIED):
        try:
            start_http_server(each, addr=host, registry=registry)
        except OSError:
            continue
        log.info("metrics: http://%s:%d/metrics", host, each)
        return each
    log.warning("No port of %d to %d is free at %s: no metrics are served.", port, port + PORTS_TRIED - 1, host)
    return None


class CheckIns(threading.Thread):
    """Writes the progress of the queries into `health` from time to time, beside the job and never in its way."""

    def __init__(self, write: Any, seconds: int) -> None:
        super().__init__(daemon=True, name="check-ins")
        self._write, self._seconds, self._over = write, seconds, threading.Event()

    def run(self) -> None:
        while not self._over.wait(self._seconds):
            self._write()

    def end(self, within_seconds: float = 60) -> None:
        self._over.set()
        self.join(within_seconds)


def naive(at: float) -> datetime:
    """Seconds since 1970 as naive UTC, as Spark has times."""
    return datetime.fromtimestamp(at, UTC).replace(tzinfo=None)


def _lag(sources: list[Mapping[str, Any]]) -> float | None:
    """Records between the end of the batch and the end of the topics, over the sources that know both."""
    lags = [
        sum(int(end) - _offsets(source.get("endOffset")).get(topic, {}).get(number, int(end))
            for topic, ends in _offsets(source.get("latestOffset")).items() for number, end in ends.items())
        for source in sources if "Kafka" in str(source.get("description"))
    ]  # fmt: skip
    return float(sum(lags)) if lags else None


def _offsets(told: Any) -> dict[str, dict[str, int]]:
    found = json.loads(told) if isinstance(told, str) else told
    return cast("dict[str, dict[str, int]]", found) if isinstance(found, dict) else {}
