"""Figures of running jobs: from Spark's own account of a batch to Prometheus, and into `health`."""

import json
import signal
import urllib.request
from pathlib import Path

import pandas as pd
import pytest
from jobs.ingest import INGEST
from prometheus_client import CollectorRegistry, generate_latest
from tests.jobs.steps import at, command, put_buildings, reading, send, wait_until
from tests.lib.monitoring.prometheus import MONITORING, firing, free_port, needs_prometheus, prometheus, values

from wattcast.deploy.prometheus import SILENT_SECONDS
from wattcast.measurements import combined, measurement_row
from wattcast.monitoring.exporter import HealthMetrics
from wattcast.runtime.context import Run, build_run
from wattcast.runtime.exporter import serve_metrics
from wattcast.runtime.health import append_health, progress_reports
from wattcast.runtime.outage import Outage
from wattcast.runtime.progress import Progress

OFFSETS = {"endOffset": {"readings": {"0": 10, "1": 7}}, "latestOffset": {"readings": {"0": 15, "1": 7}}}


def test_lag_is_what_the_topics_hold_beyond_the_batch() -> None:
    source = {"description": "KafkaV2[Subscribe[readings]]"} | {
        name: json.dumps(value) for name, value in OFFSETS.items()
    }
    told = {"durationMs": {"triggerExecution": 1500}, "processedRowsPerSecond": 20.0, "sources": [source]}
    assert Progress.of(told, 5.0) == Progress(1.5, 20.0, 5.0, 5.0)
    delta = {"description": "DeltaSource[file:/lake]", "endOffset": {"reservoirVersion": 3}, "latestOffset": None}
    assert Progress.of({"sources": [delta]}, 5.0) == Progress(0.0, 0.0, None, 5.0)


def test_the_second_job_of_a_machine_serves_metrics_at_the_next_port() -> None:
    port = free_port()
    first, second = (serve_metrics("127.0.0.1", port, registry=CollectorRegistry()) for _ in range(2))
    assert first is not None
    assert second is not None
    assert first < second


def test_health_is_exported_as_it_is_now_and_not_as_it_was() -> None:
    registry, health = CollectorRegistry(), HealthMetrics()
    registry.register(health)
    assert b"monitor_evaluated" not in generate_latest(registry)
    health.put(measurement_row("meter_silent_minutes", "device", 'b"1', 7.5, 3), 2)
    said = generate_latest(registry).decode()
    assert 'wattcast_health{measure="meter_silent_minutes",scope="device",subject="b\\"1"} 7.5' in said
    assert "wattcast_alerts_firing 2.0" in said
    health.put(combined([]), 0)
    assert "meter_silent_minutes" not in generate_latest(registry).decode()


def test_progress_of_running_queries_is_served_and_written(once: Run) -> None:
    put_buildings(once, {"building_id": "b", "reading_interval_minutes": 60})
    values = [reading("b", f"2026-03-01T{hour:02}:00", 1.0) for hour in range(24)]
    send(once.broker, once.settings.kafka.readings_topic, values, arrival=at("2026-03-02T00:01"))
    metrics = {"port": free_port(), "check_in_seconds": 1}
    own = once.settings.with_changes(metrics=metrics).model_copy(update={"state": once.settings.state})
    run = build_run(once.spark, own)
    with progress_reports(run, "test-of-metrics", Outage(run.broker)) as progress:
        queries = INGEST.start(run)
        while "ingest" not in progress.newest or "ingest" not in subjects(run):
            queries[0].awaitTermination(0.2)
        with urllib.request.urlopen(f"http://127.0.0.1:{metrics['port']}/metrics") as answer:
            said = answer.read().decode()
        assert 'wattcast_job_info{job="test-of-metrics"} 1.0' in said
        assert 'wattcast_query_lag_records{query="ingest"} 0.0' in said
        assert "wattcast_broker_outage_seconds 0.0" in said
        for query in queries:
            query.stop()
    run.close()
    written = run.lake.table("health").toPandas()
    assert {"batch_seconds", "rows_per_second", "stream_lag_records"} <= set(written["measure"])
    assert run.lake.table("received_readings").count() == 24


@needs_prometheus
def test_prometheus_scrapes_a_running_stream_and_an_alert_fires_when_its_job_has_ended(
    once: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the rule for a query without progress, with half a minute instead of half an hour."""
    rules = (MONITORING / "rules.yaml").read_text(encoding="utf-8")
    assert f"> {SILENT_SECONDS}" in rules
    (tmp_path / "rules.yaml").write_text(rules.replace(f"> {SILENT_SECONDS}", "> 30"))
    put_buildings(once, {"building_id": "b", "reading_interval_minutes": 60})
    sent = [reading("b", f"2026-03-01T{hour:02}:00", 1.0) for hour in range(24)]
    send(once.broker, once.settings.kafka.readings_topic, sent, arrival=at("2026-03-02T00:01"))
    port, folder = free_port(), tmp_path / "prometheus"
    monkeypatch.setenv("WATTCAST_METRICS__PORT", str(port))
    folder.mkdir()
    with prometheus(folder, f"127.0.0.1:{port}", rules=tmp_path / "rules.yaml") as (server, process):
        with command(once, "run", "ingest") as ingest:
            wait_until(ingest, lambda: bool(values(server, 'wattcast_query_lag_records{query="ingest"} == 0')))
            assert values(server, 'wattcast_query_batch_seconds{query="ingest"} > 0')
            assert firing(server) == set()
            ingest.send_signal(signal.SIGTERM)
            _, said = ingest.communicate(timeout=300)
        assert ingest.returncode == 0, said
        silent = 'ALERTS{alertname="WattcastQuerySilent",alertstate="firing",query="ingest"}'
        wait_until(process, lambda: bool(values(server, silent)))
        assert firing(server) == {("no_check_in", "")}
    assert once.lake.table("received_readings").count() == len(sent)


def subjects(run: Run) -> set[str]:
    """What was measured, as the table `health` has it by now: each query checks in when it has something to tell."""
    return {row.subject for row in run.lake.table("health").select("subject").distinct().collect()}


def test_measurements_that_exist_are_not_appended_again(once: Run) -> None:
    rows = measurement_row("batch_seconds", "query", "q", 1.0).assign(as_of=pd.Timestamp("2026-03-01T10:00"))
    assert append_health(once.lake, rows) == 1
    assert append_health(once.lake, rows) == 0
    later = rows.assign(as_of=pd.Timestamp("2026-03-01T10:05"))
    assert append_health(once.lake, pd.concat([rows, later])) == 1
    assert append_health(once.lake, pd.DataFrame()) == 0
