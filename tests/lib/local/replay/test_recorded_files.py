"""Files that do not hold recorded readings are refused with the reason."""

import numpy as np
import pytest
from tests.lib.local.replay.recorded import frame, sequence, written

from wattcast.local.replay.recorded_files import RecordingError
from wattcast.local.replay.recordings import recording


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda rows: rows.drop(columns="building_id"), "needs the columns"),
        (lambda rows: rows.drop(columns="energy_usage_kwh"), "needs the columns"),
        (lambda rows: rows.assign(energy_usage_kwh="lots"), "not a number"),
        (lambda rows: rows.assign(energy_usage_kwh=np.inf), "infinite"),
        (lambda rows: rows.assign(timestamp="soonZ"), "not a time"),
        (lambda rows: rows.assign(timestamp=range(len(rows))), "must be timestamps or text"),
        (lambda rows: rows.assign(building_id=None), "without timestamp or building_id"),
        (lambda rows: rows.iloc[:0], "no readings"),
    ],
)
def test_a_file_that_holds_no_readings_is_refused_with_the_reason(tmp_path, spoil, reason):
    path = written(spoil(frame(buildings=1, days=1)), tmp_path / "readings.parquet")
    with pytest.raises(RecordingError, match=reason):
        sequence(path)


def test_a_file_that_is_neither_parquet_nor_csv_is_refused(tmp_path):
    (tmp_path / "readings.parquet").write_text("no parquet")
    with pytest.raises(RecordingError, match=r"readings\.parquet cannot be read"):
        recording(tmp_path / "readings.parquet")
    with pytest.raises(RecordingError, match=r"absent\.csv cannot be read"):
        recording(tmp_path / "absent.csv")
    ragged = "timestamp,building_id,energy_usage_kwh\n2024-01-01T00:00:00Z,b0,1\n2024-01-01T01:00:00Z,b0,1,2,3\n"
    (tmp_path / "ragged.csv").write_text(ragged)
    (tmp_path / "latin.csv").write_bytes(ragged.replace("1,2,3", "1").replace("b0", "caf\xe9").encode("latin-1"))
    for name in ("ragged.csv", "latin.csv"):
        with pytest.raises(RecordingError, match=r"csv cannot be read (to its end|as .csv): "):
            recording(tmp_path / name)
