from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from wattcast_models.readings import building_ids, read_buildings


def five_minute_readings() -> pd.DataFrame:
    moments = pd.date_range("2024-03-01", periods=48 * 12, freq="5min", tz="UTC")
    readings = pd.DataFrame(
        {"timestamp": moments, "building_id": "office", "energy_usage_kwh": 0.5, "temperature_c": 10.0}
    )
    readings.loc[readings["timestamp"].dt.hour == 7, "temperature_c"] = np.tile([8.0, 12.0], 12)
    return readings.drop(index=[30])  # 02:30


def test_an_hour_is_the_sum_of_energy_and_the_mean_of_the_rest_and_missing_when_incomplete(tmp_path: Path) -> None:
    file = tmp_path / "readings.parquet"
    five_minute_readings().to_parquet(file)
    (building,) = read_buildings(file)
    expected = np.full(48, 6.0)
    expected[2] = np.nan
    np.testing.assert_allclose(building.values[:, 0], expected)
    np.testing.assert_allclose(building.values[:, 1], np.full(48, 10.0))
    assert np.isnan(building.values[:, 2:]).all()
    assert building.start == np.datetime64("2024-03-01T00", "h").astype(int)


def test_csv_and_parquet_of_the_same_readings_are_the_same_buildings(tmp_path: Path) -> None:
    readings = five_minute_readings()
    readings.to_parquet(tmp_path / "a.parquet")
    readings.assign(timestamp=readings["timestamp"].dt.tz_convert("Asia/Tokyo")).to_csv(tmp_path / "a.csv", index=False)
    one, other = (read_buildings(tmp_path / name)[0] for name in ("a.parquet", "a.csv"))
    assert one.start == other.start
    np.testing.assert_array_equal(one.values, other.values)


def test_a_repeated_reading_counts_once_and_a_hole_is_missing_hours(tmp_path: Path) -> None:
    hours = pd.to_datetime(["2024-03-01T00", "2024-03-01T00", "2024-03-01T01", "2024-03-01T04"], utc=True)
    frame = pd.DataFrame({"timestamp": hours, "building_id": "b", "energy_usage_kwh": [1.0, 1.0, 2.0, 3.0]})
    frame.to_parquet(tmp_path / "a.parquet")
    (building,) = read_buildings(tmp_path / "a.parquet")
    np.testing.assert_array_equal(building.values[:, 0], [1, 2, np.nan, np.nan, 3])


def test_a_column_that_starts_empty_and_ids_that_are_numbers_are_read_from_csv(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"timestamp": pd.date_range("2024-03-01", periods=100_000, freq="h", tz="UTC"), "building_id": 7}
    )
    frame = frame.assign(energy_usage_kwh=1, occupancy=[None] * 99_999 + [3.5])
    frame.to_csv(tmp_path / "a.csv", index=False)
    (building,) = read_buildings(tmp_path / "a.csv")
    assert building.building_id == "7"
    assert building.values[-2:, 3].tolist() == pytest.approx([np.nan, 3.5], nan_ok=True)


def test_metadata_gives_a_building_its_place_and_the_rest_none(tmp_path: Path) -> None:
    frame = pd.DataFrame({"timestamp": "2024-03-01T00:00:00Z", "building_id": ["a", "b"], "energy_usage_kwh": 1.0})
    frame.to_csv(tmp_path / "readings.csv", index=False)
    (tmp_path / "buildings.csv").write_text("building_id,timezone,country\na,Europe/London,GB\n")
    places = [building.place for building in read_buildings(tmp_path / "readings.csv", tmp_path / "buildings.csv")]
    nowhere = {"timezone": "", "country": "", "building_type": "", "closures": ""}
    assert places == [nowhere | {"timezone": "Europe/London", "country": "GB"}, nowhere]
    assert building_ids(tmp_path / "readings.csv") == {"a", "b"}


def test_files_that_cannot_be_used_say_why(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_buildings(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("hello")
    with pytest.raises((ValueError, OSError), match="arquet"):
        read_buildings(tmp_path / "text.parquet")
    (tmp_path / "columns.csv").write_text("timestamp,building\n2024-03-01T00:00:00Z,a\n")
    with pytest.raises(ValueError, match="lacks the columns building_id, energy_usage_kwh"):
        read_buildings(tmp_path / "columns.csv")
    (tmp_path / "empty.csv").write_text("timestamp,building_id,energy_usage_kwh\n")
    with pytest.raises(ValueError, match="no readings"):
        read_buildings(tmp_path / "empty.csv")
