import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from wattcast.broker import Broker
from wattcast.local.replay.counts import ReplayCounts, counts_of
from wattcast.local.replay.faults import CORRUPTIONS, Faults
from wattcast.local.replay.recorded_files import RecordingError
from wattcast.local.replay.recordings import recording
from wattcast.local.replay.replay import OtherReplayError, newest_values, replay
from wattcast.local.replay.sending import Pace, acknowledged
from wattcast.local.replay.sequence import Record, records
from wattcast.settings import Settings

ALL_FAULTS = Faults(disordered=0.1, delayed=0.1, duplicated=0.1, corrected=0.1, corrupted=0.1)


def frame(*, buildings: int = 3, days: int = 4, minutes: int = 30, seed: int = 0) -> pd.DataFrame:
    """Readings sorted by building, with occupancy unmeasured."""
    times = pd.date_range("2024-03-30", periods=days * 24 * 60 // minutes, freq=f"{minutes}min", tz="UTC")
    rng = np.random.default_rng(seed)
    rows = len(times) * buildings
    return pd.DataFrame(
        {
            "timestamp": np.tile(times.to_numpy("datetime64[ms]"), buildings),
            "building_id": np.repeat([f"b{number}" for number in range(buildings)], len(times)),
            "temperature_c": rng.normal(10, 5, rows).round(1).astype(np.float32),
            "humidity_pct": rng.uniform(30, 90, rows).round(1).astype(np.float32),
            "occupancy": np.full(rows, np.nan, np.float32),
            "energy_usage_kwh": rng.uniform(0, 200, rows).round(1).astype(np.float32),
        }
    ).assign(timestamp=lambda rows: rows["timestamp"].dt.tz_localize("UTC"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    frame().to_parquet(tmp_path / "readings.parquet")
    return tmp_path / "readings.parquet"


def written(readings: pd.DataFrame, path: Path) -> Path:
    readings.to_parquet(path) if path.suffix == ".parquet" else readings.to_csv(path, index=False)
    return path


def sequence(file: Path, faults: Faults = ALL_FAULTS, seed: int = 7, **selection) -> list[Record]:
    return list(records(recording(file, **selection), faults, seed))


def newest_of(sent: list[Record]) -> pd.DataFrame:
    """Hours of the newest accepted value per reading, worked out from the messages alone."""
    newest: dict[tuple[str, str], dict] = {}
    for record in sent:
        if not record.rejected_for:
            message = json.loads(record.value)
            newest[message["building_id"], message["measured_at"]] = message
    rows = pd.DataFrame(newest.values())
    rows["hour"] = pd.to_datetime(rows["measured_at"]).dt.floor("h")
    hours = rows.groupby(["building_id", "hour"])["energy_usage_kwh"].agg(["sum", "size"])
    return hours[hours["size"] == hours["size"].max()].reset_index()


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


def test_the_last_of_repeated_rows_of_a_file_counts(tmp_path):
    readings = frame(buildings=1, days=2)
    again = readings.iloc[10:60].assign(energy_usage_kwh=np.float32(7.5))
    path = written(pd.concat([readings, again]), tmp_path / "readings.parquet")
    sent = sequence(path)
    assert sum(record.kind not in {"duplicated", "wrong", *CORRUPTIONS} for record in sent) == 96 + 50
    np.testing.assert_allclose(newest_of(sent)["sum"], newest_values(recording(path))["energy_usage_kwh"])
    assert newest_values(recording(path))["energy_usage_kwh"].iloc[6] == 15


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
        with pytest.raises(RecordingError, match="without a zone"):
            recording(path)
        assert sequence(path, naive_is_utc=True) == sequence(file)


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


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda rows: rows.drop(columns="building_id"), "needs the columns"),
        (lambda rows: rows.drop(columns="energy_usage_kwh"), "needs the columns"),
        (lambda rows: rows.assign(energy_usage_kwh="lots"), "no number"),
        (lambda rows: rows.assign(energy_usage_kwh=np.inf), "infinite"),
        (lambda rows: rows.assign(timestamp="soonZ"), "no time"),
        (lambda rows: rows.assign(timestamp=range(len(rows))), "neither timestamps nor text"),
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


def test_shares_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="add up to 1"):
        Faults(disordered=0.5, delayed=0.4, duplicated=0.2)
    with pytest.raises(ValueError, match="between 0 and 1"):
        Faults(corrupted=-0.1)


class Clock:
    """Time that only waiting moves."""

    def __init__(self) -> None:
        self.now, self.waits = 100.0, []

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


class Ledger:
    """Takes records like a producer whose records are acknowledged when they are waited for."""

    def __init__(self, partitions: int = 3) -> None:
        self.sent: list[tuple[bytes, int | None, int]] = []
        self.pending = 0
        self.most_pending = 0
        self._partitions = partitions

    def send(self, topic, *, key, value, partition, timestamp_ms):
        self.sent.append((key, partition, timestamp_ms))
        self.pending += 1
        self.most_pending = max(self.most_pending, self.pending)
        return SimpleNamespace(get=lambda: self._acknowledge(key))

    def _acknowledge(self, key: bytes):
        self.pending -= 1
        return SimpleNamespace(partition=sum(key) % self._partitions)


def test_a_speed_of_3600_passes_an_hour_of_arrival_per_second(file):
    clock, ledger = Clock(), Ledger()
    pace = Pace(3600, clock, clock.wait)
    sent = sequence(file, Faults(), days=1)
    assert list(acknowledged(sent, ledger, "readings", pace))[-1] == len(sent)
    passed = (sent[-1].arrival_ms - sent[0].arrival_ms) / 1000 / 3600
    assert clock.now - 100 == pytest.approx(passed)
    with pytest.raises(ValueError, match="above zero"):
        Pace(0)


def test_no_more_than_two_windows_are_under_way_at_full_speed(tmp_path):
    path = written(frame(buildings=10, days=30, minutes=60), tmp_path / "readings.parquet")
    sent, ledger = sequence(path, Faults()), Ledger()
    done = list(acknowledged(sent, ledger, "readings", Pace(None)))
    assert done == sorted(done)
    assert done[-1] == len(sent) == 7200
    assert ledger.pending == 0
    assert 2000 <= ledger.most_pending <= 4100
    assert [record.arrival_ms for record in sent] == [arrival for _, _, arrival in ledger.sent]
    assert {partition for key, partition, _ in ledger.sent[-500:]} == {sum(record.key) % 3 for record in sent}


class StoppedError(Exception):
    """Whoever watches the replay has had enough."""


def consumed(broker: Broker, topic: str) -> list:
    """Every record that the topic holds."""
    consumer = broker.consumer(topic)
    try:
        return list(islice(consumer, sum(end for _, end in broker.offsets(topic).values())))
    finally:
        consumer.close()


@pytest.fixture
def broker(local_settings: Settings) -> Broker:
    broker = Broker(local_settings.kafka)
    broker.ensure_topics([local_settings.kafka.readings_topic])
    return broker


@pytest.fixture
def topic(local_settings: Settings) -> str:
    return local_settings.kafka.readings_topic


def test_kafka_holds_the_records_with_their_simulated_arrival_in_order(file, broker, topic):
    expected = sequence(file)
    seen = []
    counts = replay(
        recording(file), broker, topic=topic, seed=7, faults=Faults(0.1, 0.1, 0.1, 0.1, 0.1),
        progress=lambda share, sent: seen.append((share, sent)),
    )  # fmt: skip
    assert counts == counts_of(expected)
    found = consumed(broker, topic)
    as_sent = Counter((record.key, record.value, record.arrival_ms) for record in expected)
    assert Counter((record.key, record.value, record.timestamp) for record in found) == as_sent
    for partition in {record.partition for record in found}:
        arrivals = [record.timestamp for record in found if record.partition == partition]
        assert arrivals == sorted(arrivals)
    assert len({(record.key, record.partition) for record in found}) == 3
    assert seen[-1] == (1.0, counts.sent)


def test_a_stopped_replay_goes_on_where_kafka_had_acknowledged_it(tmp_path, broker, topic):
    path = written(frame(buildings=10, days=30, minutes=60), tmp_path / "readings.parquet")
    state = tmp_path / "state" / "replay.json"

    def stop(share: float, sent: int) -> None:
        if sent > 3000:
            raise StoppedError

    with pytest.raises(StoppedError):
        replay(recording(path), broker, topic=topic, state_file=state, progress=stop)
    acknowledged_before = json.loads(state.read_text())["acknowledged"]
    assert 3000 < acknowledged_before < 7200
    counts = replay(recording(path), broker, topic=topic, state_file=state)
    assert counts == counts_of(sequence(path, Faults(), seed=0))
    found = Counter((record.key, record.value) for record in consumed(broker, topic))
    assert len(found) == 7200
    assert found.total() <= 2 * 7200 - acknowledged_before
    assert replay(recording(path), broker, topic=topic, state_file=state) == counts
    assert sum(end for _, end in broker.offsets(topic).values()) == found.total()


def test_the_state_of_another_replay_is_refused(tmp_path, file, broker, topic):
    state = tmp_path / "replay.json"
    replay(recording(file, days=1), broker, topic=topic, state_file=state)
    with pytest.raises(OtherReplayError, match="other options"):
        replay(recording(file, days=2), broker, topic=topic, state_file=state)
    state.write_text("{}")
    with pytest.raises(OtherReplayError, match="no state of a replay"):
        replay(recording(file, days=1), broker, topic=topic, state_file=state)
