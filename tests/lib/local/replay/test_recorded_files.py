"""Files that do not hold recorded readings are refused with the reason."""

import numpy as np
import pytest
from tests.lib.local.replay.recorded import frame, sequence, written

from wattcast.local.replay.recordings import recording
from wattcast.meter_files.refusals import FileRefused


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda rows: rows.drop(columns="building_id"), "lacks the column building_id"),
        (
            lambda rows: rows.drop(columns="energy_usage_kwh"),
            "lacks the column energy_usage_kwh",
        ),
        (lambda rows: rows.assign(energy_usage_kwh="lots"), "not a number"),
        (lambda rows: rows.assign(energy_usage_kwh=np.inf), "infinite"),
        (lambda rows: rows.assign(timestamp="soonZ"), "not a time"),
        (lambda rows: rows.assign(timestamp=range(len(rows))), "must be times"),
        (lambda rows: rows.assign(building_id=None), "without measured_at or building_id"),
        (lambda rows: rows.iloc[:0], "no readings"),
    ],
)
def test_a_file_that_holds_no_readings_is_refused_with_the_reason(tmp_path, spoil, reason):
    path = written(spoil(frame(buildings=1, days=1)), tmp_path / "readings.parquet")
    with pytest.raises(FileRefused, match=reason):
        sequence(path)


def test_a_file_that_is_neither_parquet_nor_csv_is_refused(tmp_path):
    (tmp_path / "readings.parquet").write_text("no parquet")
    with pytest.raises(FileRefused, match=r"readings\.parquet cannot be read"):
        recording(tmp_path / "readings.parquet")
    with pytest.raises(FileRefused, match=r"absent\.csv cannot be read"):
        recording(tmp_path / "absent.csv")
    ragged = "timestamp,building_id,energy_usage_kwh\n2024-01-01T00:00:00Z,b0,1\n2024-01-01T01:00:00Z,b0,1,2,3\n"
    (tmp_path / "ragged.csv").write_text(ragged)
    with pytest.raises(FileRefused, match=r"ragged\.csv cannot be read: line 3 has 5 fields, and the header has 3\."):
        recording(tmp_path / "ragged.csv")


def test_letters_of_an_older_encoding_are_read(tmp_path):
    text = "timestamp,building_id,energy_usage_kwh\n2024-01-01T00:00:00Z,caf\xe9,1\n2024-01-01T01:00:00Z,caf\xe9,2\n"
    (tmp_path / "latin.csv").write_bytes(text.encode("cp1252"))
    assert recording(tmp_path / "latin.csv").building_ids == ("caf\xe9",)
