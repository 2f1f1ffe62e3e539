"""Health of meters: literal records in, measures out."""

import pandas as pd
import pytest

from wattcast.monitoring.measures.meter_health import age_unseen, device_measurements

AT = pd.Timestamp("2026-03-02T12:00")
MINUTE = pd.Timedelta(minutes=1)


def records(every: str = "15min", *, after_minutes: float = 1, interval_minutes: float | None = None) -> pd.DataFrame:
    """A meter of a day and a half, each reading sent so long after the end of its interval."""
    starts = pd.date_range(AT - pd.Timedelta(hours=36), AT, freq=every, inclusive="left")
    rows = pd.DataFrame({"measured_at": starts, "energy_usage_kwh": [float(n) for n in range(len(starts))]})
    rows["kafka_timestamp"] = starts + pd.Timedelta(every) + after_minutes * MINUTE
    rows = rows[rows["kafka_timestamp"] <= AT]
    return rows.assign(building_id="b", device_id="b", accepted=True, interval_minutes=interval_minutes)


def measured(rows: pd.DataFrame) -> pd.Series:
    return device_measurements(rows, AT, grace_minutes=5).set_index("measure")["value"]


@pytest.mark.parametrize(("every", "minutes"), [("15min", 15), ("60min", 60)])
def test_a_meter_of_unknown_interval_is_not_late_when_it_sends_at_the_end_of_each(every: str, minutes: int) -> None:
    assert measured(records(every))["meter_late_share"] == 0
    assert measured(records(every, after_minutes=6))["meter_late_share"] == 1
    assert measured(records(every))["freshness_minutes"] == minutes  # the next one comes in a minute


def test_the_interval_of_the_metadata_has_precedence_over_the_inferred_one() -> None:
    assert measured(records("60min", interval_minutes=30))["meter_late_share"] == 1


def test_repeated_readings_are_not_late() -> None:
    once = records(interval_minutes=15)
    again = once.tail(50).assign(kafka_timestamp=AT)
    found = device_measurements(pd.concat([once, again]), AT, grace_minutes=5).set_index("measure")
    assert found.loc["meter_late_share", "value"] == 0
    assert found.loc["meter_late_share", "samples"] == (once["kafka_timestamp"] > AT - pd.Timedelta(days=1)).sum()


def test_a_device_with_rejected_records_only_has_only_its_rejected_share() -> None:
    found = device_measurements(records().assign(accepted=False), AT, grace_minutes=5)
    assert list(found["measure"]) == ["meter_rejected_share"]


def test_the_age_of_a_query_without_new_progress_keeps_growing() -> None:
    before = pd.DataFrame(
        {"measure": ["check_in_minutes"], "scope": ["query"], "subject": ["ingest"], "value": [1440.0],
         "as_of": [AT - 5 * MINUTE]}
    )  # fmt: skip
    found = age_unseen(before, before[:0], AT, forget_days=30)
    assert list(found["value"]) == [1445.0]
    assert age_unseen(before, before, AT, forget_days=30).empty
    assert age_unseen(before, before[:0], AT + pd.Timedelta(days=30), forget_days=30).empty
