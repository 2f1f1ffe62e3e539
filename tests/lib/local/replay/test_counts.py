"""Counts of a replay: what ingest must accept and reject."""

from collections import Counter
from datetime import UTC, datetime

from tests.lib.local.replay.recorded import ALL_FAULTS, frame, written
from tests.lib.local.replay.truth import counts_of

from wattcast.local.replay.counts import ReplayCounts
from wattcast.local.replay.faults import Faults
from wattcast.local.replay.recordings import recording
from wattcast.local.replay.sequence import records


def test_counts_say_what_ingest_must_accept_and_reject(tmp_path):
    readings = frame()
    readings.loc[[3, 50], "energy_usage_kwh"] = None
    readings.loc[60, "temperature_c"] = 99
    readings.loc[[70, 80], "energy_usage_kwh"] = -5
    readings.loc[200, "energy_usage_kwh"] = -5  # of b1, which may give energy back
    path = written(readings, tmp_path / "readings.parquet")
    counts = counts_of(records(recording(path, allows_negative_energy=["b1"]), Faults(), 0))
    assert counts == ReplayCounts(
        sent=576,
        readings=576,
        without_energy=2,
        expected_accepted=571,
        expected_rejected=Counter(
            {"energy_usage_kwh.missing": 2, "temperature_c.out_of_range": 1, "energy_usage_kwh.negative": 2}
        ),
        first_arrival=counts.first_arrival,
        last_arrival=counts.last_arrival,
        last_measured_at=datetime(2024, 4, 2, 23, 30, tzinfo=UTC),
    )
    faulty = counts_of(records(recording(path), ALL_FAULTS, 0))
    assert faulty.readings == 576
    assert faulty.sent == 576 + faulty.duplicated + faulty.corrected + faulty.corrupted.total()
    rejected_records = faulty.sent - faulty.expected_accepted
    two_rules = faulty.corrupted["nan_literal"]
    assert faulty.expected_rejected.total() == rejected_records + two_rules
