"""The law of hourly usage: whatever the order of arrival, the newest revisions equal a batch aggregate of all readings."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from wattcast.hourly.revisions import ARRIVAL, Closing, revisions
from wattcast.hourly.values import IS_CAPPED, MEANS, MEASURED, VALUES
from wattcast.times import HOUR_US

MINUTE_US = HOUR_US // 60
GRACE_US, MAX_WAIT_US, TOLERANCE_US, DAY_US = 5 * MINUTE_US, 180 * MINUTE_US, 10 * MINUTE_US, 24 * HOUR_US
IDLE_US = 10_000 * DAY_US
FAR_US = 4_000_000_000_000_000
TABLE = ["building_id", "hour_us", "revision", "available_us", *VALUES]
READ_ROW = ["building_id", "device_id", "measured_us", *ARRIVAL, *MEASURED, "interval_minutes"]
Revise = Callable[[pd.DataFrame, pd.DataFrame, Closing], pd.DataFrame]

# The clock of Europe/London changes at 01:00 UTC: the 23-hour day, the 25-hour day, and a plain one.
STARTS_US = [pd.Timestamp(day).value // 1000 for day in ("2017-03-25T23:00", "2017-10-28T23:00", "2017-06-30T22:00")]
HOURS = 4
MAX_READINGS = st.sampled_from([2, 3, 10_000])


@dataclass(frozen=True)
class Case:
    """Readings in the order of Kafka, with the micro-batch of each as `batch`; by batch how many batches the snapshot is ahead of
    it; and how many readings of a device are used in an hour."""

    readings: pd.DataFrame
    ahead: tuple[int, ...]
    max_readings: int


@dataclass
class Aggregate:
    """What the aggregate job does with its tables, batch by batch: `wattcast.hourly.selection` in pandas."""

    revise: Revise = revisions
    max_readings: int = 10_000
    table: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(columns=[*TABLE, "as_of"]).astype({"revision": int})
    )

    def run(self, case: Case) -> pd.DataFrame:
        """The table after all batches and a closing clock in the far future, newest last."""
        batch = case.readings["batch"]
        newest = 0
        for number, ahead in enumerate(case.ahead):
            newest = max(newest, number + ahead)
            self.append(case.readings[batch <= newest], touched=case.readings[batch == number])
        self.append(case.readings, touched=case.readings[:0], close_at_us=FAR_US)
        return self.table.sort_values(TABLE[:3], ignore_index=True)

    def append(self, received: pd.DataFrame, *, touched: pd.DataFrame, close_at_us: int = 0) -> int:
        """Append the pending rows of the touched hours and of the hours closed since the last batch; returns how many."""
        since = self.table["as_of"].max() if len(self.table) else None
        if len(touched):
            used = max(since, self.table["available_us"].max()) if since else 0
            received = received[received["arrival_us"] <= max(touched["arrival_us"].max(), used)]
        if received.empty:
            return 0
        clock = max(_low_watermark(received), since or 0, close_at_us)
        touched = pd.concat([touched, received[received["arrival_us"] >= (since or -1)]])
        recent_from = -1 if since is None else since - (MAX_WAIT_US + HOUR_US + TOLERANCE_US) - TOLERANCE_US
        pair = ["building_id", "hour_us"]
        seen = received.merge(touched[pair].drop_duplicates().assign(is_touched=True), on=pair, how="left")
        seen["is_touched"] = seen["is_touched"].eq(True)
        seen = seen[seen["is_touched"] | (seen["arrival_us"] >= recent_from)]
        closing = Closing(GRACE_US, MAX_WAIT_US, int(clock), self.max_readings)
        pending = self.revise(seen, self._near(touched, seen, recent_from), closing)
        if len(pending):
            tables = [self.table, pending.assign(as_of=clock)]
            self.table = pd.concat([table for table in tables if len(table)], ignore_index=True)
        return len(pending)

    def _near(self, touched: pd.DataFrame, seen: pd.DataFrame, recent_from: int) -> pd.DataFrame:
        days = pd.concat([touched["hour_us"], seen.loc[seen["arrival_us"] >= recent_from, "hour_us"]]) // DAY_US
        is_near = (self.table["hour_us"] // DAY_US).isin(days) | (self.table["hour_us"] >= recent_from - HOUR_US)
        return self.table.loc[is_near, TABLE].astype({"hour_us": "int64", "available_us": "int64"})


def _low_watermark(received: pd.DataFrame) -> int:
    return int(received.groupby("kafka_partition")["arrival_us"].max().min())


def check_newest_revisions(case: Case, revise: Revise = revisions) -> None:
    """The first law, for any arrival."""
    job = Aggregate(revise, case.max_readings)
    table = job.run(case)
    newest = table.drop_duplicates(["building_id", "hour_us"], keep="last")
    pd.testing.assert_frame_equal(
        newest[["building_id", "hour_us", *VALUES]].reset_index(drop=True),
        batch_aggregate(case.readings, case.max_readings),
        check_dtype=False,
    )
    of_pair = table.groupby(["building_id", "hour_us"])
    assert (table["revision"] == of_pair.cumcount() + 1).all()
    assert (of_pair["available_us"].diff().dropna() > 0).all()
    assert job.append(case.readings, touched=case.readings) == 0


def check_splits(one: Case, other: Case, revise: Revise = revisions) -> None:
    """The second law, for arrivals in order: the whole table, with `available_us`, does not depend on the batches."""
    tables = [Aggregate(revise, case.max_readings).run(case)[TABLE] for case in (one, other)]
    pd.testing.assert_frame_equal(*tables, check_dtype=False)


def batch_aggregate(readings: pd.DataFrame, max_readings: int) -> pd.DataFrame:
    """The hours of all readings at once: of one device and time the greatest (arrival, partition, offset) is used, among the
    first `max_readings` of the device in the hour."""
    device_hours = readings.sort_values(ARRIVAL).groupby(["building_id", "hour_us", "device_id"])
    latest = (
        device_hours.head(max_readings)
        .sort_values(ARRIVAL)
        .groupby(["building_id", "device_id", "measured_us"], as_index=False)
        .tail(1)
    )
    hours = latest.groupby(["building_id", "hour_us"])
    values = hours.agg(
        **{name: (name, "mean") for name in MEANS},
        energy_usage_kwh=("energy_usage_kwh", "sum"),
        readings_seen=("measured_us", "size"),
        devices=("device_id", "nunique"),
        interval_minutes=("interval_minutes", "first"),
    )
    values["readings_expected"] = values["devices"] * (60 / values["interval_minutes"])
    values[IS_CAPPED] = device_hours.size().ge(max_readings).groupby(["building_id", "hour_us"]).max()
    return values[VALUES].astype(float).reset_index()


@st.composite
def arrivals(draw: st.DrawFn) -> list[dict[str, object]]:
    """Readings of up to three buildings with up to two devices, delayed by minutes or weeks, duplicated and corrected."""
    start_us, intervals = draw(st.sampled_from(STARTS_US)), st.sampled_from([5, 10, 15, 20, 30, 60, 60, np.nan])
    fleet = draw(st.lists(st.tuples(intervals, st.integers(1, 2), st.integers(0, 1)), min_size=1, max_size=3))
    delay = st.one_of(st.integers(-10, 30), st.integers(-10, 400), st.integers(0, 60 * 24 * 40))
    energy, weather = st.integers(-20, 2000), st.none() | st.integers(-100, 1000)
    reading = st.tuples(
        st.integers(0, 2), st.integers(0, 1), st.integers(0, 48), delay, st.integers(0, 59), energy, weather
    )
    rows = []
    for building, device, slot, late, second, kwh, degrees in draw(st.lists(reading, min_size=1, max_size=40)):
        number = building % len(fleet)
        interval, devices, partition = fleet[number]
        minutes = 15 if np.isnan(interval) else interval
        measured_us = start_us + int(slot % (HOURS * 60 // minutes) * minutes) * MINUTE_US
        rows.append({
            "building_id": f"b{number}", "device_id": f"d{device % devices}", "measured_us": measured_us,
            "arrival_us": measured_us + late * MINUTE_US + second * 1_000_000, "kafka_partition": partition,
            "energy_usage_kwh": kwh / 10, "temperature_c": np.nan if degrees is None else degrees / 30,
            "humidity_pct": 50.0, "occupancy": np.nan, "interval_minutes": interval,
        })  # fmt: skip
    return rows


@st.composite
def any_arrivals(draw: st.DrawFn) -> Case:
    """In any order, in any batches; a building's records lie in any partition."""
    rows = draw(arrivals().flatmap(st.permutations))
    sizes = len(rows)
    batches = sorted(draw(st.lists(st.integers(0, 2), min_size=sizes, max_size=sizes)))
    partitions = draw(st.lists(st.integers(0, 1), min_size=sizes, max_size=sizes))
    return _case(
        [row | {"kafka_partition": at} for row, at in zip(rows, partitions, strict=True)],
        batches,
        draw(_ahead()),
        draw(MAX_READINGS),
    )


@st.composite
def arrivals_in_order(draw: st.DrawFn) -> tuple[Case, Case]:
    """The same arrivals, in order within each partition, cut into batches in two ways. Records of one arrival time are in one
    batch, and the first batch has records of every partition."""
    rows = sorted(draw(arrivals()), key=lambda row: row["arrival_us"])
    cases, max_readings = [], draw(MAX_READINGS)
    for _ in range(2):
        of_row = {}
        for partition in (0, 1):
            times = sorted({row["arrival_us"] for row in rows if row["kafka_partition"] == partition})
            later = (
                sorted(draw(st.lists(st.integers(0, 2), min_size=len(times) - 1, max_size=len(times) - 1)))
                if times
                else []
            )
            of_row |= {(partition, time): batch for time, batch in zip(times, [0, *later], strict=False)}
        batches = [of_row[row["kafka_partition"], row["arrival_us"]] for row in rows]
        cases.append(_case(rows, batches, draw(_ahead()), max_readings))
    return cases[0], cases[1]


def _ahead() -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, 2), min_size=3, max_size=3)


def _case(rows: list[dict[str, object]], batches: list[int], ahead: list[int], max_readings: int = 10_000) -> Case:
    readings = pd.DataFrame(rows).assign(batch=batches)
    readings["kafka_offset"] = readings.groupby("kafka_partition").cumcount()
    readings["hour_us"] = readings["measured_us"] // HOUR_US * HOUR_US
    return Case(readings, tuple(ahead[: max(batches) + 1]), max_readings)


LAW = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
SEARCH = settings(
    LAW, max_examples=300, phases=[Phase.generate], report_multiple_bugs=False, derandomize=True, database=None
)


@LAW
@given(any_arrivals())
def test_newest_revisions_equal_the_batch_aggregate_for_any_order_delay_duplication_correction_and_split(
    case: Case,
) -> None:
    check_newest_revisions(case)


@LAW
@given(arrivals_in_order())
def test_the_whole_table_is_the_same_for_every_split_of_arrivals_in_order(cases: tuple[Case, Case]) -> None:
    check_splits(*cases)


def test_a_partition_that_lags_changes_no_revision_of_the_others() -> None:
    """The second batch has only records of the slow partition, older than those that the first used of the fast one."""
    hour, start_us = (
        {"device_id": "d0", "temperature_c": np.nan, "humidity_pct": 50.0, "occupancy": np.nan},
        STARTS_US[2],
    )
    fast = hour | {"building_id": "fast", "kafka_partition": 0, "interval_minutes": 60.0, "measured_us": start_us}
    slow = hour | {"building_id": "slow", "kafka_partition": 1, "interval_minutes": 60.0, "energy_usage_kwh": 7.0}
    rows = [
        fast | {"arrival_us": start_us + HOUR_US, "energy_usage_kwh": 1.0},
        fast | {"arrival_us": start_us + 5 * HOUR_US, "energy_usage_kwh": 2.0},
        slow | {"arrival_us": start_us + HOUR_US, "measured_us": start_us},
        slow | {"arrival_us": start_us + 2 * HOUR_US, "measured_us": start_us + HOUR_US},
        slow | {"arrival_us": start_us + 5 * HOUR_US, "measured_us": start_us + 4 * HOUR_US},
    ]
    check_splits(_case(rows, [0, 0, 0, 1, 2], [0, 0, 0]), _case(rows, [0] * 5, [0]))


def keeps_the_first_of_duplicates(readings: pd.DataFrame, existing: pd.DataFrame, closing: Closing) -> pd.DataFrame:
    first = readings.sort_values(ARRIVAL).drop_duplicates(["building_id", "device_id", "measured_us"], keep="first")
    return revisions(first, existing, closing)


def drops_late_readings(readings: pd.DataFrame, existing: pd.DataFrame, closing: Closing) -> pd.DataFrame:
    in_time = readings["arrival_us"] <= readings["hour_us"] + HOUR_US + closing.max_wait_us
    return revisions(readings[in_time], existing, closing) if in_time.any() else _nothing(readings, existing, closing)


def ignores_corrections_of_closed_hours(
    readings: pd.DataFrame, existing: pd.DataFrame, closing: Closing
) -> pd.DataFrame:
    return revisions(readings.assign(is_touched=False), existing, closing)


def counts_every_repeat(readings: pd.DataFrame, existing: pd.DataFrame, closing: Closing) -> pd.DataFrame:
    devices = readings["device_id"] + readings["kafka_offset"].astype(str)
    return revisions(readings.assign(device_id=devices), existing, closing)


def ignores_existing_revisions(readings: pd.DataFrame, existing: pd.DataFrame, closing: Closing) -> pd.DataFrame:
    return revisions(readings, existing[:0], closing)


def _nothing(readings: pd.DataFrame, existing: pd.DataFrame, closing: Closing) -> pd.DataFrame:
    return revisions(readings.assign(is_touched=False), existing, replace(closing, clock_us=0))[:0]


@pytest.mark.parametrize(
    "broken",
    [
        keeps_the_first_of_duplicates, drops_late_readings, ignores_corrections_of_closed_hours, counts_every_repeat,
        ignores_existing_revisions,
    ],
)  # fmt: skip
def test_a_broken_aggregate_violates_the_law(broken: Revise) -> None:
    law = SEARCH(given(any_arrivals())(lambda case: check_newest_revisions(case, broken)))
    with pytest.raises(AssertionError):
        law()


def depends_on_the_time_of_the_batch(readings: pd.DataFrame, existing: pd.DataFrame, closing: Closing) -> pd.DataFrame:
    rows = revisions(readings, existing, closing)
    return rows.assign(
        available_us=rows["available_us"].clip(lower=min(closing.clock_us, readings["arrival_us"].max()))
    )


def closes_every_hour_of_the_batch(readings: pd.DataFrame, existing: pd.DataFrame, closing: Closing) -> pd.DataFrame:
    return revisions(readings, existing, replace(closing, clock_us=FAR_US))


@pytest.mark.parametrize("broken", [depends_on_the_time_of_the_batch, closes_every_hour_of_the_batch])
def test_an_aggregate_that_depends_on_the_batches_violates_the_law(broken: Revise) -> None:
    law = SEARCH(given(arrivals_in_order())(lambda cases: check_splits(*cases, broken)))
    with pytest.raises(AssertionError):
        law()
