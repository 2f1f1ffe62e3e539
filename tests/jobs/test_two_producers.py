"""Two producers whose clocks are months apart, a replay of January and a live meter in November: neither ends the hours and
forecasts of the other."""

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from jobs.aggregate import AGGREGATE
from jobs.forecast import FORECAST
from jobs.ingest import INGEST
from tests.jobs.steps import put_buildings, reading, send_records, work

from wattcast.runtime.context import Run
from wattcast.settings import Settings
from wattcast.times import HOUR

JANUARY, NOVEMBER = datetime(2025, 1, 30), datetime(2025, 11, 30, 8)
REPLAYED, LIVE = ("b1", "b2", "b3"), "town-hall"
HOURLY = ("building_id", "hour", "revision", "available_at", "energy_usage_kwh", "coverage")
ISSUED = ("building_id", "origin", "issued_at", "p50_kwh", "method", "warnings")


def send_hours(run: Run, buildings: tuple[str, ...], first: datetime, hours: int) -> None:
    """Hourly readings, each stamped by its producer half a minute after its hour."""
    records = []
    for start in (first + number * HOUR for number in range(hours)):
        for name in buildings:
            value = reading(name, f"{start:%Y-%m-%dT%H:%M}", 1.0 + start.hour)
            records.append((name.encode(), value, (start + HOUR + timedelta(seconds=30)).replace(tzinfo=UTC)))
    send_records(run.broker, run.settings.kafka.readings_topic, records)


def rows(run: Run, table: str, columns: tuple[str, ...], *buildings: str) -> list[tuple[Any, ...]]:
    """The rows of these buildings, in order."""
    frame = run.lake.table(table).select(*columns)
    return sorted(tuple(row) for row in frame.where(frame.building_id.isin(*buildings)).collect())


def replayed_rows(run: Run) -> tuple[list[tuple[Any, ...]], ...]:
    return tuple(
        rows(run, table, columns, *REPLAYED) for table, columns in (("hourly_usage", HOURLY), ("forecasts", ISSUED))
    )


@pytest.fixture
def runs(new_run: Callable[..., Run], local_settings: Settings) -> Iterator[Callable[[str], Run]]:
    """Builds a run with a lake and topics of its own."""
    started: list[Run] = []

    def build(name: str) -> Run:
        topics = {
            key: f"{getattr(local_settings.kafka, key)}-{name}" for key in ("readings_topic", "weather_forecasts_topic")
        }
        own = local_settings.with_changes(kafka=topics).model_copy(update={"state": local_settings.state / name})
        run = new_run(own, once=True)
        started.append(run)
        put_buildings(run, *({"building_id": name, "reading_interval_minutes": 60} for name in (*REPLAYED, LIVE)))
        return run

    yield build
    for run in started:
        run.close()


def process(run: Run) -> None:
    work(run, INGEST, AGGREGATE, FORECAST)


def test_a_replay_of_january_and_a_live_meter_in_november_do_not_change_each_others_rows(
    runs: Callable[[str], Run],
) -> None:
    alone, both = runs("alone"), runs("both")
    for run in (alone, both):
        send_hours(run, REPLAYED, JANUARY, 26)
        process(run)
    send_hours(both, (LIVE,), NOVEMBER, 2)
    process(both)
    for run in (alone, both):
        send_hours(run, REPLAYED, JANUARY + 26 * HOUR, 3)
        process(run)
    assert replayed_rows(both) == replayed_rows(alone)
    assert {row[1] for row in replayed_rows(both)[1]} >= {JANUARY + number * HOUR for number in (27, 28, 29)}
    assert [row[1] for row in rows(both, "hourly_usage", HOURLY, LIVE)] == [NOVEMBER, NOVEMBER + HOUR]
    assert {row[1] for row in rows(both, "forecasts", ISSUED, LIVE)} >= {NOVEMBER + HOUR, NOVEMBER + 2 * HOUR}
    rebuilt = runs("rebuilt")
    received = rebuilt.lake.path("received_readings")
    shutil.rmtree(received)
    shutil.copytree(both.lake.path("received_readings"), received)
    work(rebuilt, AGGREGATE)
    hours = [rows(run, "hourly_usage", HOURLY, *REPLAYED, LIVE) for run in (rebuilt, both)]
    assert hours[0] == hours[1]


def test_the_clock_goes_on_by_itself_when_the_fleet_returns_after_a_pause_of_days(runs: Callable[[str], Run]) -> None:
    run = runs("pause")
    send_hours(run, REPLAYED, JANUARY, 6)
    process(run)
    send_hours(run, REPLAYED[:2], JANUARY + timedelta(days=9), 5)
    process(run)
    newest = JANUARY + timedelta(days=9) + 5 * HOUR
    assert max(row[1] for row in rows(run, "forecasts", ISSUED, *REPLAYED[:2])) == newest
    silent = [row[1] for row in rows(run, "forecasts", ISSUED, REPLAYED[2])]
    assert max(silent) == newest - 3 * HOUR
