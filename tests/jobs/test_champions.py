"""Promotions and rollbacks under a running pipeline: taken up between two batches, and no forecast is lost."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from jobs.aggregate import AGGREGATE
from jobs.forecast import FORECAST
from jobs.ingest import INGEST
from pyspark.sql.streaming.query import StreamingQuery
from tests.jobs.steps import at, other_version, put_buildings, reading, send, send_records
from tests.models.fixtures import SHIPPED

from wattcast.cli.models.version_actions import PromotionRequest, VersionStore, promote_version
from wattcast.runtime.context import Run
from wattcast.settings import Settings
from wattcast_models.data.closing import ClosingRules
from wattcast_models.registry import promotion
from wattcast_models.registry.scopes import ALL, Scope

FIRST = datetime(2026, 3, 1)
HISTORY_HOURS, CATCH_UP_HOURS = 4 * 24, 6
BUILDINGS = ("north 1", "south 2")


@pytest.fixture
def running(new_run: Callable[..., Run], local_settings: Settings) -> Iterator[tuple[Run, Callable[[int], int]]]:
    """A run whose pipeline has worked through four days of two buildings, and what lets one more hour pass: it returns the
    number of the newest batch of the forecasts."""
    run = new_run(local_settings.with_changes(forecasting={"catch_up_hours": CATCH_UP_HOURS}))
    put_buildings(run, *({"building_id": name, "reading_interval_minutes": 60} for name in BUILDINGS))
    run.broker.ensure_topics([run.settings.kafka.readings_topic])
    queries: list[StreamingQuery] = []

    def passes(hour: int) -> int:
        start = FIRST + timedelta(hours=hour)
        arrival = at(f"{start + timedelta(hours=1, seconds=30)}")
        values = [reading(name, f"{start:%Y-%m-%dT%H:%M}", 5.0 + hour % 24) for name in BUILDINGS]
        records = [(name.encode(), value, arrival) for name, value in zip(BUILDINGS, values, strict=True)]
        send_records(run.broker, run.settings.kafka.readings_topic, records)
        for query in queries:
            query.processAllAvailable()
        return int(queries[-1].lastProgress["batchId"]) if queries else 0

    bulk = HISTORY_HOURS - CATCH_UP_HOURS
    for name in BUILDINGS:
        values = [
            reading(name, f"{FIRST + timedelta(hours=hour):%Y-%m-%dT%H:%M}", 5.0 + hour % 24) for hour in range(bulk)
        ]
        arrival = at(f"{FIRST + timedelta(hours=bulk, seconds=30)}")
        send(run.broker, run.settings.kafka.readings_topic, values, arrival=arrival, key=name.encode())
    for hour in range(bulk, HISTORY_HOURS):
        passes(hour)
    queries = [query for job in (INGEST, AGGREGATE, FORECAST) for query in job.start(run)]
    for query in queries:
        query.processAllAvailable()
    yield run, passes
    for query in queries:
        query.stop()
    run.close()


def promote(store: VersionStore, number: int, scope: Scope = ALL) -> None:
    request = PromotionRequest(str(number), scope, data=None, buildings_file=None, force=True, reason="a test")
    promote_version(request, store, ClosingRules(grace_minutes=5, max_wait_minutes=180))


def test_a_rollback_takes_effect_within_two_batches_and_no_forecast_is_lost(
    running: tuple[Run, Callable[[int], int]], tmp_path: Path
) -> None:
    run, passes = running
    store, south = VersionStore.of(run.settings), Scope("building", BUILDINGS[1])
    for version in ("7.0.0", "8.0.0"):
        promotion.register(store.registry, other_version(tmp_path / version, version))
    hours = iter(range(HISTORY_HOURS, HISTORY_HOURS + 100))
    batches = [passes(next(hours))]
    promote(store, 2)
    batches.append(passes(next(hours)))
    promote(store, 3, south)
    batches.append(passes(next(hours)))
    promotion.rollback(store.registry)
    batches.append(passes(next(hours)))
    promotion.rollback(store.registry, south)
    batches.append(passes(next(hours)))
    promote(store, 3)
    batches.append(passes(next(hours)))
    (run.settings.state / "mlflow").rename(tmp_path / "away")
    batches.append(passes(next(hours)))

    made = run.lake.table("forecasts").toPandas().sort_values(["origin", "building_id"], ignore_index=True)
    origins = pd.date_range(made.origin.min(), FIRST + timedelta(hours=next(hours)), freq="h")
    assert list(zip(made.origin, made.building_id, strict=True)) == [(o, b) for o in origins for b in BUILDINGS]
    assert set(made.method) == {"model"}
    versions = made.pivot(index="origin", columns="building_id", values="model_version").to_numpy().tolist()
    shipped, new, newer = ([SHIPPED] * 2, ["7.0.0"] * 2, ["8.0.0"] * 2)
    assert versions[:-7] == [shipped] * CATCH_UP_HOURS
    assert versions[-7:] == [shipped, new, ["7.0.0", "8.0.0"], [SHIPPED, "8.0.0"], shipped, newer, newer]
    assert max(after - before for before, after in pairwise(batches)) <= 2
