"""Metrics of the server for Prometheus; labels are bounded by the routes."""

from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from wattcast.serving.snapshot import Snapshot

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Measured:
    """One registry a server, so that several can live in a process."""

    def __init__(self, snapshot: Snapshot) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self.seconds = Histogram(
            "wattcast_api_request_seconds",
            "Time to answer",
            ["method", "route", "status"],
            buckets=BUCKETS,
            registry=registry,
        )
        self.refused = Counter("wattcast_api_refused_total", "Requests refused by a guard", ["why"], registry=registry)
        gauges = {
            "wattcast_api_event_streams": ("Open streams of events", lambda: snapshot.feed.readers),
            "wattcast_api_buildings": ("Buildings known", lambda: len(snapshot.state.building_ids)),
            "wattcast_api_tables_unreadable": ("Tables that cannot be read now", lambda: len(snapshot.lake.problems)),
            "wattcast_api_snapshot_age_seconds": (
                "Since all tables were last read",
                lambda: _age(snapshot.state.looked_at),
            ),
            "wattcast_api_data_age_seconds": (
                "Since the newest arrival",
                lambda: snapshot.age_seconds(snapshot.state.as_of) or 0,
            ),
        }
        for name, (said, value) in gauges.items():
            Gauge(name, said, registry=registry).set_function(value)

    def exposition(self) -> bytes:
        return generate_latest(self._registry)


def _age(time: datetime | None) -> float:
    return (datetime.now(UTC) - time).total_seconds() if time else float("nan")
