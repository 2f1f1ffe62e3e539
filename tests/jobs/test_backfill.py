"""Backfill: repeatable, from what was available at each origin, and never published."""

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from jobs.aggregate import AGGREGATE
from jobs.backfill import main
from jobs.forecast import FORECAST
from jobs.ingest import INGEST
from jobs.publish import PUBLISH
from tests.commands import Wattcast
from tests.jobs.steps import at, command, put_buildings, reading, send, variables, work

from wattcast.backfill import Backfill, backfill
from wattcast.embedded.kafka_server import EmbeddedBroker
from wattcast.forecast.origins import OriginSpan
from wattcast.runtime.context import Run
from wattcast.settings import settings
from wattcast_models.registry.champions import ChampionSource

FIRST, DAYS = datetime(2026, 3, 1), 9
END = FIRST + timedelta(days=DAYS)
LIVE_HOURS = 24
CORRECTED = END - timedelta(hours=12)  # an hour whose correct value arrives after all forecasts were issued
WINDOW = OriginSpan(END - timedelta(hours=LIVE_HOURS - 1), END)
VALUES = ["p10_kwh", "p50_kwh", "p90_kwh"]


@dataclass(frozen=True)
class Past:
    """A lake whose live forecasts were issued before a correction arrived."""

    run: Run

    def forecasts(self, purpose: str) -> pd.DataFrame:
        forecasts = self.run.lake.table("forecasts").where(f"purpose = '{purpose}'")
        return forecasts.orderBy("building_id", "origin").toPandas()

    def backfilled(
        self, purpose: str, *buildings: str, hindsight: bool = False, span: OriginSpan = WINDOW
    ) -> tuple[int, int]:
        span = OriginSpan(span.first, span.last, purpose, hindsight)
        champions = ChampionSource.configured(**self.run.settings.champions)
        return backfill(self.run, Backfill(span, buildings), champions.current)


def hourly(building: str) -> Iterator[tuple[datetime, bytes]]:
    """Each reading, with its arrival before it."""
    for number in range(24 * DAYS):
        hour = FIRST + timedelta(hours=number)
        kwh = round(5 + 3 * np.sin(number / 24 * 2 * np.pi) + number % 5 / 10, 3)
        yield hour + timedelta(hours=1, seconds=30), reading(building, f"{hour:%Y-%m-%dT%H:%M}", kwh)


@pytest.fixture(scope="module")
def past(
    new_run: Callable[..., Run], embedded_broker: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Past]:
    tag = uuid.uuid4().hex[:8]
    topics = {f"{name}_topic": f"{name}-{tag}" for name in ("readings", "weather_forecasts", "forecasts")}
    own = settings().with_changes(kafka=topics | {"bootstrap_servers": embedded_broker.bootstrap_servers})
    own = own.model_copy(update={"state": tmp_path_factory.mktemp("past")})
    run = new_run(own, once=True)
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
    run.close()


def test_a_backfill_without_hindsight_equals_the_live_forecasts_and_can_be_repeated(past: Past) -> None:
    assert past.backfilled("again") == (0, 2 * LIVE_HOURS)
    live, again = past.forecasts("live"), past.forecasts("again")
    live = live[live.origin <= END].reset_index(drop=True)
    own = ["forecast_id", "purpose", "created_at"]
    pd.testing.assert_frame_equal(again.drop(columns=own), live.drop(columns=own))
    assert set(live.method) == {"model"}
    assert set(again.forecast_id).isdisjoint(live.forecast_id)
    assert past.backfilled("again") == (0, 0)
    pd.testing.assert_frame_equal(past.forecasts("again"), again)


def test_hindsight_uses_corrections_and_weather_that_arrived_after_the_origin(past: Past) -> None:
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
    assert differs[~of_a].all(), "the weather arrived late for b, too"


def test_only_the_selected_buildings_are_forecast(past: Past) -> None:
    assert past.backfilled("one", "b") == (0, LIVE_HOURS)
    assert set(past.forecasts("one").building_id) == {"b"}


def test_hours_that_the_table_lost_are_restored_with_the_same_values(past: Past) -> None:
    lake, path = past.run.lake, past.run.lake.path("hourly_usage")
    before = lake.table("hourly_usage").orderBy("building_id", "hour", "available_at").toPandas()
    lost = (before.hour >= WINDOW.first) & (before.building_id == "a")
    past.run.spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ('delta.appendOnly' = 'false')")
    past.run.spark.sql(f"DELETE FROM delta.`{path}` WHERE building_id = 'a' AND hour >= '{WINDOW.first}'")
    assert past.backfilled("repaired") == (lost.sum(), 2 * LIVE_HOURS)
    after = lake.table("hourly_usage").orderBy("building_id", "hour", "available_at").toPandas()
    pd.testing.assert_frame_equal(after.drop(columns="as_of"), before.drop(columns="as_of"))


def test_no_backfilled_row_reaches_the_topic(past: Past) -> None:
    past.backfilled("quiet", span=OriginSpan(END, END))
    work(past.run, PUBLISH)
    ends = past.run.broker.offsets(past.run.settings.kafka.forecasts_topic)
    assert sum(end for _, end in ends.values()) == len(past.forecasts("live"))
    assert len(past.forecasts("quiet")) == 2


def test_a_backfill_runs_while_another_process_holds_the_lock_of_the_forecast_query(past: Past) -> None:
    past.run.lake.locks.query_lock("forecast")
    with command(past.run, "run", "backfill", "--from", "2026-03-08", "--to", "2026-03-08T02:00") as process:
        output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert "4 forecasts added" in output


@pytest.mark.usefixtures("shared_spark")
def test_a_backfill_of_an_empty_lake_reports_that_there_are_no_readings(once: Run, wattcast: Wattcast) -> None:
    done = wattcast("run", "backfill", "--from", "2026-03-08", "--to", "2026-03-08T02:00", **variables(once))
    assert (done.status, "0 hours and 0 forecasts added" in done.out) == (0, True), done.err
    assert done.err.splitlines()[-1] == "The lake has no readings yet: `wattcast run ingest` receives them."


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("--from 2026-03-08", "required: --to"),
        ("--from 2026-03-08 --to 2026-03-08", "--from must lie before --to"),
        ("--from 2026-03-08T00:30 --to 2026-03-09", "is not on the hour"),
        ("--from soon --to 2026-03-09", "argument --from: soon is not a time in ISO 8601, such as 2026-03-01"),
        ("--from 0001-01-01T00:00+14:00 --to 2026-03-09", "does not lie in the years 1970 to 2199"),
        ("--from soon --to 2026-03-09", "usage: wattcast run"),
        ("--from 2026-03-08 --to 2026-03-09 --purpose live", "reserved for the forecast job"),
    ],
)
def test_bad_arguments_are_refused(arguments: str, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(arguments.split())
    assert refused.value.code == 2
    assert reason in capsys.readouterr().err
