"""Hourly usage over real tables: literal readings in, whole revisions out."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from wattcast.contracts import contract, contracts
from wattcast.hourly.closing_rules import ClosingRules
from wattcast.hourly.pending import pending_closed_hours, pending_revisions, pending_revisions_of_batch
from wattcast.hourly.recent_arrivals import recent_arrivals
from wattcast.hourly.selection import Touched
from wattcast.runtime.context import Run
from wattcast.settings import project_folder

DAY = "2017-06-01"
COLUMNS = [
    "building_id",
    "hour",
    "revision",
    "available_at",
    "energy_usage_kwh",
    "readings_seen",
    "coverage",
    "quality_flags",
]


class Hours:
    """The tables of a run, fed batch by batch as the aggregate job does."""

    def __init__(self, run: Run, **intervals: int | None) -> None:
        self.run, self.offset = run, 0
        rows = [
            {"building_id": name, "reading_interval_minutes": minutes} for name, minutes in intervals.items() if minutes
        ]
        run.lake.replace("buildings", run.lake.frame("buildings", pd.DataFrame(rows)))

    def batch(self, *readings: tuple[str, str, str, float], close_at: str | None = None, partition: int = 0) -> int:
        """Receive readings (building, measured at, arrived at, kWh), then append the pending rows; returns how many."""
        received = self.receive(*readings, partition=partition)
        existing = self.run.lake.snapshot("hourly_usage")
        closing = time(close_at) if close_at else None
        pending = pending_revisions(self.run, Touched.by(received), existing, close_at=closing)
        return self.run.lake.append("hourly_usage", lambda _: pending)

    def receive(self, *readings: tuple[str, str, str, float], partition: int = 0) -> DataFrame:
        """Append accepted readings to `received_readings`; returns its new rows."""
        schema = contract("received_readings").schema
        rows = [self._row(*reading, partition) for reading in readings]
        received = self.run.spark.createDataFrame([tuple(map(row.get, schema.fieldNames())) for row in rows], schema)
        self.run.lake.append("received_readings", lambda _: received)
        return received

    def rows(self) -> list[tuple[Any, ...]]:
        """building, hour, revision, available at, kWh, readings seen, coverage, flags; in order."""
        rows = self.run.lake.table("hourly_usage").orderBy("building_id", "hour", "revision").select(*COLUMNS).collect()
        return [(r[0], f"{r[1]:%H:%M}", r[2], f"{r[3]:%H:%M}", *r[4:]) for r in rows]

    def _row(self, building: str, measured: str, arrived: str, kwh: float, partition: int) -> dict[str, Any]:
        self.offset += 1
        return {
            "accepted": True, "kafka_topic": "readings", "kafka_partition": partition, "kafka_offset": self.offset,
            "kafka_timestamp": time(arrived), "rejected_for": [], "building_id": building, "device_id": building,
            "measured_at": time(measured), "energy_usage_kwh": kwh,
        }  # fmt: skip


def time(text: str) -> datetime:
    """Of HH:MM on the day of these tests, or of an ISO 8601 text."""
    return datetime.fromisoformat(text if len(text) > 8 else f"{DAY}T{text}")


def test_an_hour_closes_and_what_comes_later_makes_a_revision_only_if_it_changes_a_value(once: Run) -> None:
    hours = Hours(once, b1=30)
    first = [("b1", "10:00", "10:30", 1.0), ("b1", "10:30", "11:00", 2.0), ("b1", "11:00", "11:30", 4.0)]
    assert hours.batch(*first) == 1
    closed = ("b1", "10:00", 1, "11:00", 3.0, 2, 1.0, [])
    assert hours.rows() == [closed]
    assert hours.batch(("b1", "10:30", "11:40", 2.0)) == 0  # an exact duplicate
    assert hours.batch() == 0
    assert (
        hours.batch(("b1", "12:10", "12:10", 8.0)) == 1
    )  # 11:00 closes by the building's own clock, half of it missing
    assert (
        hours.batch(("b1", "10:30", "12:20", 5.0), ("b1", "11:30", "12:30", 6.0)) == 2
    )  # a correction, a late reading
    assert hours.rows() == [
        closed,
        ("b1", "10:00", 2, "12:20", 6.0, 2, 1.0, []),
        ("b1", "11:00", 1, "12:10", 4.0, 1, 0.5, ["partial"]),
        ("b1", "11:00", 2, "12:30", 10.0, 2, 1.0, []),
    ]


def test_a_reading_that_comes_weeks_late_makes_its_hour_once(once: Run) -> None:
    hours = Hours(once, b1=60)
    assert hours.batch(("b1", "10:00", "11:00", 1.0), ("b1", "11:00", "12:00", 2.0)) == 2
    assert hours.batch(("b1", "2017-03-01T05:00", "12:30", 7.0)) == 1
    assert hours.batch(("b1", "12:00", "13:00", 3.0)) == 1
    assert hours.batch(close_at="2017-06-02T00:00") == 0
    assert [row[:5] for row in hours.rows()] == [
        ("b1", "05:00", 1, "12:30", 7.0),
        ("b1", "10:00", 1, "11:00", 1.0),
        ("b1", "11:00", 1, "12:00", 2.0),
        ("b1", "12:00", 1, "13:00", 3.0),
    ]


def test_an_unknown_interval_is_flagged_and_its_hour_closes_by_the_clock_of_the_building(once: Run) -> None:
    hours = Hours(once, b1=None, other=60)
    assert hours.batch(("b1", "10:00", "10:01", 1.0), ("b1", "11:04", "11:04", 2.0)) == 0
    assert hours.batch(("b1", "11:05", "11:06", 2.0)) == 1
    assert hours.rows() == [("b1", "10:00", 1, "11:06", 1.0, 1, None, ["interval_unknown"])]


def test_more_readings_than_the_interval_allows_are_flagged(once: Run) -> None:
    hours = Hours(once, b1=60)
    hours.batch(("b1", "10:00", "11:00", 1.0), ("b1", "10:30", "11:01", 2.0))
    assert hours.rows() == [
        ("b1", "10:00", 1, "11:00", 1.0, 1, 1.0, []),
        ("b1", "10:00", 2, "11:01", 3.0, 2, 1.0, ["surplus"]),
    ]


def test_the_last_hour_of_a_silent_building_closes_by_the_longest_wait_when_others_are_heard(once: Run) -> None:
    hours = Hours(once, silent=30, other=60)
    assert hours.batch(("silent", "10:00", "10:30", 1.0), ("other", "10:00", "11:00", 5.0)) == 1
    assert hours.batch(("other", "12:58", "13:59", 5.0)) == 1
    assert hours.batch(("other", "13:00", "14:00", 5.0)) == 2
    assert ("silent", "10:00", 1, "14:00", 1.0, 1, 0.5, ["partial"]) in hours.rows()


def test_the_end_of_a_replay_closes_what_would_close_by_then(once: Run) -> None:
    hours = Hours(once, b1=30)
    assert hours.batch(("b1", "10:00", "10:30", 1.0)) == 0
    assert hours.batch(close_at="13:59") == 0
    assert hours.batch(close_at="14:00") == 1
    assert hours.batch(close_at="15:00") == 0
    assert hours.rows() == [("b1", "10:00", 1, "14:00", 1.0, 1, 0.5, ["partial"])]


def test_a_closing_time_counts_only_when_all_batches_are_done(once: Run) -> None:
    hours = Hours(once, b1=20)
    run = replace(once, close_at=time("2017-06-02T00:00"))
    for reading in [("b1", "10:00", "10:20", 1.0), ("b1", "10:20", "10:40", 2.0), ("b1", "10:40", "11:00", 4.0)]:
        received = hours.receive(reading)
        once.lake.append("hourly_usage", partial(pending_revisions_of_batch, run, received))
    once.lake.append("hourly_usage", partial(pending_closed_hours, run))
    assert hours.rows() == [("b1", "10:00", 1, "11:00", 7.0, 3, 1.0, [])]


def test_a_device_with_a_stopped_clock_is_capped_and_delays_no_other_building(once: Run) -> None:
    settings = once.settings.with_changes(closing={"max_readings_per_device_hour": 5})
    limited = replace(once, settings=settings.model_copy(update={"state": once.settings.state}))
    hours = Hours(limited, stopped=60, sound=60)
    stopped = [("stopped", "10:00", f"12:{second:02}", float(second)) for second in range(40)]
    assert hours.batch(*stopped, ("sound", "10:00", "12:00", 3.0)) == 6
    assert hours.rows() == [
        ("sound", "10:00", 1, "12:00", 3.0, 1, 1.0, []),
        *(("stopped", "10:00", number + 1, f"12:{number:02}", float(number), 1, 1.0, []) for number in range(4)),
        ("stopped", "10:00", 5, "12:04", 4.0, 1, 1.0, ["capped"]),
    ]
    assert hours.batch(("stopped", "10:00", "13:00", 9.0)) == 0


def test_energy_that_no_building_uses_is_summed_exactly_and_flagged(once: Run) -> None:
    hours = Hours(once, b1=60)
    readings = [
        ("b1", f"10:{minute:02}:{second:02}", "11:00", 1e6) for minute in range(60) for second in range(0, 60, 6)
    ]
    hours.batch(*readings, *(("b1", f"10:00:{second:02}", "11:00", 1e6 + 0.25) for second in (1, 2)))
    ((*_, energy, seen, _, flags),) = hours.rows()
    assert (energy, seen) == (602e6 + 0.5, 602)
    assert flags == ["surplus", "implausible"]


@pytest.mark.parametrize(("day", "local_hours"), [("2017-03-26", 23), ("2017-10-29", 25), ("2017-06-01", 24)])
def test_a_local_day_has_all_its_utc_hours_also_when_the_clocks_change(once: Run, day: str, local_hours: int) -> None:
    hours = Hours(once, b1=60)
    first = datetime.fromisoformat(f"{day}T00:00") - timedelta(hours=2)
    starts = [first + timedelta(hours=number) for number in range(28)]
    assert hours.batch(*(("b1", f"{at}", f"{at + timedelta(hours=1)}", 1.0) for at in starts)) == 28
    table = once.lake.table("hourly_usage")
    assert [row.hour for row in table.orderBy("hour").collect()] == starts
    local = F.to_date(F.from_utc_timestamp("hour", "Europe/London"))
    assert table.where(local == F.lit(date.fromisoformat(day))).count() == local_hours


def records(run: Run, *rows: tuple[int, str, str | None, bool]) -> DataFrame:
    """Records of one building: partition, arrival, time of measurement, whether accepted."""
    frame = run.spark.createDataFrame(
        [("t", *row, "b1") for row in rows],
        "kafka_topic string, kafka_partition int, at string, measured string, accepted boolean, building_id string",
    )
    times = {"kafka_timestamp": "at", "measured_at": "measured"}
    return frame.withColumns({column: F.col(text).cast("timestamp") for column, text in times.items()})


def test_the_low_watermark_is_the_newest_arrival_of_the_slowest_partition_that_is_not_idle(once: Run) -> None:
    frame = records(
        once,
        (0, "2017-06-01 10:00:00", "2017-06-01 10:00:00", True),
        (0, "2017-06-03 10:00:00", "2017-06-03 10:00:00", True),
        (1, "2017-06-03 09:00:00", "2017-06-03 09:00:00", True),
        (2, "2017-06-02 09:59:59", "2017-06-02 09:59:59", True),
    )

    def low_watermark(frame: DataFrame, since: datetime | None = None, idle_hours: int = 24) -> datetime | None:
        rules = ClosingRules.from_settings(once.settings.closing, future_tolerance=timedelta(minutes=10))
        rules = replace(rules, idle_partition=timedelta(hours=idle_hours))
        return recent_arrivals(frame, since=since, rules=rules).low_watermark

    assert low_watermark(frame) == datetime(2017, 6, 3, 9)
    assert low_watermark(frame, idle_hours=25) == datetime(2017, 6, 2, 9, 59, 59)
    assert low_watermark(frame, since=datetime(2017, 6, 5)) is None
    assert low_watermark(frame.limit(0)) is None


def test_one_query_says_which_days_recent_and_late_readings_touch(once: Run) -> None:
    """Of readings that arrived since the last batch, and of those measured long before the hours that can be open."""
    frame = records(
        once,
        (0, "2017-06-03 09:30:00", "2017-06-03 09:00:00", True),  # before the last batch, of an hour that can be open
        (0, "2017-06-03 09:40:00", "2017-05-20 12:00:00", True),  # before the last batch, late
        (0, "2017-06-03 10:30:00", "2017-06-03 10:00:00", True),
        (0, "2017-06-03 10:40:00", "2017-04-02 23:59:59", True),  # after it, late
        (0, "2017-06-03 10:50:00", "2017-03-01 00:00:00", False),
        (0, "2017-06-03 10:51:00", None, False),
    )
    rules = ClosingRules.from_settings(once.settings.closing, future_tolerance=timedelta(minutes=10))
    recent = recent_arrivals(frame, since=datetime(2017, 6, 3, 10), rules=rules)
    assert sorted(recent.touched_days) == [datetime(2017, 4, 2), datetime(2017, 6, 3)]
    assert sorted(recent.late_days) == [datetime(2017, 4, 2), datetime(2017, 5, 20)]
    assert recent.low_watermark == datetime(2017, 6, 3, 10, 51)


@pytest.fixture
def tolerant_contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The contracts, with a tolerance of 60 instead of 10 minutes in that of readings."""
    folder = Path(shutil.copytree(project_folder("data-contracts"), tmp_path / "data-contracts"))
    file = folder / "readings.odcs.yaml"
    text = file.read_text(encoding="utf-8")
    assert "futureToleranceMinutes, value: 10" in text
    file.write_text(text.replace("futureToleranceMinutes, value: 10", "futureToleranceMinutes, value: 60"))
    monkeypatch.setattr("wattcast.contracts.project_folder", lambda name: folder)
    contracts.cache_clear()
    yield
    contracts.cache_clear()


@pytest.mark.usefixtures("tolerant_contract")
def test_a_wider_tolerance_of_the_contract_selects_readings_that_arrived_as_early_as_it_allows(once: Run) -> None:
    hours = Hours(once, early=30, other=60)
    assert hours.batch(("early", "10:00", "09:05", 1.0), ("other", "12:58", "13:59", 5.0)) == 1
    assert hours.batch(("other", "13:00", "14:00", 5.0)) == 2
    assert ("early", "10:00", 1, "14:00", 1.0, 1, 0.5, ["partial"]) in hours.rows()
