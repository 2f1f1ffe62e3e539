"""Backfill: repeatable, true to what was known at each origin, and never in the topic."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession
from tests.jobs.steps import at, command, put_buildings, reading, send, work

from aggregate import AGGREGATE
from backfill import backfill, main
from forecast import FORECAST
from ingest import INGEST
from publish import PUBLISH
from wattcast.broker import Broker
from wattcast.forecasting import Span
from wattcast.job import Run
from wattcast.lakehouse import Lakehouse
from wattcast.local.embedded.kafka_server import EmbeddedBroker
from wattcast.settings import settings

FIRST, DAYS = datetime(2026, 3, 1), 9
END = FIRST + timedelta(days=DAYS)
LIVE_HOURS = 24
CORRECTED = END - timedelta(hours=12)  # an hour whose right value comes after all forecasts were issued
WINDOW = Span(END - timedelta(hours=LIVE_HOURS - 1), END)
VALUES = ["p10_kwh", "p50_kwh", "p90_kwh"]


@dataclass(frozen=True)
class Past:
    """A lake in which live forecasts were issued before a correction came."""

    run: Run

    def forecasts(self, purpose: str) -> pd.DataFrame:
        found = self.run.lake.table("forecasts").where(f"purpose = '{purpose}'")
        return found.orderBy("building_id", "origin").toPandas()

    def backfilled(
        self, purpose: str, *buildings: str, hindsight: bool = False, span: Span = WINDOW
    ) -> tuple[int, int]:
        return backfill(self.run, Span(span.first, span.last, purpose, hindsight), buildings)


def hourly(building: str) -> Iterator[tuple[datetime, bytes]]:
    """When each reading arrives, and the reading."""
    for number in range(24 * DAYS):
        hour = FIRST + timedelta(hours=number)
        kwh = round(5 + 3 * np.sin(number / 24 * 2 * np.pi) + number % 5 / 10, 3)
        yield hour + timedelta(hours=1, seconds=30), reading(building, f"{hour:%Y-%m-%dT%H:%M}", kwh)


@pytest.fixture(scope="module")
def past(
    spark: SparkSession, embedded_broker: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Past]:
    tag = uuid.uuid4().hex[:8]
    topics = {f"{name}_topic": f"{name}-{tag}" for name in ("readings", "weather_forecasts", "forecasts")}
    own = settings().with_changes(kafka=topics | {"bootstrap_servers": embedded_broker.bootstrap_servers})
    own = own.model_copy(update={"state": tmp_path_factory.mktemp("past")})
    run = Run(Lakehouse(spark, own, once=True), Broker(own.kafka), own)
    run.lake.create_tables()
    put_buildings(run, *({"building_id": name, "reading_interval_minutes": 60, "site": "s"} for name in "ab"))
    topic = own.kafka.readings_topic
    run.broker.ensure_topics([topic])
    producer = run.broker.producer()
    for name in "ab":
        for arrival, value in hourly(name):
            producer.send(topic, key=name.encode(), value=value, timestamp_ms=int(at(f"{arrival}").timestamp() * 1000))
    producer.close()
    work(run, INGEST, AGGREGATE, FORECAST, PUBLISH)
    late = at(f"{END + timedelta(hours=2)}")
    send(run.broker, topic, [reading("a", f"{CORRECTED:%Y-%m-%dT%H:%M}", 500.0)], arrival=late, key=b"a")
    hot = {"site": "s", "issued_at": f"{FIRST}+00:00", "temperature_c": 59}
    hours = pd.date_range(WINDOW.first, WINDOW.last + timedelta(hours=24), freq="h")
    weather = [json.dumps(hot | {"target_hour": f"{hour}+00:00"}).encode() for hour in hours]
    send(run.broker, own.kafka.weather_forecasts_topic, weather, arrival=late)
    work(run, INGEST, AGGREGATE, FORECAST, PUBLISH)
    yield Past(run)
    run.lake.close()


def test_as_it_was_known_gives_what_live_issued_and_a_second_time_adds_nothing(past: Past) -> None:
    assert past.backfilled("again") == (0, 2 * LIVE_HOURS)
    live, again = past.forecasts("live"), past.forecasts("again")
    live = live[live.origin <= END].reset_index(drop=True)
    own = ["forecast_id", "purpose", "created_at"]
    pd.testing.assert_frame_equal(again.drop(columns=own), live.drop(columns=own))
    assert set(live.method) == {"model"}
    assert set(again.forecast_id).isdisjoint(live.forecast_id)
    assert past.backfilled("again") == (0, 0)
    pd.testing.assert_frame_equal(past.forecasts("again"), again)


def test_hindsight_uses_the_correction_and_the_weather_that_came_after_the_origin(past: Past) -> None:
    past.backfilled("hindsight", hindsight=True)
    live, hindsight = past.forecasts("live"), past.forecasts("hindsight")
    live = live[live.origin <= END].set_index(["building_id", "origin"])
    differs = pd.Series(
        [not all(np.array_equal(live.loc[key, name], row[name]) for name in VALUES)
         for key, row in hindsight.set_index(["building_id", "origin"]).iterrows()],
        index=pd.MultiIndex.from_frame(hindsight[["building_id", "origin"]]),
    )  # fmt: skip
    after = differs.index.get_level_values("origin") > CORRECTED
    of_a = differs.index.get_level_values("building_id") == "a"
    assert differs[of_a & after].all()
    assert differs[~of_a].all(), "the weather came late for b too"


def test_only_the_buildings_that_were_asked_for_are_forecast(past: Past) -> None:
    assert past.backfilled("one", "b") == (0, LIVE_HOURS)
    assert set(past.forecasts("one").building_id) == {"b"}


def test_hours_that_the_table_lost_are_computed_again_as_they_were(past: Past) -> None:
    lake, path = past.run.lake, past.run.lake.path("hourly_usage")
    before = lake.table("hourly_usage").orderBy("building_id", "hour", "available_at").toPandas()
    lost = (before.hour >= WINDOW.first) & (before.building_id == "a")
    past.run.spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ('delta.appendOnly' = 'false')")
    past.run.spark.sql(f"DELETE FROM delta.`{path}` WHERE building_id = 'a' AND hour >= '{WINDOW.first}'")
    assert past.backfilled("repaired") == (lost.sum(), 2 * LIVE_HOURS)
    after = lake.table("hourly_usage").orderBy("building_id", "hour", "available_at").toPandas()
    pd.testing.assert_frame_equal(after.drop(columns="as_of"), before.drop(columns="as_of"))


def test_no_backfilled_row_reaches_the_topic(past: Past) -> None:
    past.backfilled("quiet", span=Span(END, END))
    work(past.run, PUBLISH)
    ends = past.run.broker.offsets(past.run.settings.kafka.forecasts_topic)
    assert sum(end for _, end in ends.values()) == len(past.forecasts("live"))
    assert len(past.forecasts("quiet")) == 2


def test_a_backfill_goes_on_beside_the_jobs_of_another_process(past: Past) -> None:
    past.run.lake.own("query-forecast")
    with command(past.run, "run", "backfill", "--from", "2026-03-08", "--to", "2026-03-08T02:00") as process:
        said, problems = process.communicate(timeout=300)
    assert process.returncode == 0, problems
    assert "4 forecasts added" in said


def test_a_backfill_of_an_empty_lake_says_that_there_are_no_readings(once: Run) -> None:
    with command(once, "run", "backfill", "--from", "2026-03-08", "--to", "2026-03-08T02:00") as process:
        said, problems = process.communicate(timeout=300)
    assert (process.returncode, "0 hours and 0 forecasts added" in said) == (0, True), problems
    assert problems.splitlines()[-1] == "The lake has no readings yet: `wattcast run ingest` receives them."


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("--from 2026-03-08", "required: --to"),
        ("--from 2026-03-08 --to 2026-03-08", "--from must lie before --to"),
        ("--from 2026-03-08T00:30 --to 2026-03-09", "is not on the hour"),
        ("--from soon --to 2026-03-09", "argument --from: soon is no time of ISO 8601, such as 2026-03-01"),
        ("--from 0001-01-01T00:00+14:00 --to 2026-03-09", "does not lie in the years 1970 to 2199"),
        ("--from soon --to 2026-03-09", "usage: wattcast run"),
        ("--from 2026-03-08 --to 2026-03-09 --purpose live", "for the forecast job alone"),
    ],
)
def test_bad_arguments_are_refused(arguments: str, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(arguments.split())
    assert refused.value.code == 2
    assert reason in capsys.readouterr().err
