"""Backtest, train and explain read files as `wattcast load` does: what is in doubt is refused, and devices are added up."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from wattcast.cli.models.files import STRICT_FILES, contract_copy, recorded_buildings
from wattcast.ingest.buildings import MetadataError
from wattcast.meter_files import reader
from wattcast.meter_files.refusals import FileRefused
from wattcast_models.data.readings import building_ids, read_buildings

TIMES = pd.date_range("2026-01-05", periods=240, freq="h", tz="UTC")
ENERGY = np.random.default_rng(0).uniform(1, 5, len(TIMES)).round(3)


def table(building_id: str = "b", **columns: object) -> pd.DataFrame:
    return pd.DataFrame({"timestamp": TIMES, "building_id": building_id, "energy_usage_kwh": ENERGY} | columns)


def written(file: Path, rows: pd.DataFrame) -> Path:
    rows.to_parquet(file) if file.suffix == ".parquet" else rows.to_csv(file, index=False)
    return file


@pytest.mark.parametrize("is_large", [False, True])
@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_files_in_the_form_of_the_contract_give_the_hours_that_they_gave_before(
    tmp_path: Path, name: str, is_large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = pd.concat([table(temperature_c=5.0, height_m=3), table("c").iloc[5:].drop(index=20)])
    file = written(tmp_path / name, rows)
    (tmp_path / "buildings.csv").write_text("building_id,timezone,utc_offset_hours\nb,Europe/Paris,1\n")
    if is_large:
        monkeypatch.setattr(reader, "MAX_WHOLE_ROWS", 10)
    strict, plain = (
        recorded_buildings(file, tmp_path / "buildings.csv"),
        read_buildings(file, tmp_path / "buildings.csv"),
    )
    for one, other in zip(strict, plain, strict=True):
        assert (one.building_id, one.start, one.metadata) == (other.building_id, other.start, other.metadata)
        np.testing.assert_array_equal(one.values, other.values)


def test_a_building_is_the_sum_of_its_devices_and_an_hour_that_lacks_one_is_missing(tmp_path: Path) -> None:
    devices = pd.concat([table(device_id="main"), table(device_id="annex").drop(index=7)])
    (building,) = recorded_buildings(written(tmp_path / "a.csv", devices), None)
    expected = (2 * ENERGY).astype(np.float32)
    expected[7] = np.nan
    np.testing.assert_allclose(building.values[:, 0], expected, rtol=1e-6)


@pytest.mark.parametrize("factor", [1, 1000, 1_000_000])
def test_integers_are_times_of_their_unit(tmp_path: Path, factor: int) -> None:
    seconds = TIMES.tz_localize(None).to_numpy("datetime64[s]").astype("int64")
    (building,) = recorded_buildings(written(tmp_path / "a.csv", table(timestamp=seconds * factor)), None)
    assert building.start == np.datetime64("2026-01-05T00", "h").astype(int)
    np.testing.assert_allclose(building.values[:, 0], ENERGY, rtol=1e-6)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            table(timestamp=TIMES.tz_localize(None)),
            "without a zone.*Convert the file first: wattcast load .* --timezone ZONE --to",
        ),
        (
            table(energy_usage_kwh=ENERGY.cumsum()),
            r"never fall: is this a cumulative register\?.* --register or --usage --to",
        ),
        (
            table().rename(columns={"energy_usage_kwh": "energy_use_kwh_total"}),
            "lacks the column energy_usage_kwh|may be it",
        ),
        (table(timestamp=TIMES.strftime("%m/%d/%Y %H:%M")).head(24), "may begin with the day or the month"),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_doubtful_files_are_refused_with_the_command_that_converts_them(
    tmp_path: Path, name: str, rows: pd.DataFrame, message: str
) -> None:
    with pytest.raises(FileRefused, match=message):
        recorded_buildings(written(tmp_path / name, rows), None)


def test_misspelt_metadata_are_refused_and_ids_are_those_of_readings_or_buildings(tmp_path: Path) -> None:
    file = written(tmp_path / "a.csv", table())
    (tmp_path / "buildings.csv").write_text("building_id,time_zone\nb,Europe/Paris\nNA ,Europe/Paris\n")
    with pytest.raises(MetadataError, match="time_zone: it seems to mean timezone"):
        recorded_buildings(file, tmp_path / "buildings.csv")
    assert building_ids(tmp_path / "buildings.csv", STRICT_FILES) == {"b", "NA"}
    assert building_ids(file, STRICT_FILES) == {"b"}


def test_readers_can_be_sent_to_another_process_and_a_copy_has_the_form_of_the_contract(tmp_path: Path) -> None:
    assert pickle.loads(pickle.dumps(STRICT_FILES)) == STRICT_FILES
    copy = contract_copy(written(tmp_path / "a.csv", table(device_id="m")), tmp_path)
    rows = pd.read_parquet(copy)
    assert rows["measured_at"].tolist() == list(TIMES)
    assert rows["device_id"].unique().tolist() == ["m"]
    np.testing.assert_array_equal(rows["energy_usage_kwh"], ENERGY)
