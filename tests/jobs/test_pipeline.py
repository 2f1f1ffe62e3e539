"""The whole pipeline through a real broker: one story that the tests look at, and the application as a process."""

import json
import signal
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession
from tests.jobs.steps import at, command, numbers, other_version, put_buildings, reading, recreate, send, wait_until
from tests.models.conftest import SHIPPED

from aggregate import AGGREGATE
from forecast import FORECAST
from ingest import INGEST
from publish import PUBLISH
from wattcast.broker import Broker
from wattcast.contracts import contract
from wattcast.job import Run
from wattcast.lakehouse import Lakehouse
from wattcast.local.embedded.kafka_server import EmbeddedBroker
from wattcast.local.replay.counts import ReplayCounts
from wattcast.local.replay.faults import Faults
from wattcast.local.replay.recordings import recording
from wattcast.local.replay.replay import newest_values, replay
from wattcast.settings import settings
from wattcast_models.artifact import CONFIG
from wattcast_models.champions import use

BUILDINGS = ("busy", "calm", "flat", "silent")
FIRST, DAYS = datetime(2026, 3, 1), 12
END = FIRST + timedelta(days=DAYS)
SILENCE = (END - timedelta(hours=12), END - timedelta(hours=4))
CATCH_UP_HOURS = 48


@dataclass
class Story:
    """What was sent, and the run that works on it without a pause."""

    run: Run
    file: Path
    counts: ReplayCounts
    queries: list[Any] = field(default_factory=list)
    newest_origin: datetime = END

    def settle(self) -> None:
        """Until each job has worked through what the one before it made."""
        for query in self.queries:
            query.processAllAvailable()

    def hour_passes(self, hour: datetime) -> None:
        """Every building sends its reading of this hour."""
        values = [reading(name, f"{hour:%Y-%m-%dT%H:%M}", 4.0 + number) for number, name in enumerate(BUILDINGS)]
        arrival = at(f"{hour + timedelta(hours=1, seconds=30)}")
        for name, value in zip(BUILDINGS, values, strict=True):
            send(self.run.broker, self.run.settings.kafka.readings_topic, [value], arrival=arrival, key=name.encode())
        self.settle()

    def forecasts(self) -> pd.DataFrame:
        return self.run.lake.table("forecasts").toPandas().sort_values(["origin", "building_id"], ignore_index=True)


def recorded_file(folder: Path) -> Path:
    """Hourly readings: days that differ, one meter that never moves, and one that is silent for eight hours."""
    hours = pd.date_range(FIRST, END, freq="h", inclusive="left", tz="UTC")
    daily = 3 + np.sin(np.arange(len(hours)) / 24 * 2 * np.pi) + np.arange(len(hours)) % 7 / 10
    energy = {"busy": 4 * daily, "calm": daily, "flat": 0 * daily + 2.5, "silent": 2 * daily}
    frames = [
        pd.DataFrame({"timestamp": hours, "building_id": name, "energy_usage_kwh": energy[name].round(3)})
        for name in BUILDINGS
    ]
    readings = pd.concat(frames).assign(temperature_c=8.5, humidity_pct=70.0, occupancy=None)
    lost = (readings.building_id == "silent") & readings.timestamp.between(
        *(pd.Timestamp(each, tz="UTC") for each in SILENCE), inclusive="left"
    )
    readings[~lost].sort_values("timestamp", kind="stable").to_parquet(folder / "readings.parquet")
    return folder / "readings.parquet"


@pytest.fixture(scope="module")
def story(
    spark: SparkSession, embedded_broker: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Story]:
    """Twelve days of four buildings, with duplicates, corrections and broken records, through all four jobs."""
    folder, tag = tmp_path_factory.mktemp("story"), uuid.uuid4().hex[:8]
    topics = {f"{name}_topic": f"{name}-{tag}" for name in ("readings", "weather_forecasts", "forecasts")}
    own = settings().with_changes(
        kafka=topics | {"bootstrap_servers": embedded_broker.bootstrap_servers},
        forecasting={"catch_up_hours": CATCH_UP_HOURS},
    )
    own = own.model_copy(update={"state": folder})
    run = Run(Lakehouse(spark, own), Broker(own.kafka), own)
    run.lake.create_tables()
    put_buildings(run, *({"building_id": name, "reading_interval_minutes": 60} for name in BUILDINGS))
    run.broker.ensure_topics([own.kafka.readings_topic])
    file = recorded_file(folder)
    faults = Faults(duplicated=0.05, corrected=0.05, corrupted=0.05)
    counts = replay(recording(file), run.broker, topic=own.kafka.readings_topic, faults=faults)
    story = Story(run, file, counts)
    story.queries = [query for job in (INGEST, AGGREGATE, FORECAST, PUBLISH) for query in job.start(run)]
    story.settle()
    story.newest_origin = story.forecasts().origin.max()
    yield story
    for query in story.queries:
        query.stop()
    run.lake.close()


def test_all_that_was_sent_was_judged_as_it_must_be(story: Story) -> None:
    received = story.run.lake.table("received_readings").toPandas()
    rules = Counter(rule for rejected_for in received.rejected_for for rule in rejected_for)
    assert len(received) == story.counts.sent
    assert received.accepted.sum() == story.counts.expected_accepted
    assert rules == story.counts.expected_rejected
    assert rules.total() > 40


def test_newest_revisions_are_what_a_plain_aggregate_of_the_file_gives(story: Story) -> None:
    story.run.lake.register_views()
    latest = story.run.spark.sql("SELECT * FROM hourly_usage_latest WHERE hour < '2026-03-13'").toPandas()
    expected = newest_values(recording(story.file)).drop(columns="readings")
    expected["hour"] = expected["hour"].dt.tz_localize(None)
    expected["occupancy"] = np.nan
    found = latest[list(expected)].sort_values(["building_id", "hour"], ignore_index=True)
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, check_exact=False, rtol=1e-12)
    assert len(found) == 4 * DAYS * 24 - 8
    assert latest.revision.max() == 2


def consumed(story: Story) -> list[tuple[str, dict[str, Any]]]:
    """Key and message of every record of the topic forecasts."""
    topic = story.run.settings.kafka.forecasts_topic
    consumer = story.run.broker.consumer(topic)
    records = list(islice(consumer, sum(end for _, end in story.run.broker.offsets(topic).values())))
    consumer.close()
    return [(record.key.decode(), json.loads(record.value)) for record in records]


def as_sent(row: dict[str, Any]) -> dict[str, Any]:
    """A row of `forecasts` as the message that it must be."""
    stamped = {
        name: f"{value:%Y-%m-%dT%H:%M:%S.%fZ}" if isinstance(value, datetime) else value for name, value in row.items()
    }
    targets = [f"{hour:%Y-%m-%dT%H:%M:%S.%fZ}" for hour in row["target_hour"]]
    return stamped | {"target_hour": targets, "schema_version": 1}


def test_each_message_keeps_its_contract_and_is_a_row_of_the_table(story: Story) -> None:
    messages = consumed(story)
    check = jsonschema.Draft202012Validator(
        contract("forecast-messages").json_schema(), format_checker=jsonschema.FormatChecker()
    )
    for key, message in messages:
        check.validate(message)
        assert key == message["building_id"]
    rows = [as_sent(row.asDict()) for row in story.run.lake.table("forecasts").collect()]
    by_id = {message["forecast_id"]: message for _, message in messages}
    assert by_id == {row["forecast_id"]: row for row in rows}
    assert len(messages) == len(rows) == len(by_id)


def test_every_building_has_a_forecast_for_every_origin_of_the_window(story: Story) -> None:
    made = story.forecasts()
    last = story.newest_origin
    made = made[made.origin.between(last - timedelta(hours=CATCH_UP_HOURS - 1), last)]
    window = pd.date_range(last - timedelta(hours=CATCH_UP_HOURS - 1), last, freq="h")
    expected = [(name, origin) for origin in window for name in BUILDINGS]
    assert list(zip(made.building_id, made.origin, strict=True)) == expected
    assert last >= END
    assert set(made.purpose) == {"live"}
    for row in made.itertuples():
        assert list(row.target_hour) == [row.origin + timedelta(hours=lead) for lead in range(24)]
        assert (row.p10_kwh <= row.p50_kwh).all()
        assert (row.p50_kwh <= row.p90_kwh).all()
        assert row.issued_at >= row.origin
    assert set(made[made.building_id == "busy"].method) == {"model"}


def test_a_silent_building_still_gets_forecasts_that_say_so_until_it_comes_back(story: Story) -> None:
    made = story.forecasts()
    silent = made[(made.building_id == "silent") & (made.origin <= END)].set_index("origin")
    stale = silent.warnings.map(lambda warnings: "stale_context" in warnings)
    in_silence = (silent.index > SILENCE[0]) & (silent.index <= SILENCE[1])
    assert in_silence.sum() == 8
    assert list(stale) == list(in_silence)
    waited = timedelta(minutes=story.run.settings.closing.max_wait_minutes)
    assert (silent.issued_at[in_silence] == silent.index[in_silence] + waited).all()
    others = made[(made.building_id != "silent") & (made.origin <= END)]
    assert not others.warnings.map(lambda warnings: "stale_context" in warnings).any()


def test_a_flat_meter_is_flagged_and_no_model_reads_it(story: Story) -> None:
    made = story.forecasts()
    is_flagged = made.warnings.map(lambda warnings: "flat_meter" in warnings)
    at_first = made.origin <= END
    assert set(made.building_id[is_flagged & at_first]) == {"flat"}
    assert "model" not in set(made.method[is_flagged])
    hours = story.run.lake.table("hourly_usage").where("building_id = 'flat'").toPandas()
    right_at = hours[hours.revision == 2].set_index("hour").available_at
    wrong = hours[hours.energy_usage_kwh != 2.5].assign(right_at=lambda rows: rows.hour.map(right_at))
    for row in made[at_first & (made.building_id == "flat")].itertuples():
        is_believed = (wrong.available_at <= row.issued_at) & (row.issued_at < wrong.right_at)
        is_recent = (wrong.hour < row.origin) & (wrong.hour >= row.origin - timedelta(hours=24))
        assert ("flat_meter" in row.warnings) == (not (is_believed & is_recent).any()), row.origin


def test_a_new_model_is_taken_up_between_two_batches_and_a_broken_one_steps_down(story: Story, tmp_path: Path) -> None:
    before = story.forecasts()
    newest = before.origin.max()
    folder = other_version(tmp_path / "other", "7.0.0")
    use(folder, models=story.run.settings.state / "models")
    story.hour_passes(newest)
    (folder / CONFIG).write_text("{}")
    story.hour_passes(newest + timedelta(hours=1))
    (story.run.settings.state / "models" / "current").unlink()
    story.hour_passes(newest + timedelta(hours=2))
    after = story.forecasts()
    pd.testing.assert_frame_equal(after[after.origin <= newest].reset_index(drop=True), before)
    made = after[after.origin > newest]
    expected = [("wattcast-mlp", "7.0.0"), ("none", "none"), ("wattcast-mlp", SHIPPED)]
    versions = made.groupby("origin")[["model_name", "model_version"]].agg(lambda each: "|".join(sorted(set(each))))
    assert [tuple(row) for row in versions.itertuples(index=False)] == expected
    assert len(made) == 12
    busy = made[made.building_id == "busy"]
    assert list(busy.method) == ["model", "weekly_profile", "model"]
    assert ["model_unavailable" in warnings for warnings in busy.warnings] == [False, True, False]


QUERIES = ("ingest", "ingest-weather", "aggregate", "forecast", "publish", "score")


def day_of(building: str, day: int) -> list[bytes]:
    return [reading(building, f"2026-03-{day:02}T{hour:02}:00", 1.0 + hour) for hour in range(24)]


def test_the_application_stops_at_a_batch_border_is_alone_on_its_lake_and_fails_loudly(once: Run) -> None:
    kafka, state = once.settings.kafka, once.settings.state
    put_buildings(once, {"building_id": "b", "reading_interval_minutes": 60})
    send(once.broker, kafka.readings_topic, day_of("b", 1), arrival=at("2026-03-02T00:01"))
    checkpoints = Path(once.settings.checkpoints_uri)
    with command(once, "run", "pipeline") as first:
        wait_until(first, lambda: bool(numbers(checkpoints / "publish" / "commits")))
        with command(once, "run", "pipeline") as second:
            _, said = second.communicate(timeout=300)
            assert second.returncode == 1
            told = [line for line in said.splitlines() if "has a writer already" in line]
            assert len(told) == 1
            assert "Traceback" not in said
        send(once.broker, kafka.readings_topic, day_of("b", 2), arrival=at("2026-03-03T00:01"))
        wait_until(first, lambda: len(numbers(checkpoints / "ingest" / "offsets")) > 1)
        first.send_signal(signal.SIGTERM)
        _, said = first.communicate(timeout=300)
        assert first.returncode == 0, said
    for query in QUERIES:
        assert numbers(checkpoints / query / "offsets") == numbers(checkpoints / query / "commits"), query
    recreate(once, kafka.readings_topic)
    with command(once, "run", "pipeline") as third:
        _, said = third.communicate(timeout=300)
    assert third.returncode == 1
    assert "Traceback" not in said
    assert kafka.readings_topic in said
    assert (state / "lake").is_dir()
