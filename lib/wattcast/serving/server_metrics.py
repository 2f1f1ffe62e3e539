"""Prometheus metrics of the server; the routes bound the number of labels."""

from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from wattcast.serving.tables.snapshot import Snapshot

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class ServerMetrics:
    """The metrics of one app, in a registry that it does not share: tests run several apps in a process."""

    def __init__(self, snapshot: Snapshot) -> None:
        registry = self._registry = CollectorRegistry()
        self.request_seconds = Histogram(
            "wattcast_api_request_seconds",
            "Time to answer a request",
            ["method", "route", "status"],
            buckets=BUCKETS,
            registry=registry,
        )
        self.refused = Counter(
            "wattcast_api_refused_total", "Requests refused before any route", ["why"], registry=registry
        )
        gauges = {
            "wattcast_api_event_streams": ("Open event streams", lambda: snapshot.events.open_streams),
            "wattcast_api_buildings": ("Buildings in the snapshot", lambda: len(snapshot.state.building_ids)),
            "wattcast_api_tables_unreadable": ("Tables that cannot be read now", lambda: len(snapshot.tables.problems)),
            "wattcast_api_snapshot_age_seconds": (
                "Time since all tables were last read",
                lambda: _age_seconds(snapshot.state.read_at),
            ),
            "wattcast_api_data_age_seconds": (
                "Time since the newest record arrived",
                lambda: snapshot.view.age_seconds(snapshot.state.as_of) or 0,
            ),
        }
        for name, (description, value) in gauges.items():
            Gauge(name, description, registry=registry).set_function(value)

    def exposition(self) -> bytes:
        """The metrics in the text format of Prometheus."""
        return generate_latest(self._registry)


def _age_seconds(time: datetime | None) -> float:
    return (datetime.now(UTC) - time).total_seconds() if time else float("nan")
