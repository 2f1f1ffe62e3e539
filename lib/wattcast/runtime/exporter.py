"""Exports the metrics of this process to Prometheus."""

import logging
from collections.abc import Iterator

from prometheus_client import REGISTRY, CollectorRegistry, Gauge, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from wattcast.runtime.outage import Outage
from wattcast.runtime.progress import QueryProgress

log = logging.getLogger("wattcast.runtime.exporter")

MAX_PORTS = 20  # that are tried, one after another

# By field of Progress: the metric and its help.
METRICS = {
    "batch_seconds": ("wattcast_query_batch_seconds", "Time that the newest batch of a query took"),
    "rows_per_second": ("wattcast_query_rows_per_second", "Rows per second of the newest batch of a query"),
    "lag_records": ("wattcast_query_lag_records", "Records of the topic that a query has not read yet"),
    "at": ("wattcast_query_seen_timestamp_seconds", "When a query reported last, in seconds since 1970"),
}

BROKER_OUTAGE = (
    "wattcast_broker_outage_seconds",
    "How long this job has been waiting for the Kafka broker; 0 while the broker answers",
)


class QueryMetrics(Collector):
    """The newest progress of each query, and the wait for the broker, as Prometheus metrics."""

    def __init__(self, progress: QueryProgress, outage: Outage) -> None:
        self._progress, self._outage = progress, outage

    def collect(self) -> Iterator[GaugeMetricFamily]:
        newest = self._progress.newest
        for field, (metric, description) in METRICS.items():
            family = GaugeMetricFamily(metric, description, labels=["query"])
            for query, progress in newest.items():
                if (value := getattr(progress, field)) is not None:
                    family.add_metric([query], value)
            yield family
        yield GaugeMetricFamily(*BROKER_OUTAGE, value=self._outage.seconds)


def serve_metrics(host: str, first_port: int, *, registry: CollectorRegistry = REGISTRY, job: str = "") -> int | None:
    """Serve the metrics of this process at the first free port from `first_port` on; returns the port. If none of MAX_PORTS is
    free, it logs a warning and returns None."""
    if job:
        info = Gauge("wattcast_job_info", "Which job this is", ["job"], registry=registry)
        info.labels(job).set(1)
    for port in range(first_port, first_port + MAX_PORTS):
        try:
            start_http_server(port, addr=host, registry=registry)
        except OSError:
            continue
        log.info("metrics: http://%s:%d/metrics", host, port)
        return port
    last_port = first_port + MAX_PORTS - 1
    log.warning("No port from %d to %d is free at %s: no metrics are served.", first_port, last_port, host)
    return None
