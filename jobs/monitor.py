"""The monitor: measures the platform into `health`, raises and resolves alerts, and sends them to the topic and the webhook."""

from collections.abc import Sequence

from pyspark.sql.streaming.query import StreamingQuery

from wattcast.contracts import contract
from wattcast.messages import messages
from wattcast.monitoring.evaluate import Monitor
from wattcast.runtime.context import Run
from wattcast.runtime.job import Job, run
from wattcast_models.registry.champions import ChampionSource


def monitor(run: Run) -> Monitor:
    """The monitor of a lake; drift is measured against the model of the buildings without a champion of their own."""
    champions = ChampionSource.configured(**run.settings.champions)
    return Monitor(run, lambda: champions.current().overall)


def start(run: Run) -> list[StreamingQuery]:
    """Evaluate at once and then every `monitoring.interval_seconds`; with --once the evaluation is `evaluate` alone."""
    return [] if run.streams.once else [monitor(run).start()]


def evaluate(run: Run) -> int:
    """Evaluate once; the number of changed alerts."""
    return monitor(run).evaluate()


def publish(run: Run) -> list[StreamingQuery]:
    """Send each row of the outbox `alerts` as one message, at least once."""
    topic = run.settings.kafka.alerts_topic
    run.broker.ensure_topics([topic])
    rows = messages(run.streams.read_stream("alerts"), contract("alert-messages"), key="alert_id")
    return [run.streams.start(run.broker.sink(rows, topic), query="publish-alerts")]


MONITOR = Job("monitor", start, evaluate)
ALERTS = Job("alerts", publish)


def main(argv: Sequence[str] | None = None) -> None:
    run(MONITOR, ALERTS, name="monitor", argv=argv)


if __name__ == "__main__":
    main()
