from datetime import date
from hashlib import sha256
from itertools import islice

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from tests.lib.local.replay.truth import counts_of

from wattcast.local.replay.faults import Faults
from wattcast.local.replay.recordings import recording
from wattcast.local.replay.sequence import records
from wattcast.local.simulation.places import local_clock
from wattcast.local.simulation.simulator import simulate, write_simulation

COLUMNS = ["timestamp", "building_id", "temperature_c", "humidity_pct", "occupancy", "energy_usage_kwh"]


def readings(**options) -> pd.DataFrame:
    """All readings of a simulation, with the metadata of their buildings and local time."""
    made = simulate(**({"seed": 1, "start": date(2024, 1, 1)} | options))
    rows = pd.concat(list(made.days), ignore_index=True)
    return rows.assign(building_id=rows["building_id"].astype(str)).merge(made.buildings, on="building_id")


def test_a_day_holds_every_interval_of_every_building_in_time_order():
    made = simulate(buildings=20, days=2, start=date(2024, 3, 31), interval_minutes=None, seed=4)
    assert list(made.buildings["building_id"]) == [f"sim_{number:04d}" for number in range(1, 21)]
    intervals = made.buildings.set_index("building_id")["reading_interval_minutes"]
    assert intervals.nunique() > 2
    for day in made.days:
        assert list(day.columns) == COLUMNS
        assert str(day["timestamp"].dtype) == "datetime64[ms, UTC]"
        assert day["timestamp"].is_monotonic_increasing
        assert not day.isna().any(axis=None)
        assert day["building_id"].value_counts().to_dict() == (24 * 60 // intervals).to_dict()
        assert not day.duplicated(["timestamp", "building_id"]).any()


def test_the_same_seed_writes_the_same_bytes_and_another_seed_others(tmp_path):
    def digest(seed: int, name: str) -> str:
        out = tmp_path / name
        write_simulation(out, buildings=5, days=3, start=date(2024, 1, 1), seed=seed, faults=0.05)
        files = [out, out.with_suffix(".buildings.csv"), out.with_suffix(".faults.csv")]
        return sha256(b"".join(file.read_bytes() for file in files)).hexdigest()

    assert digest(1, "a.parquet") == digest(1, "b.parquet")
    assert digest(1, "a.parquet") != digest(2, "c.parquet")


def test_a_building_is_the_same_whatever_the_number_of_others_and_of_days():
    few, many = readings(buildings=3, days=2), readings(buildings=30, days=4)
    ids, days = few["building_id"].unique(), few["timestamp"].max()
    same = many[many["building_id"].isin(ids) & (many["timestamp"] <= days)].reset_index(drop=True)
    pd.testing.assert_frame_equal(few, same)


def test_days_come_one_by_one_without_making_the_rest():
    made = simulate(buildings=2, days=60_000, start=date(2024, 1, 1), seed=0)
    assert [len(day) for day in islice(made.days, 2)] == [48, 48]


def test_people_come_on_working_days_of_their_own_time_zone():
    rows = readings(buildings=60, days=14, start=date(2024, 3, 4))
    offices = rows[rows["building_type"] == "office"]
    local = pd.concat(
        [part["timestamp"].dt.tz_convert(zone).dt.tz_localize(None) for zone, part in offices.groupby("timezone")]
    )
    offices = offices.assign(local=local)
    assert offices["timezone"].nunique() >= 3
    for _, site in offices.groupby("timezone"):
        working = site[site["local"].dt.weekday < 5]
        by_hour = working.groupby(working["local"].dt.hour)["occupancy"].mean()
        assert by_hour[11] > 5 * by_hour[3]
        assert by_hour[15] > 5 * by_hour[22]
        sunday = site[(site["local"].dt.weekday == 6) & (site["local"].dt.hour == 11)]["occupancy"].mean()
        assert sunday < 0.3 * by_hour[11]
        energy = working.groupby(working["local"].dt.hour)["energy_usage_kwh"].mean()
        assert energy[11] > 1.5 * energy[3]


def test_local_hours_follow_daylight_saving_time():
    before, after = (local_clock("Europe/Berlin", "DE", "", date(2024, 3, day)) for day in (30, 31))
    assert before.hour[8 * 60] == 9
    assert after.hour[8 * 60] == 10
    assert after.hour[59] == pytest.approx(1 + 59 / 60)
    assert after.hour[60] == 3
    autumn = local_clock("Europe/London", "GB", "", date(2024, 10, 27))
    assert autumn.hour[0 * 60 + 30] == autumn.hour[1 * 60 + 30] == 1.5


def test_public_holidays_and_closures_are_days_of_rest_of_the_local_date():
    christmas = date(2024, 12, 25)
    assert local_clock("Europe/London", "GB", "", christmas).is_rest.all()
    new_york = local_clock("America/New_York", "US", "", christmas).is_rest
    assert not new_york[: 5 * 60].any()
    assert new_york[5 * 60 :].all()
    assert not local_clock("Europe/London", "GB", "", date(2024, 12, 27)).is_rest.any()
    assert local_clock("Europe/London", "GB", "12-24 12-27", date(2024, 12, 27)).is_rest.all()
    assert not local_clock("Europe/Berlin", "DE", "", date(2024, 7, 4)).is_rest.any()


def test_cold_and_heat_cost_energy_at_the_same_hour():
    rows = readings(buildings=42, days=366, start=date(2024, 1, 1))
    noon = rows[(rows["timestamp"].dt.hour == 2) & rows["building_type"].isin(["hospital", "residential"])]
    relative = noon["energy_usage_kwh"] / noon.groupby("building_id")["energy_usage_kwh"].transform("mean")
    cold, mild = noon["temperature_c"] < 2, noon["temperature_c"].between(14, 18)
    assert cold.sum() > 50
    assert relative[cold].mean() > 1.1 * relative[mild].mean()
    hospitals = rows[(rows["building_type"] == "hospital") & (rows["timestamp"].dt.weekday < 5)]
    share = hospitals["energy_usage_kwh"] / hospitals.groupby("building_id")["energy_usage_kwh"].transform("mean")
    assert share[hospitals["temperature_c"] > 26].mean() > share[hospitals["temperature_c"].between(14, 18)].mean()


def test_energy_belongs_to_the_interval():
    quarter, hour = (readings(buildings=10, days=7, interval_minutes=minutes) for minutes in (15, 60))
    sums = [rows.groupby("building_id")["energy_usage_kwh"].sum() for rows in (quarter, hour)]
    np.testing.assert_allclose(sums[0], sums[1], rtol=0.1)
    assert quarter["energy_usage_kwh"].mean() < hour["energy_usage_kwh"].mean() / 3


def test_readings_stay_plausible_over_years():
    rows = readings(buildings=7, days=366 + 365)
    assert rows["temperature_c"].between(-40, 50).all()
    assert rows["humidity_pct"].between(0, 100).all()
    assert (rows["occupancy"] >= 0).all()
    assert (rows["energy_usage_kwh"] > 0).all()
    by_year = rows.groupby(["building_id", rows["timestamp"].dt.year])["energy_usage_kwh"].mean().unstack()
    assert (by_year.max(axis=1) < 1.2 * by_year.min(axis=1)).all()


def test_the_fault_log_says_what_differs_from_faultless_readings():
    clean, made = (simulate(buildings=20, days=20, start=date(2024, 1, 1), seed=3, faults=share) for share in (0, 0.1))
    key = ["timestamp", "building_id"]
    true, faulty = (
        pd.concat(list(simulation.days)).astype({"building_id": str}).set_index(key) for simulation in (clean, made)
    )
    kind = pd.Series("", true.index)
    for event in made.faults.itertuples():
        hours = pd.date_range(event.start, event.end, freq="h", inclusive="left")
        kind.loc[[(hour, event.building_id) for hour in hours]] = event.kind
    assert set(made.faults["kind"]) == {"stuck_meter", "missing_readings", "false_zero", "missing_temperature", "spike"}
    assert (kind != "").mean() == pytest.approx(0.1, abs=0.04)
    assert set(true.index.difference(faulty.index)) == set(kind.index[kind == "missing_readings"])
    seen = faulty.reindex(true.index)
    pd.testing.assert_frame_equal(seen[kind == ""], true[kind == ""])
    assert (seen["energy_usage_kwh"][kind == "false_zero"] == 0).all()
    assert seen["temperature_c"][kind == "missing_temperature"].isna().all()
    spikes = kind == "spike"
    np.testing.assert_allclose(seen["energy_usage_kwh"][spikes], 15 * true["energy_usage_kwh"][spikes], rtol=1e-5)
    for event in made.faults[made.faults["kind"] == "stuck_meter"].itertuples():
        during = faulty.xs(event.building_id, level="building_id").loc[event.start : event.end - pd.Timedelta("1h")]
        assert during["energy_usage_kwh"].nunique() == 1
        assert during["energy_usage_kwh"].iloc[0] == true.loc[(event.start, event.building_id), "energy_usage_kwh"]


def test_without_faults_the_log_is_empty_and_no_log_is_written(tmp_path):
    assert simulate(buildings=3, days=3, start=date(2024, 1, 1), seed=0).faults.empty
    write_simulation(tmp_path / "a.parquet", buildings=1, days=1, start=date(2024, 1, 1))
    assert not (tmp_path / "a.faults.csv").exists()


def test_a_written_simulation_has_a_row_group_per_day_and_can_be_replayed(tmp_path):
    out, seen = tmp_path / "new" / "sim.parquet", []
    rows = write_simulation(
        out, buildings=4, days=3, start=date(2024, 1, 1), interval_minutes=15, seed=2, faults=0.4, progress=seen.append
    )
    assert seen == [1, 2, 3]
    assert pq.ParquetFile(out).metadata.num_row_groups == 3
    metadata = pd.read_csv(tmp_path / "new" / "sim.buildings.csv")
    assert set(metadata["reading_interval_minutes"]) == {15}
    counts = counts_of(records(recording(out), Faults(), 0))
    assert counts.sent == counts.expected_accepted == rows
    assert 0.5 * 4 * 3 * 96 < rows < 4 * 3 * 96


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ({"interval_minutes": 7}, "divide"),
        ({"interval_minutes": 0}, "divide"),
        ({"faults": 0.6}, "share"),
        ({"days": 0}, "day"),
    ],
)
def test_impossible_wishes_are_refused(option, reason):
    with pytest.raises(ValueError, match=reason):
        simulate(**({"buildings": 1, "days": 1, "start": date(2024, 1, 1)} | option))
