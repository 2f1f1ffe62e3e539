from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from deltalake import write_deltalake

from wattcast import quality_flags
from wattcast_models.data import series
from wattcast_models.data.closing import ClosingRules
from wattcast_models.data.readings import (
    building_ids,
    buildings_from_readings,
    late_share,
    read_buildings,
    read_metadata,
)
from wattcast_models.data.windows import Origins, cut_windows


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


def test_hours_are_the_same_in_a_folder_and_in_memory(tmp_path: Path) -> None:
    shuffled = five_minute_readings().sample(frac=1, random_state=0)
    other = shuffled.assign(building_id="another", timestamp=shuffled["timestamp"] + pd.Timedelta(days=9))
    readings = pd.concat([shuffled, other]).assign(humidity_pct=np.linspace(0, 1, 2 * len(shuffled)))
    readings.to_parquet(tmp_path / "readings.parquet", row_group_size=100)
    in_memory, of_frame = read_buildings(tmp_path / "readings.parquet"), buildings_from_readings(readings, {})
    in_folder = read_buildings(tmp_path / "readings.parquet", store=tmp_path / "new" / "folder")
    for one, same, too in zip(in_memory, in_folder, of_frame, strict=True):
        assert (one.building_id, one.start) == (same.building_id, same.start) == (too.building_id, too.start)
        np.testing.assert_array_equal(one.values, same.values)
        np.testing.assert_array_equal(one.values, too.values)


def test_a_folder_without_free_space_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    five_minute_readings().to_parquet(tmp_path / "readings.parquet")
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=100))
    with pytest.raises(OSError, match="0 MiB free"):
        read_buildings(tmp_path / "readings.parquet", store=tmp_path)


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


def test_buildings_without_metadata_have_empty_values(tmp_path: Path) -> None:
    frame = pd.DataFrame({"timestamp": "2024-03-01T00:00:00Z", "building_id": ["a", "b"], "energy_usage_kwh": 1.0})
    frame.to_csv(tmp_path / "readings.csv", index=False)
    (tmp_path / "buildings.csv").write_text("building_id,timezone,country\na,Europe/London,GB\n")
    places = [building.metadata for building in read_buildings(tmp_path / "readings.csv", tmp_path / "buildings.csv")]
    nowhere = {"timezone": "", "country": "", "building_type": "", "closures": ""}
    assert places == [nowhere | {"timezone": "Europe/London", "country": "GB"}, nowhere]
    assert building_ids(tmp_path / "readings.csv") == {"a", "b"}


def test_the_error_for_a_file_that_cannot_be_used_says_why(tmp_path: Path) -> None:
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


DAY = pd.Timestamp("2024-03-01", tz="UTC")
CLOSING = ClosingRules(grace_minutes=5, max_wait_minutes=180)


def revisions(*rows: tuple[str, int, float, float | None, float | None]) -> pd.DataFrame:
    """Rows of `hourly_usage`: building, hour of DAY, after how many hours of DAY it was known, energy, coverage."""
    frame = pd.DataFrame(rows, columns=["building_id", "hour", "available_at", "energy_usage_kwh", "coverage"])
    for name in ("hour", "available_at"):
        frame[name] = DAY + pd.to_timedelta(frame[name], unit="h")
    return frame.assign(temperature_c=frame["energy_usage_kwh"] + 100, humidity_pct=np.nan, occupancy=None).astype(
        {"coverage": float, "occupancy": float}
    )


def table_of(folder: Path, *commits: pd.DataFrame) -> Path:
    for rows in commits:
        write_deltalake(folder / "hourly_usage", rows, mode="append")
    return folder / "hourly_usage"


def test_of_the_lake_a_capped_or_implausible_hour_has_no_energy_as_in_a_forecast(tmp_path: Path) -> None:
    rows = revisions(*(("b", hour, hour + 1.1, float(hour + 1), 1) for hour in range(4)))
    rows["quality_flags"] = [[], ["capped"], ["surplus"], ["surplus", "implausible"]]
    (building,) = read_buildings(table_of(tmp_path, rows), closing=CLOSING)
    assert building.values[:, 0].tolist() == pytest.approx([1, np.nan, 3, np.nan], nan_ok=True)
    assert set(quality_flags.UNUSABLE) == series.UNUSABLE


@pytest.mark.parametrize("in_folder", [False, True])
def test_of_the_lake_an_hour_is_its_newest_revision_and_without_energy_while_it_is_partial(
    tmp_path: Path, in_folder: bool
) -> None:
    table = table_of(
        tmp_path,
        revisions(("b", 0, 9, 3, 1), ("b", 0, 1.1, 1, 1), ("a", 5, 6.1, 7, None), ("b", 3, 4.1, 4, 0.5)),
        revisions(("b", 1, 8, 6, 0.5), ("b", 0, 2, 2, 1), ("b", 1, 2.1, 5, 1)),
    )
    one, other = read_buildings(table, store=tmp_path if in_folder else None, closing=CLOSING)
    assert (one.building_id, one.hours, one.values[0, 0]) == ("a", 1, 7)  # unknown coverage counts as whole
    np.testing.assert_array_equal(other.values[:, 0], [3, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(other.values[:, 1], [103, 106, np.nan, 104])
    assert other.start == DAY.value // 3_600_000_000_000
    (building,) = read_buildings(table, version=0, closing=CLOSING)[1:]
    np.testing.assert_array_equal(building.values[:, 0], [3, np.nan, np.nan, np.nan])
    assert np.isnan(building.values[1, 1])
    assert building_ids(table) == {"a", "b"}


def test_a_correction_after_the_origin_changes_the_target_and_never_the_context(tmp_path: Path) -> None:
    closed = revisions(*(("b", hour, hour + 1.1, hour, 1) for hour in range(48)))
    corrected = revisions(("b", 20, 30.5, 2000, 1), ("b", 26, 40, 2600, 1))
    before, after = (
        read_buildings(table_of(tmp_path / name, *commits), closing=CLOSING)
        for name, commits in (("before", [closed]), ("after", [closed, corrected]))
    )
    origins = Origins(np.zeros(3, np.int64), np.array([24, 30, 31]))
    inputs, actual = cut_windows(after, origins, context_hours=24, lead_hours=12)
    known, expected = cut_windows(before, origins, context_hours=24, lead_hours=12)
    contexts, old = inputs["energy_usage_kwh"], known["energy_usage_kwh"]
    np.testing.assert_array_equal(contexts[0], old[0])  # neither correction was known
    np.testing.assert_array_equal(contexts[0], np.arange(24))
    expected[0, 2] = 2600
    np.testing.assert_array_equal(actual, expected)
    changed = np.argwhere(contexts != old).tolist()
    assert changed == [[2, 13]]  # hour 20, of which the forecast issued at 30:06 knew nothing and that at 31:06 did


def test_an_hour_that_closed_after_the_forecast_was_issued_is_missing_in_its_context(tmp_path: Path) -> None:
    on_time = [("b", hour, hour + 1.1, 1, 1) for hour in range(48) if hour not in (20, 23)]
    table = table_of(tmp_path, revisions(*on_time, ("b", 20, 26, 1, 1), ("b", 23, 30, 1, 1)))
    (building,) = read_buildings(table, closing=CLOSING)
    missing = {
        origin: np.flatnonzero(np.isnan(building.context_as_known(0, origin)[:, 0])).tolist()
        for origin in (22, 23, 24, 25)
    }
    # 24 waits for its last hour, three hours at most, and so knows the hour 20; 25 is issued when 24 closes.
    assert missing == {22: [20], 23: [20], 24: [23], 25: [20, 23]}
    assert np.isfinite(building.values[:, 0]).all()
    assert late_share([building, replace(building, values=building.values[:24])]) == 2 / 48
    assert late_share([replace(building, revisions=None)]) == 0


@pytest.mark.parametrize(("max_wait_minutes", "missing_hours"), [(60, [20, 23]), (180, [23]), (7 * 60, [])])
def test_the_closing_rules_decide_which_late_hours_a_context_has(
    tmp_path: Path, max_wait_minutes: int, missing_hours: list[int]
) -> None:
    on_time = [("b", hour, hour + 1.1, 1, 1) for hour in range(48) if hour not in (20, 23)]
    table = table_of(tmp_path, revisions(*on_time, ("b", 20, 26, 1, 1), ("b", 23, 30, 1, 1)))
    (building,) = read_buildings(table, closing=replace(CLOSING, max_wait_minutes=max_wait_minutes))
    assert np.flatnonzero(np.isnan(building.context_as_known(0, 24)[:, 0])).tolist() == missing_hours


def test_revisions_cannot_be_read_without_the_closing_rules(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="hourly_usage has revisions"):
        read_buildings(table_of(tmp_path, revisions(("b", 0, 1.1, 1, 1))))


def test_files_of_readings_have_no_revisions_and_contexts_are_what_they_hold(tmp_path: Path) -> None:
    five_minute_readings().to_parquet(tmp_path / "a.parquet")
    (building,) = read_buildings(tmp_path / "a.parquet")
    assert building.revisions is None
    np.testing.assert_array_equal(building.context_as_known(3, 30), building.values[3:30])


def test_metadata_may_be_the_table_of_the_lake_at_its_newest_version(tmp_path: Path) -> None:
    for zone in ("Europe/Paris", "Europe/London"):
        places = pd.DataFrame({"building_id": ["a", "b"], "timezone": [zone, None], "closures": ["12-24", None]})
        write_deltalake(tmp_path / "buildings", places, mode="overwrite")
    unknown = {"timezone": "", "country": "", "building_type": "", "closures": ""}
    known = unknown | {"timezone": "Europe/London", "closures": "12-24"}
    assert read_metadata(tmp_path / "buildings") == {"a": known, "b": unknown}
