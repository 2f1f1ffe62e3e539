"""The pipeline killed at random moments and robbed of its checkpoints ends with the rows of one that nobody disturbed."""

import json
import os
import shutil
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.jobs.steps import command, kill, numbers, wait_until, work

from aggregate import AGGREGATE
from forecast import FORECAST
from ingest import INGEST
from publish import PUBLISH
from wattcast.audit import audit
from wattcast.job import Run
from wattcast.lakehouse import Lakehouse
from wattcast.local.replay.faults import Faults
from wattcast.local.replay.recordings import Recording, recording
from wattcast.local.replay.sending import Pace, acknowledged
from wattcast.local.replay.sequence import Record, records
from wattcast.local.simulation.simulator import write_simulation
from wattcast.metadata import buildings_of

BUILDINGS, SEED = 36, 3
FAULTS = Faults(disordered=0.05, delayed=0.05, duplicated=0.05, corrected=0.05, corrupted=0.05)
FINISH_SECONDS = 800
ROBBED = (None, "ingest", "aggregate", "forecast", "publish")  # whose checkpoint is gone before each life
MOMENTS = (  # so many new files here end a life
    ("checkpoints/ingest/offsets", 2), ("checkpoints/ingest/commits", 3), ("lake/received_readings/_delta_log", 2),
    ("checkpoints/aggregate/offsets", 1), ("lake/hourly_usage/_delta_log", 1), ("checkpoints/aggregate/commits", 1),
    ("checkpoints/forecast/offsets", 1), ("lake/forecasts/_delta_log", 1), ("checkpoints/publish/offsets", 1),
)  # fmt: skip


@pytest.fixture
def days(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--recovery-days"))


@pytest.fixture
def source(tmp_path: Path, days: int) -> tuple[Recording, pd.DataFrame]:
    """Readings and metadata: recorded ones where they are at hand, else simulated ones."""
    if folder := os.environ.get("WATTCAST_DATA"):
        file, known = Path(folder, "cambridge_sample.parquet"), Path(folder, "buildings.csv")
    else:
        file, known = tmp_path / "simulated.parquet", tmp_path / "simulated.buildings.csv"
        write_simulation(file, buildings=BUILDINGS, days=days, start=date(2026, 3, 1))
    metadata = buildings_of(known, default_interval_minutes=60)
    return recording(file, buildings=BUILDINGS, days=days), metadata


@pytest.fixture
def undisturbed(once: Run, source: tuple[Recording, pd.DataFrame], days: int) -> Run:
    return _on(once.lake, once, once.settings.kafka.forecasts_topic, source[1], days)


@pytest.fixture
def disturbed(once: Run, source: tuple[Recording, pd.DataFrame], days: int, tmp_path: Path) -> Iterator[Run]:
    """Another lake that is fed by the same topic of readings."""
    settings = once.settings.model_copy(update={"state": tmp_path / "disturbed"})
    lake = Lakehouse(once.spark, settings, once=True)
    yield _on(lake, once, f"{settings.kafka.forecasts_topic}-2", source[1], days)
    lake.close()


def _on(lake: Lakehouse, run: Run, forecasts_topic: str, metadata: pd.DataFrame, days: int) -> Run:
    settings = lake.settings.with_changes(
        kafka={"forecasts_topic": forecasts_topic},
        forecasting={"catch_up_hours": 24 * (days + 4)},
        batch={"max_offsets_per_batch": 2 * BUILDINGS * days},
    )
    lake = replace(lake, settings=settings)
    lake.create_tables()
    lake.replace("buildings", lake.frame("buildings", metadata))
    return Run(lake, run.broker, settings)


def sent(run: Run, sequence: Iterator[Record], count: int | None) -> int:
    """The arrival of the last record that was sent, in ms."""
    part = list(islice(sequence, count))
    producer = run.broker.producer()
    for _ in acknowledged(part, producer, run.settings.kafka.readings_topic, Pace(None)):
        continue
    producer.close()
    return part[-1].arrival_ms


def live_and_die(run: Run, moment: str, nth: int) -> None:
    """Run the pipeline until the nth new file at a place, then kill it."""
    folder = run.settings.state / moment
    before = numbers(folder)
    with command(run, "run", "pipeline") as process:
        wait_until(process, lambda: len(numbers(folder) - before) >= nth)
        kill(process)


def finish(run: Run, close_at: datetime) -> None:
    with command(run, "run", "pipeline", "--once", "--close-at", close_at.isoformat()) as process:
        _, said = process.communicate(timeout=FINISH_SECONDS)
        assert process.returncode == 0, said


def rows(run: Run, table: str, key: list[str], *, without: str) -> pd.DataFrame:
    """The rows of a table in the order of its key, which no two of them share."""
    found = run.lake.table(table).drop(without).orderBy(*key).toPandas()
    assert not found.duplicated(key).any()
    return found


def messages(run: Run) -> dict[str, set[str]]:
    """By forecast_id, the different messages that the topic holds."""
    topic = run.settings.kafka.forecasts_topic
    consumer = run.broker.consumer(topic)
    found: dict[str, set[str]] = defaultdict(set)
    for record in islice(consumer, sum(end for _, end in run.broker.offsets(topic).values())):
        found[json.loads(record.value)["forecast_id"]].add(record.value.decode())
    consumer.close()
    return found


KEYS = {
    "received_readings": (["kafka_topic", "kafka_partition", "kafka_offset"], "raw"),
    "hourly_usage": (["building_id", "hour", "available_at"], "as_of"),
    "forecasts": (["building_id", "origin", "purpose", "model_name", "model_version"], "created_at"),
}


def test_kills_and_lost_checkpoints_cost_time_but_no_row(
    source: tuple[Recording, pd.DataFrame], undisturbed: Run, disturbed: Run, days: int
) -> None:
    undisturbed.broker.ensure_topics([undisturbed.settings.kafka.readings_topic])
    sequence, rng = records(source[0], FAULTS, SEED), np.random.default_rng(SEED)
    for robbed in ROBBED:
        if robbed:
            shutil.rmtree(Path(disturbed.settings.checkpoints_uri, robbed))
        sent(disturbed, sequence, BUILDINGS * 24 * days // (len(ROBBED) + 1))
        live_and_die(disturbed, *MOMENTS[rng.integers(len(MOMENTS))])
    last_ms = sent(disturbed, sequence, None)
    close_at = datetime.fromtimestamp(last_ms / 1000, UTC).replace(tzinfo=None) + timedelta(hours=4)
    finish(disturbed, close_at)
    work(replace(undisturbed, close_at=close_at), INGEST, AGGREGATE, FORECAST, PUBLISH)

    for table, (key, without) in KEYS.items():
        expected, found = (rows(run, table, key, without=without) for run in (undisturbed, disturbed))
        pd.testing.assert_frame_equal(found, expected, obj=table)
        assert len(found) > BUILDINGS * days * 24 * 0.9
    assert all(each.is_clean and each.lag == 0 for each in audit(disturbed, recheck=True))
    delivered = messages(disturbed)
    assert {len(different) for different in delivered.values()} == {1}
    live = {row.forecast_id for row in disturbed.lake.table("forecasts").select("forecast_id").collect()}
    assert set(delivered) == live
