"""Exports the measurements and alerts of the monitor to Prometheus."""

from collections.abc import Iterator
from time import time

import pandas as pd
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from wattcast.measurements import combined

MAX_SERIES = 50_000  # of `health`; beyond it buildings and devices are left out
LARGE_SCOPES = ("building", "device")


class HealthMetrics(Collector):
    """The newest measurements and the number of open alerts as Prometheus metrics; none before the first evaluation."""

    def __init__(self) -> None:
        self._measurements, self._firing, self._at = combined([]), 0, 0.0

    def put(self, measurements: pd.DataFrame, firing: int) -> None:
        """Replace the exported measurements and the number of alerts that fire."""
        if len(measurements) > MAX_SERIES:
            measurements = measurements[~measurements["scope"].isin(LARGE_SCOPES)]
        self._measurements, self._firing, self._at = measurements, firing, time()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        labels = ["measure", "scope", "subject"]
        value = GaugeMetricFamily("wattcast_health", "Newest value of a measure of the table health", labels=labels)
        samples = GaugeMetricFamily("wattcast_health_samples", "Number of samples of the value", labels=labels)
        for row in self._measurements.itertuples():
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
