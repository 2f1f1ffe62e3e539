"""Hourly usage over real tables: literal readings in, whole revisions out."""

from datetime import date, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from pyspark.sql import functions as F

from wattcast.contracts import contract
from wattcast.hourly import arrival_clock, hours_of, wanted_hours, within
from wattcast.job import Run

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
        """Receive readings (building, measured at, arrived at, kWh), then append what is missing; returns how many rows."""
        schema = contract("received_readings").schema
        rows = [self._row(*each, partition) for each in readings]
        received = self.run.spark.createDataFrame([tuple(map(row.get, schema.fieldNames())) for row in rows], schema)
        self.run.lake.append("received_readings", lambda _: received)
        existing = self.run.lake.snapshot("hourly_usage")
        wanted = wanted_hours(
            self.run.lake.snapshot("received_readings").frame, touched=hours_of(received), existing=existing.frame,
            buildings=self.run.lake.table("buildings"), closing=self.run.settings.closing,
            since=self.run.lake.newest(existing, "as_of")[0], close_at=time(close_at) if close_at else None,
        )  # fmt: skip
        return self.run.lake.append("hourly_usage", lambda _: wanted)

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
    return datetime.fromisoformat(text if len(text) > 5 else f"{DAY}T{text}")


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


def test_the_arrival_clock_is_the_slowest_partition_that_is_not_idle(once: Run) -> None:
    idle = timedelta(hours=24)
    received = [
        (0, "2017-06-01 10:00:00"),
        (0, "2017-06-03 10:00:00"),
        (1, "2017-06-03 09:00:00"),
        (2, "2017-06-02 09:59:59"),
    ]
    frame = once.spark.createDataFrame(
        [("t", *row) for row in received], "kafka_topic string, kafka_partition int, at string"
    )
    frame = frame.withColumn("kafka_timestamp", F.col("at").cast("timestamp"))
    assert arrival_clock(frame, since=None, idle=idle) == datetime(2017, 6, 3, 9)
    assert arrival_clock(frame, since=None, idle=timedelta(hours=25)) == datetime(2017, 6, 2, 9, 59, 59)
    assert arrival_clock(frame, since=datetime(2017, 6, 5), idle=idle) is None
    assert arrival_clock(frame.limit(0), since=None, idle=idle) is None


def test_within_takes_all_of_the_days_and_nothing_else_as_long_as_they_form_few_ranges(once: Run) -> None:
    times = [
        "2017-05-31 23:59:59",
        "2017-06-01 00:00:00",
        "2017-06-02 23:59:59",
        "2017-06-03 00:00:00",
        "2017-06-05 12:00:00",
    ]
    frame = once.spark.createDataFrame([(each,) for each in times], "at string").withColumn(
        "hour", F.col("at").cast("timestamp")
    )
    days = [date(2017, 6, day) for day in (5, 2, 1, 2)]

    def found(days: list[date]) -> list[str]:
        return [row["at"] for row in frame.where(within("hour", days)).orderBy("at").collect()]

    assert found(days) == [times[1], times[2], times[4]]
    assert found([]) == []
    scattered = [date(2017, 6, 1) + timedelta(days=2 * number) for number in range(40)]
    assert set(found(scattered)) == set(times[1:])  # one range over all of them
