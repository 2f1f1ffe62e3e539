"""The records of a replay: order, faults, messages."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from tests.lib.local.replay.recorded import frame, newest_of, sequence, written
from tests.lib.local.replay.truth import newest_values

from wattcast.local.replay.faults import CORRUPTIONS, Faults
from wattcast.local.replay.recordings import recording
from wattcast.local.replay.sequence import Record, records


def test_messages_carry_the_numbers_of_the_file_in_their_shortest_form(file):
    first = min(sequence(file, Faults()), key=lambda record: (record.measured_ms, record.key))
    recorded = frame().iloc[0]
    assert json.loads(first.value) == {
        "schema_version": 1,
        "building_id": "b0",
        "measured_at": "2024-03-30T00:00:00Z",
        "temperature_c": float(str(recorded["temperature_c"])),
        "humidity_pct": float(str(recorded["humidity_pct"])),
        "occupancy": None,
        "energy_usage_kwh": float(str(recorded["energy_usage_kwh"])),
    }
    assert first.key == b"b0"


def test_a_reading_arrives_within_a_minute_of_the_end_of_its_interval(file):
    late = {record.arrival_ms - record.measured_ms - 30 * 60_000 for record in sequence(file, Faults())}
    assert min(late) >= 1000
    assert max(late) <= 60_000


def test_arrival_never_goes_back_whatever_the_order_of_the_file(tmp_path):
    by_building = frame().assign(building_id=lambda rows: pd.Categorical(rows["building_id"]))
    shuffled = by_building.sample(frac=1, random_state=3)
    for readings in (by_building, shuffled):
        sent = sequence(written(readings, tmp_path / "readings.parquet"))
        arrivals = [record.arrival_ms for record in sent]
        assert arrivals == sorted(arrivals)
        assert sum(record.kind not in {"duplicated", "wrong", *CORRUPTIONS} for record in sent) == len(readings)


def test_the_same_seed_makes_the_same_records_and_another_seed_others(file):
    assert sequence(file, seed=1) == sequence(file, seed=1)
    assert sequence(file, seed=1) != sequence(file, seed=2)


def test_newest_accepted_values_equal_the_file_whatever_goes_wrong(file):
    found, truth = newest_of(sequence(file)), newest_values(recording(file))
    assert len(truth) == 3 * 4 * 24
    assert found["building_id"].tolist() == truth["building_id"].tolist()
    assert found["hour"].tolist() == truth["hour"].tolist()
    np.testing.assert_allclose(found["sum"], truth["energy_usage_kwh"], rtol=1e-12)
    recorded = frame().assign(hour=lambda rows: rows["timestamp"].dt.floor("h"))
    sums = recorded.groupby(["building_id", "hour"])[["energy_usage_kwh", "temperature_c"]].agg(
        {"energy_usage_kwh": "sum", "temperature_c": "mean"}
    )
    np.testing.assert_allclose(truth["energy_usage_kwh"], sums["energy_usage_kwh"], rtol=1e-6)
    np.testing.assert_allclose(truth["temperature_c"], sums["temperature_c"], rtol=1e-5, atol=1e-5)
    assert set(truth["readings"]) == {2}


def test_an_hour_with_a_missing_or_rejected_reading_is_no_complete_hour(tmp_path):
    readings = frame(buildings=1, days=1)
    readings.loc[2, "energy_usage_kwh"] = None
    readings.loc[5, "humidity_pct"] = 250
    truth = newest_values(recording(written(readings.drop(index=8), tmp_path / "readings.parquet")))
    missing = set(pd.date_range("2024-03-30", periods=24, freq="h", tz="UTC")) - set(truth["hour"])
    assert {time.hour for time in missing} == {1, 2, 4}


def test_faults_happen_as_often_and_as_late_as_they_are_said_to(file):
    sent = sequence(file)
    shares = Counter(record.kind for record in sent)
    for kind in ("disordered", "delayed", "duplicated", "corrected"):
        assert shares[kind] / (3 * 4 * 48) == pytest.approx(0.1, abs=0.05), kind
    late = pd.DataFrame(sent, columns=Record._fields).assign(
        minutes=lambda rows: (rows["arrival_ms"] - rows["measured_ms"]) / 60_000 - 30
    )
    by_kind = late.groupby("kind")["minutes"].agg(["min", "max"])
    assert by_kind.loc["on_time", "max"] <= 1
    assert by_kind.loc["disordered", "min"] > 31
    assert by_kind.loc["disordered", "max"] <= 93
    assert by_kind.loc["delayed", "min"] >= 120
    assert by_kind.loc["delayed", "max"] <= 48 * 60 + 1
    assert by_kind.loc["corrected", "min"] >= 60
    assert by_kind.loc["corrected", "max"] <= 24 * 60 + 1
    assert by_kind.loc["wrong", "max"] <= 1


def test_a_disordered_reading_arrives_after_its_successor(file):
    sent = sequence(file, Faults(disordered=0.3))
    place = {(record.key, record.measured_ms): number for number, record in enumerate(sent)}
    kind = {(record.key, record.measured_ms): record.kind for record in sent}
    checked = 0
    for (key, measured), number in place.items():
        successor = (key, measured + 30 * 60_000)
        if kind[key, measured] == "disordered" and kind.get(successor) == "on_time":
            assert place[successor] < number
            checked += 1
    assert checked > 50


def test_a_duplicate_is_the_same_bytes_again_and_a_wrong_value_differs_from_its_correction(file):
    sent = sequence(file)
    good = {(r.key, r.measured_ms): r.value for r in sent if r.kind in {"on_time", "corrected"}}
    assert {r.value == good[r.key, r.measured_ms] for r in sent if r.kind == "duplicated"} == {True}
    wrong = {(r.key, r.measured_ms): json.loads(r.value) for r in sent if r.kind == "wrong"}
    corrected = {(r.key, r.measured_ms) for r in sent if r.kind == "corrected"}
    assert set(wrong) == corrected
    for reading, message in wrong.items():
        right = json.loads(good[reading])
        assert message["energy_usage_kwh"] > right["energy_usage_kwh"] + 0.9
        assert message | {"energy_usage_kwh": 0} == right | {"energy_usage_kwh": 0}


def test_broken_records_come_in_turn_beside_the_good_ones(file):
    source = recording(file)
    broken = [record for record in records(source, Faults(corrupted=0.5), 0) if record.kind in CORRUPTIONS]
    counts = Counter(record.kind for record in broken)
    assert set(counts) == set(CORRUPTIONS)
    assert max(counts.values()) - min(counts.values()) <= 1
    assert {record.rejected_for == CORRUPTIONS[record.kind].rejected_for for record in broken} == {True}
    by_kind = {record.kind: record for record in broken}
    assert by_kind["null_value"].value is None
    assert by_kind["empty_value"].value == b""
    for kind in ("not_json", "truncated", "invalid_utf8"):
        with pytest.raises(ValueError, match=r"."):
            json.loads(by_kind[kind].value)
    assert isinstance(json.loads(by_kind["array"].value), list)
    assert isinstance(json.loads(by_kind["energy_as_text"].value)["energy_usage_kwh"], str)
    assert "building_id" not in json.loads(by_kind["without_building_id"].value)
    assert not json.loads(by_kind["without_zone"].value)["measured_at"].endswith("Z")
    assert b"NaN" in by_kind["nan_literal"].value
    stamp = datetime.fromisoformat(json.loads(by_kind["in_future"].value)["measured_at"])
    arrival = datetime.fromtimestamp(by_kind["in_future"].arrival_ms / 1000, UTC)
    assert stamp - arrival > timedelta(days=1)


def test_the_last_of_repeated_rows_of_a_file_counts(tmp_path):
    readings = frame(buildings=1, days=2)
    again = readings.iloc[10:60].assign(energy_usage_kwh=np.float32(7.5))
    path = written(pd.concat([readings, again]), tmp_path / "readings.parquet")
    sent = sequence(path)
    assert sum(record.kind not in {"duplicated", "wrong", *CORRUPTIONS} for record in sent) == 96 + 50
    np.testing.assert_allclose(newest_of(sent)["sum"], newest_values(recording(path))["energy_usage_kwh"])
    assert newest_values(recording(path))["energy_usage_kwh"].iloc[6] == 15


def test_a_device_of_the_file_goes_into_the_message(tmp_path):
    two = pd.concat([frame(buildings=1, days=1).assign(device_id=device) for device in ("main", 'top "1"')])
    path = written(two, tmp_path / "readings.parquet")
    devices = {json.loads(record.value)["device_id"] for record in sequence(path, Faults())}
    assert devices == {"main", 'top "1"'}
    truth = newest_values(recording(path))
    assert set(truth["readings"]) == {4}


def test_a_reading_without_a_device_among_others_names_none(tmp_path):
    readings = frame(buildings=1, days=1).assign(device_id=lambda rows: np.where(rows.index < 40, "main", None))
    sent = sequence(written(readings, tmp_path / "readings.parquet"), Faults())
    devices = Counter(json.loads(record.value)["device_id"] for record in sent)
    assert devices == {"main": 40, None: 8}
