"""Forecasts: for each building and origin of the issue window that has none, one is appended to `forecasts`."""

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql.streaming.query import StreamingQuery

from wattcast.forecast.pending import pending_forecasts
from wattcast.lake.tables import Snapshot
from wattcast.runtime.context import Run
from wattcast.runtime.job import Job, run
from wattcast_models.registry.champions import ChampionSource


def forecast(run: Run) -> list[StreamingQuery]:
    """Triggered by new hours, and in live operation also by a heartbeat, since a building without readings gets forecasts too."""
    champions = ChampionSource.configured(**run.settings.champions)
    trigger = run.streams.read_stream("hourly_usage").select("building_id")
    if run.settings.forecasting.clock == "wall":
        trigger = trigger.union(run.streams.heartbeat(run.settings.forecasting.heartbeat_seconds))

    def pending(batch: DataFrame, existing: Snapshot) -> DataFrame | None:
        return None if batch.isEmpty() else pending_forecasts(run, existing, champions.current())

    return [run.streams.append_pending("forecasts", trigger=trigger, pending=pending, query="forecast")]


def reconcile(run: Run) -> int:
    """Append the forecasts that the issue window lacks now."""
    champions = ChampionSource.configured(**run.settings.champions)
    return run.lake.append("forecasts", lambda existing: pending_forecasts(run, existing, champions.current()))


FORECAST = Job("forecast", forecast, reconcile)


def main(argv: Sequence[str] | None = None) -> None:
    run(FORECAST, name="forecast", argv=argv)


if __name__ == "__main__":
    main()
