"""Debian's Prometheus scrapes what the monitor exports, and an alert fires that a promtool test says must."""

from pathlib import Path

from prometheus_client import CollectorRegistry
from tests.jobs.steps import wait_until
from tests.lib.monitoring.prometheus import firing, free_port, needs_prometheus, prometheus, up

from wattcast.measurements import combined, measurement_row
from wattcast.monitoring.exporter import HealthMetrics
from wattcast.runtime.exporter import serve_metrics


@needs_prometheus
def test_prometheus_scrapes_what_is_exported_and_an_alert_fires(tmp_path: Path) -> None:
    registry, health = CollectorRegistry(), HealthMetrics()
    registry.register(health)
    health.put(combined([
        measurement_row("meter_silent_minutes", "device", "b1", 600.0, 40),
        measurement_row("meter_silent_minutes", "device", "b2", 30.0, 40),
        measurement_row("freshness_minutes", "fleet", "fleet", 30.0),
        measurement_row("forecast_age_minutes", "fleet", "fleet", 30.0),
    ]), 1)  # fmt: skip
    port = serve_metrics("127.0.0.1", free_port(), registry=registry)
    with prometheus(tmp_path, f"127.0.0.1:{port}") as (server, process):
        wait_until(process, lambda: bool(firing(server)))
        assert firing(server) == {("meter_silent", "b1")}
        assert up(server) == 1
