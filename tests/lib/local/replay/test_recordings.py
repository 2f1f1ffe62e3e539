"""Recordings: the selection, the intervals and the times of a file."""

from datetime import UTC, datetime

import pandas as pd
import pytest
from tests.lib.local.replay.recorded import frame, sequence, written
from tests.lib.local.replay.truth import counts_of

from wattcast.local.replay.faults import Faults
from wattcast.local.replay.recordings import recording
from wattcast.local.replay.sequence import records
from wattcast.meter_files.refusals import FileRefused


def test_a_selection_takes_the_first_buildings_and_days(file):
    source = recording(file, buildings=2, days=1, start=datetime(2024, 3, 31, tzinfo=UTC))
    counts = counts_of(records(source, Faults(), 0))
    assert source.building_ids == ("b0", "b1")
    assert counts.readings == 2 * 48
    assert counts.last_measured_at == datetime(2024, 3, 31, 23, 30, tzinfo=UTC)
    assert len(sequence(file, Faults(), end=datetime(2024, 3, 30, 1, tzinfo=UTC))) == 3 * 2


def test_each_building_keeps_its_own_reading_interval(tmp_path):
    mixed = pd.concat([frame(buildings=1, minutes=5), frame(buildings=1, minutes=60).assign(building_id="hourly")])
    mixed = mixed.drop(index=[20, 21, 22]).sort_values("timestamp")
    source = recording(written(mixed, tmp_path / "readings.parquet"))
    assert dict(zip(source.building_ids, source.interval_ms // 60_000, strict=True)) == {"b0": 5, "hourly": 60}


def test_a_file_larger_than_a_bucket_gives_the_same_records(file, monkeypatch):
    whole = sequence(file)
    monkeypatch.setattr("wattcast.local.replay.recordings.ROWS_PER_BUCKET", 100)
    assert sequence(file) == whole


def test_csv_gives_the_records_that_parquet_gives(tmp_path, file):
    readings = frame()
    local = readings["timestamp"].dt.tz_convert("Asia/Kolkata").map(lambda time: time.isoformat())
    texts = readings.assign(measured_at=local).drop(columns="timestamp")
    assert sequence(written(texts, tmp_path / "readings.csv")) == sequence(file)


def test_times_without_a_zone_are_refused_unless_said_to_be_utc(tmp_path, file):
    naive = frame().assign(timestamp=lambda rows: rows["timestamp"].dt.tz_localize(None))
    for name in ("naive.parquet", "naive.csv"):
        path = written(naive, tmp_path / name)
        with pytest.raises(FileRefused, match="without a zone"):
            recording(path)
        assert sequence(path, naive_is_utc=True) == sequence(file)
