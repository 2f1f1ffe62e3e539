"""The whole pipeline with a real broker: one scenario that several tests check, and the application as a process."""

import json
import signal
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest
from jobs.aggregate import AGGREGATE
from jobs.forecast import FORECAST
from jobs.ingest import INGEST
from jobs.publish import PUBLISH
from tests.jobs.erased import erase, files_with, name_everywhere, rows_of_others, tombstones
from tests.jobs.steps import (
    at,
    command,
    numbers,
    other_version,
    put_buildings,
    reading,
    recreate,
    send,
    send_records,
    wait_until,
)
from tests.lib.local.replay.truth import newest_values
from tests.lib.serving.conftest import served, settings_of
from tests.models.fixtures import SHIPPED

from wattcast.contracts import contract
from wattcast.embedded.kafka_server import EmbeddedBroker
from wattcast.ingest.audit import audit
from wattcast.lake.erasure import hashed_names, record_offsets
from wattcast.lake.locks import TableHasAWriter
from wattcast.lake.views import register_views
from wattcast.local.replay.counts import ReplayCounts
from wattcast.local.replay.faults import Faults
from wattcast.local.replay.recordings import recording
from wattcast.local.replay.replay import replay
from wattcast.runtime.context import Run
from wattcast.runtime.job import Job
from wattcast.settings import settings
from wattcast_models.artifact.folder import CONFIG
from wattcast_models.registry.champions import pin_artifact

BUILDINGS = ("busy", "calm", "flat", "silent")
FIRST, DAYS = datetime(2026, 3, 1), 12
END = FIRST + timedelta(days=DAYS)
SILENCE = (END - timedelta(hours=12), END - timedelta(hours=4))
CATCH_UP_HOURS = 48


@dataclass
class Story:
    """What was sent, and the run whose queries process it continuously."""

    run: Run
    file: Path
    counts: ReplayCounts
    queries: list[Any] = field(default_factory=list)
    newest_origin: datetime = END

    def settle(self) -> None:
        """Wait until each job has processed the rows of the one before it."""
        for query in self.queries:
            query.processAllAvailable()

    def start(self, *jobs: Job) -> None:
        """Start the jobs, by default all; each continues from its checkpoint."""
        jobs = jobs or (INGEST, AGGREGATE, FORECAST, PUBLISH)
        self.queries = [query for job in jobs for query in job.start(self.run)]
        self.settle()

    def stop(self) -> None:
        for query in self.queries:
            query.stop()
        self.run.close()

    def hour_passes(self, hour: datetime, buildings: Sequence[str] = BUILDINGS) -> None:
        """Each building sends its reading of this hour."""
        values = [reading(name, f"{hour:%Y-%m-%dT%H:%M}", 4.0 + number) for number, name in enumerate(buildings)]
        arrival = at(f"{hour + timedelta(hours=1, seconds=30)}")
        records = [(name.encode(), value, arrival) for name, value in zip(buildings, values, strict=True)]
        send_records(self.run.broker, self.run.settings.kafka.readings_topic, records)
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
        *(pd.Timestamp(time, tz="UTC") for time in SILENCE), inclusive="left"
    )
    readings[~lost].sort_values("timestamp", kind="stable").to_parquet(folder / "readings.parquet")
    return folder / "readings.parquet"


@pytest.fixture(scope="module")
def story(
    new_run: Callable[..., Run], embedded_broker: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Story]:
    """Twelve days of four buildings, with duplicates, corrections and broken records, through all four jobs."""
    folder, tag = tmp_path_factory.mktemp("story"), uuid.uuid4().hex[:8]
    topics = {f"{name}_topic": f"{name}-{tag}" for name in ("readings", "weather_forecasts", "forecasts", "alerts")}
    own = settings().with_changes(
        kafka=topics | {"bootstrap_servers": embedded_broker.bootstrap_servers},
        forecasting={"catch_up_hours": CATCH_UP_HOURS},
    )
    own = own.model_copy(update={"state": folder})
    run = new_run(own)
    put_buildings(run, *({"building_id": name, "reading_interval_minutes": 60} for name in BUILDINGS))
    run.broker.ensure_topics([own.kafka.readings_topic])
    file = recorded_file(folder)
    faults = Faults(duplicated=0.05, corrected=0.05, corrupted=0.05)
    counts = replay(recording(file), run.broker, topic=own.kafka.readings_topic, faults=faults)
    story = Story(run, file, counts)
    story.start()
    story.newest_origin = story.forecasts().origin.max()
    yield story
    story.stop()


def test_every_record_is_accepted_or_rejected_as_expected(story: Story) -> None:
    received = story.run.lake.table("received_readings").toPandas()
    rules = Counter(rule for rejected_for in received.rejected_for for rule in rejected_for)
    assert len(received) == story.counts.sent
    assert received.accepted.sum() == story.counts.expected_accepted
    assert rules == story.counts.expected_rejected
    assert rules.total() > 40


def test_newest_revisions_equal_a_plain_aggregate_of_the_file(story: Story) -> None:
    register_views(story.run.lake)
    latest = story.run.spark.sql("SELECT * FROM hourly_usage_latest WHERE hour < '2026-03-13'").toPandas()
    expected = newest_values(recording(story.file)).drop(columns="readings")
    expected["hour"] = expected["hour"].dt.tz_localize(None)
    expected["occupancy"] = np.nan
    actual = latest[list(expected)].sort_values(["building_id", "hour"], ignore_index=True)
    pd.testing.assert_frame_equal(actual, expected, check_dtype=False, check_exact=False, rtol=1e-12)
    assert len(actual) == 4 * DAYS * 24 - 8
    assert latest.revision.max() == 2


def consumed(story: Story) -> list[tuple[str, dict[str, Any]]]:
    """Key and message of every record of the topic forecasts."""
    topic = story.run.settings.kafka.forecasts_topic
    consumer = story.run.broker.consumer(topic)
    records = list(islice(consumer, sum(end for _, end in story.run.broker.offsets(topic).values())))
    consumer.close()
    return [(record.key.decode(), json.loads(record.value)) for record in records]


def as_sent(row: dict[str, Any]) -> dict[str, Any]:
    """The message of a row of `forecasts`."""
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
    forecasts = story.forecasts()
    last = story.newest_origin
    forecasts = forecasts[forecasts.origin.between(last - timedelta(hours=CATCH_UP_HOURS - 1), last)]
    window = pd.date_range(last - timedelta(hours=CATCH_UP_HOURS - 1), last, freq="h")
    expected = [(name, origin) for origin in window for name in BUILDINGS]
    assert list(zip(forecasts.building_id, forecasts.origin, strict=True)) == expected
    assert last >= END
    assert set(forecasts.purpose) == {"live"}
    for row in forecasts.itertuples():
        assert list(row.target_hour) == [row.origin + timedelta(hours=lead) for lead in range(24)]
        assert (row.p10_kwh <= row.p50_kwh).all()
        assert (row.p50_kwh <= row.p90_kwh).all()
        assert row.issued_at >= row.origin
    assert set(forecasts[forecasts.building_id == "busy"].method) == {"model"}


def test_a_silent_building_still_gets_forecasts_with_a_warning_until_it_sends_again(story: Story) -> None:
    forecasts = story.forecasts()
    silent = forecasts[(forecasts.building_id == "silent") & (forecasts.origin <= END)].set_index("origin")
    stale = silent.warnings.map(lambda warnings: "stale_context" in warnings)
    in_silence = (silent.index > SILENCE[0]) & (silent.index <= SILENCE[1])
    assert in_silence.sum() == 8
    assert list(stale) == list(in_silence)
    waited = timedelta(minutes=story.run.settings.closing.max_wait_minutes)
    assert (silent.issued_at[in_silence] == silent.index[in_silence] + waited).all()
    others = forecasts[(forecasts.building_id != "silent") & (forecasts.origin <= END)]
    assert not others.warnings.map(lambda warnings: "stale_context" in warnings).any()


def test_a_flat_meter_is_flagged_and_no_model_reads_it(story: Story) -> None:
    forecasts = story.forecasts()
    is_flagged = forecasts.warnings.map(lambda warnings: "flat_meter" in warnings)
    at_first = forecasts.origin <= END
    assert set(forecasts.building_id[is_flagged & at_first]) == {"flat"}
    assert "model" not in set(forecasts.method[is_flagged])
    hours = story.run.lake.table("hourly_usage").where("building_id = 'flat'").toPandas()
    right_at = hours[hours.revision == 2].set_index("hour").available_at
    wrong = hours[hours.energy_usage_kwh != 2.5].assign(right_at=lambda rows: rows.hour.map(right_at))
    for row in forecasts[at_first & (forecasts.building_id == "flat")].itertuples():
        is_available = (wrong.available_at <= row.issued_at) & (row.issued_at < wrong.right_at)
        is_recent = (wrong.hour < row.origin) & (wrong.hour >= row.origin - timedelta(hours=24))
        assert ("flat_meter" in row.warnings) == (not (is_available & is_recent).any()), row.origin


def test_a_new_model_is_used_from_the_next_batch_on_and_a_broken_one_leads_to_fallbacks(
    story: Story, tmp_path: Path
) -> None:
    before = story.forecasts()
    newest = before.origin.max()
    folder = other_version(tmp_path / "other", "7.0.0")
    pin_artifact(folder, models=story.run.settings.state / "models")
    story.hour_passes(newest)
    (folder / CONFIG).write_text("{}")
    story.hour_passes(newest + timedelta(hours=1))
    (story.run.settings.state / "models" / "current").unlink()
    story.hour_passes(newest + timedelta(hours=2))
    after = story.forecasts()
    pd.testing.assert_frame_equal(after[after.origin <= newest].reset_index(drop=True), before)
    forecasts = after[after.origin > newest]
    expected = [("wattcast-mlp", "7.0.0"), ("none", "none"), ("wattcast-mlp", SHIPPED)]
    versions = forecasts.groupby("origin")[["model_name", "model_version"]].agg(
        lambda names: "|".join(sorted(set(names)))
    )
    assert [tuple(row) for row in versions.itertuples(index=False)] == expected
    assert len(forecasts) == 12
    busy = forecasts[forecasts.building_id == "busy"]
    assert list(busy.method) == ["model", "weekly_profile", "model"]
    assert ["model_unavailable" in warnings for warnings in busy.warnings] == [False, True, False]


def test_an_erased_building_is_gone_everywhere_and_the_others_go_on(story: Story) -> None:
    run, others = story.run, [name for name in BUILDINGS if name != "calm"]
    newest = story.forecasts().origin.max().to_pydatetime()
    name_everywhere(run, "calm", "busy", time=newest, arrival=f"{newest}")
    story.settle()
    with pytest.raises(TableHasAWriter, match="Stop that process first"):
        erase(run, "calm")
    story.stop()
    record_offsets(run.lake, contract("received_readings"), hashed_names(run.lake, "calm"))  # an interrupted erasure
    before = rows_of_others(run, "calm")
    count = run.lake.table("received_readings").count() - len(before["received_readings"])
    with served(settings_of(run.settings.state)) as client:
        pages = [f"/v1/buildings/{name}{page}" for name in ("calm", "busy") for page in ("", "/forecast", "/history")]
        assert [client.get(page).status_code for page in pages] == [200] * 6
        erased = {table.table: (table.rows, table.payloads) for table in erase(run, "calm").tables}
        client.refresh()
        assert [client.get(page).status_code for page in pages] == [404] * 3 + [200] * 3
    assert erased["received_readings"][0] == count
    assert [erased[name] for name in ("buildings", "alerts", "health")] == [(1, 0), (2, 0), (2, 0)]
    assert erased["received_weather_forecasts"] == (0, 1)
    for name, rows in rows_of_others(run, "calm").items():
        pd.testing.assert_frame_equal(rows, before[name])
    assert files_with(run, "calm") == []
    forecasts_topic, alerts_topic = run.settings.kafka.forecasts_topic, run.settings.kafka.alerts_topic
    assert tombstones(run, forecasts_topic) == {(number, b"calm") for number in range(3)}
    assert {key for _, key in tombstones(run, alerts_topic)} == {b"of calm", b"of calm/meter-7"}
    story.start()
    story.hour_passes(newest, others)
    assert sorted(story.forecasts().query("origin > @newest").building_id) == others
    check_ledger(run, erased=count)
    story.stop()


def check_ledger(run: Run, *, erased: int) -> None:
    """The audit is clean with so many erased rows, and ingest would not read them again without its checkpoint."""
    partitions = audit(run, recheck=True)
    assert all(partition.is_clean and not partition.lag for partition in partitions)
    assert sum(partition.erased for partition in partitions) == erased
    topic = run.settings.kafka.readings_topic
    last = {partition: end - 1 for partition, (_, end) in run.broker.offsets(topic).items() if end}
    assert run.streams.received_offsets("received_readings", topic=topic, query="another") == last


QUERIES = ("ingest", "ingest-weather", "aggregate", "forecast", "publish", "score")


def day_of(building: str, day: int) -> list[bytes]:
    return [reading(building, f"2026-03-{day:02}T{hour:02}:00", 1.0 + hour) for hour in range(24)]


def test_the_application_stops_between_batches_locks_its_lake_and_fails_with_an_error(once: Run) -> None:
    kafka, state = once.settings.kafka, once.settings.state
    put_buildings(once, {"building_id": "b", "reading_interval_minutes": 60})
    send(once.broker, kafka.readings_topic, day_of("b", 1), arrival=at("2026-03-02T00:01"))
    checkpoints = Path(once.settings.checkpoints_uri)
    with command(once, "run", "pipeline") as first:
        wait_until(first, lambda: bool(numbers(checkpoints / "publish" / "commits")))
        with command(once, "run", "pipeline") as second:
            _, errors = second.communicate(timeout=300)
            assert second.returncode == 1
            lock_errors = [line for line in errors.splitlines() if "is locked by" in line]
            assert len(lock_errors) == 1
            assert "Traceback" not in errors
        send(once.broker, kafka.readings_topic, day_of("b", 2), arrival=at("2026-03-03T00:01"))
        wait_until(first, lambda: len(numbers(checkpoints / "ingest" / "offsets")) > 1)
        first.send_signal(signal.SIGTERM)
        _, errors = first.communicate(timeout=300)
        assert first.returncode == 0, errors
    for query in QUERIES:
        assert numbers(checkpoints / query / "offsets") == numbers(checkpoints / query / "commits"), query
    recreate(once, kafka.readings_topic)
    with command(once, "run", "pipeline") as third:
        _, errors = third.communicate(timeout=300)
    assert third.returncode == 1
    assert "Traceback" not in errors
    assert kafka.readings_topic in errors
    assert (state / "lake").is_dir()
