"""The judge of chaos computes hours and forecasts by the rules of the documentation, and shares no code with the platform."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.chaos.judge.evidence import Rules, Sent, read_sent, utc, write_sent
from tests.chaos.judge.forecasts import known_history, wanted_forecasts
from tests.chaos.judge.hours import Reading, Revision, Values, revisions_of_building

RULES = Rules(
    grace=timedelta(minutes=5), max_wait=timedelta(minutes=180), lead_hours=24, context_hours=1344,
    heard_within=timedelta(days=30), close_at=datetime(2026, 3, 2, tzinfo=UTC),
)  # fmt: skip


def at(time: str) -> datetime:
    """A time of 2026-03-01, such as 10:00."""
    return datetime.fromisoformat(f"2026-03-01T{time}:00+00:00")


def reading(measured_at: str, arrival: str, kwh: float, device: str = "b") -> Reading:
    values = {"energy_usage_kwh": kwh, "temperature_c": None, "humidity_pct": None, "occupancy": None}
    return Reading(at(arrival), 0, 0, "b", device, at(measured_at), values)


def history(interval_minutes: int | None, *readings: Reading) -> list[tuple[datetime, int, datetime, float, int]]:
    """The revisions as (hour, number, available_at, energy, readings)."""
    return [
        (r.hour, r.number, r.available_at, r.values.energy_usage_kwh, r.values.readings_seen)
        for r in revisions_of_building(sorted(readings, key=lambda r: r.arrival), interval_minutes, RULES)
    ]


def test_hour_closes_with_its_last_expected_reading() -> None:
    readings = reading("10:00", "10:31", 1), reading("10:30", "11:02", 2)
    assert history(30, *readings) == [(at("10:00"), 1, at("11:02"), 3, 2)]


def test_hour_with_a_missing_reading_closes_when_the_building_is_past_its_grace() -> None:
    readings = reading("10:00", "10:31", 1), reading("11:00", "11:31", 2), reading("11:30", "12:02", 4)
    assert history(30, *readings) == [(at("10:00"), 1, at("12:02"), 1, 1), (at("11:00"), 1, at("12:02"), 6, 2)]


def test_hour_of_a_silent_building_closes_after_max_wait() -> None:
    assert history(30, reading("10:00", "10:31", 1)) == [(at("10:00"), 1, at("14:00"), 1, 1)]


def test_hour_that_begins_after_max_wait_closes_after_the_grace() -> None:
    assert history(30, reading("10:00", "15:00", 1)) == [(at("10:00"), 1, at("15:05"), 1, 1)]


def test_late_reading_adds_a_revision_only_if_a_value_changes() -> None:
    readings = reading("10:00", "11:01", 1), reading("10:00", "12:00", 1), reading("10:00", "13:00", 2)
    assert history(60, *readings) == [(at("10:00"), 1, at("11:01"), 1, 1), (at("10:00"), 2, at("13:00"), 2, 1)]


def test_second_device_makes_a_complete_hour_partial_until_all_its_readings_are_in() -> None:
    readings = reading("10:00", "11:01", 1, "b"), reading("10:30", "11:01", 1, "b"), reading("10:00", "11:02", 5, "c")
    (first, second) = revisions_of_building(list(readings), 30, RULES)
    assert (first.values.coverage, first.values.flags) == (1.0, set())
    assert (second.values.coverage, second.values.flags) == (0.75, {"partial"})


def test_hour_of_unknown_interval_is_flagged_and_has_no_coverage() -> None:
    (revision,) = revisions_of_building([reading("10:00", "11:01", 1)], None, RULES)
    assert (revision.values.coverage, revision.values.flags) == (None, {"interval_unknown"})


def test_forecast_is_issued_when_the_hour_before_closes_or_after_max_wait() -> None:
    values = Values(1.0, None, None, None, 1, 1.0)
    hours = {at("10:00"): [Revision("b", at("10:00"), 1, at("11:01"), values)]}
    wanted = wanted_forecasts({"b": hours}, RULES)
    assert wanted["b", at("11:00")] == at("11:01")
    assert wanted["b", at("12:00")] == at("15:00")
    assert max(wanted) == ("b", at("21:00"))
    assert ("b", at("10:00")) not in wanted


def test_history_of_a_forecast_has_the_revisions_that_were_available() -> None:
    revisions = [
        Revision("b", at("10:00"), number, at(available), Values(float(number), None, None, None, 1, 1.0))
        for number, available in ((1, "11:01"), (2, "13:00"))
    ]
    hours = {at("10:00"): revisions}
    assert known_history(at("12:00"), at("12:30"), hours, 1344) == {at("10:00"): 1.0}
    assert known_history(at("12:00"), at("13:00"), hours, 1344) == {at("10:00"): 2.0}


def test_judge_imports_nothing_of_the_code_that_it_judges() -> None:
    program = (
        "import sys; import tests.chaos.judge.verdict; "
        "print([name for name in sys.modules if name.startswith(('wattcast', 'jobs', 'pyspark'))])"
    )
    root = Path(__file__).parents[2]
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, timeout=120, check=True
    )
    assert result.stdout.strip() == "[]"


def test_records_that_were_sent_are_read_again_as_they_were(tmp_path: Path) -> None:
    sent = [Sent(b"b", b"\xff", 1, ("invalid_utf8",)), Sent(b"b", None, 2, ("empty_value",)), Sent(b"c", b"{}", 3, ())]
    write_sent(tmp_path / "sent.jsonl", sent, RULES)
    assert read_sent(tmp_path / "sent.jsonl") == (sent, RULES)
    assert utc(1000) == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
