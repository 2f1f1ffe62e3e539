"""What the demo adds to the metadata that it is given."""

from datetime import date
from pathlib import Path

from wattcast.ingest.buildings import buildings_from_csv
from wattcast.local.demo.demo import with_intervals
from wattcast.local.replay.recordings import recording
from wattcast.local.simulation.simulator import write_simulation


def test_intervals_come_from_the_recording_where_the_metadata_has_none(tmp_path: Path) -> None:
    file, metadata = tmp_path / "readings.parquet", tmp_path / "buildings.csv"
    write_simulation(file, buildings=2, days=1, start=date(2026, 3, 1), interval_minutes=30)
    recorded = recording(file)
    first, second = recorded.building_ids[:2]
    metadata.write_text(f"building_id,reading_interval_minutes\n{first},15\n{second},\nelsewhere,\n")
    known = with_intervals(buildings_from_csv(metadata), recorded)
    assert known.reading_interval_minutes.tolist() == [15, 30, None]
    assert {type(minutes) for minutes in known.reading_interval_minutes} == {int, type(None)}
