"""Ingest with a real broker: each record becomes one row, whatever its content, and the stream continues."""

import hashlib
import json
import shutil
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from jobs.ingest import INGEST
from pyspark.sql import Row
from tests.jobs.steps import at, put_buildings, reading, recreate, send, work

from wattcast.broker import TopicRecreated
from wattcast.ingest.validation import RAW_PAYLOAD_BYTES
from wattcast.runtime.context import Run

ARRIVAL = at("2026-03-01T10:01")
HOUR = "2026-03-01T09:00"


def message(**changes: Any) -> bytes:
    """A valid reading with some fields changed; a field set to `...` is left out."""
    fields = json.loads(reading("b1", HOUR, 1.5)) | changes
    return json.dumps({name: value for name, value in fields.items() if value is not ...}).encode()


def raw(energy: str) -> bytes:
    """A reading with this text in place of the energy."""
    return message(energy_usage_kwh=0).replace(b": 0}", b": " + energy.encode() + b"}")


WRONG = {
    "not json": (b"meter says: all fine", ["not_json"]),
    "truncated": (message()[:40], ["not_json"]),
    "two objects": (message() + b" " + message(), ["not_json"]),
    "two objects with a comma": (message() + b"," + message(), ["not_json"]),
    "something behind it": (message() + b"]", ["not_json"]),
    "text behind it": (message() + b',"end"', ["not_json"]),
    "the end of a list behind it": (message() + b',"end"] and more', ["not_json"]),
    "duplicate key": (b'{"building_id": "b0", ' + message()[1:], ["not_json"]),
    "nested beyond reason": (b"[" * 30_000, ["not_json"]),
    "empty": (b"", ["empty_value"]),
    "null payload": (None, ["empty_value"]),
    "spaces": (b"  ", ["empty_value"]),
    "white space": (b" \r\n\t", ["empty_value"]),
    "array": (b"[" + message() + b"]", ["not_an_object"]),
    "json null": (b"null", ["not_an_object"]),
    "json text": (b'"b1"', ["not_an_object"]),
    "json number": (b"12", ["not_an_object"]),
    "no fields": (b"{}", ["building_id.missing", "measured_at.missing", "energy_usage_kwh.missing"]),
    "only nulls": (
        message(building_id=None, measured_at=None, energy_usage_kwh=None),
        ["building_id.missing", "measured_at.missing", "energy_usage_kwh.missing"],
    ),
    "without building": (message(building_id=...), ["building_id.missing"]),
    "without time": (message(measured_at=...), ["measured_at.missing"]),
    "without energy": (message(energy_usage_kwh=...), ["energy_usage_kwh.missing"]),
    "wrong types": (
        message(schema_version=True, building_id=7, device_id={}, measured_at=1772355600, temperature_c="mild",
                humidity_pct=[50], occupancy=False, energy_usage_kwh={"kwh": 1}),
        ["schema_version.wrong_type", "building_id.wrong_type", "device_id.wrong_type", "measured_at.wrong_type",
         "temperature_c.wrong_type", "humidity_pct.wrong_type", "occupancy.wrong_type", "energy_usage_kwh.wrong_type"],
    ),
    "numbers as text": (
        message(temperature_c="20", energy_usage_kwh="1.5"),
        ["temperature_c.wrong_type", "energy_usage_kwh.wrong_type"],
    ),
    "nan": (raw("NaN"), ["not_json", "non_finite_number"]),
    "infinity": (raw("Infinity"), ["not_json", "non_finite_number"]),
    "minus infinity": (raw("-Infinity"), ["not_json", "non_finite_number"]),
    "beyond a double": (raw("1e999"), ["energy_usage_kwh.out_of_range"]),
    "thirty digits": (raw("9" * 30), ["energy_usage_kwh.out_of_range"]),
    "fifty digits": (raw("9" * 50), ["energy_usage_kwh.out_of_range"]),
    "two thousand digits": (raw("9" * 2000), ["not_json"]),
    "version beyond an integer": (message(schema_version=10**12), ["schema_version.out_of_range"]),
    "version of the future": (message(schema_version=2), ["schema_version.out_of_range"]),
    "too hot": (message(temperature_c=60.5), ["temperature_c.out_of_range"]),
    "too cold": (message(temperature_c=-61), ["temperature_c.out_of_range"]),
    "too humid": (message(humidity_pct=100.1), ["humidity_pct.out_of_range"]),
    "fewer than no people": (message(occupancy=-1), ["occupancy.out_of_range"]),
    "too much energy": (message(energy_usage_kwh=1_000_001), ["energy_usage_kwh.out_of_range"]),
    "negative energy": (message(energy_usage_kwh=-0.1), ["energy_usage_kwh.negative"]),
    "negative energy where metadata forbids it": (
        message(building_id="strict", energy_usage_kwh=-0.1),
        ["energy_usage_kwh.negative"],
    ),
    "several at once": (
        message(measured_at="2026-03-01T10:12:00Z", humidity_pct=101, energy_usage_kwh=-5),
        ["humidity_pct.out_of_range", "measured_at.in_future", "energy_usage_kwh.negative"],
    ),
    "without zone": (message(measured_at="2026-03-01T09:00:00"), ["measured_at.without_zone"]),
    "only a date": (message(measured_at="2026-03-01"), ["measured_at.without_zone"]),
    "zone of another planet": (message(measured_at="2026-03-01T09:00:00+25:00"), ["measured_at.unreadable"]),
    "month 13": (message(measured_at="2026-13-01T09:00:00Z"), ["measured_at.unreadable"]),
    "no time at all": (message(measured_at="yesterdayZ"), ["measured_at.unreadable"]),
    "without a date": (message(measured_at="00:00:00Z"), ["measured_at.unreadable"]),
    "one digit for two": (message(measured_at="2026-1-6T1:2:3Z"), ["measured_at.unreadable"]),
    "leading blank": (message(measured_at=" 2026-03-01T09:00:00Z"), ["measured_at.unreadable"]),
    "line break behind the time": (message(measured_at="2026-03-01T09:00:00Z\n"), ["measured_at.unreadable"]),
    "two zones": (message(measured_at="2026-03-01T09:00:00UTC+00:00"), ["measured_at.unreadable"]),
    "year 1970": (message(measured_at="1970-01-01T00:00:00Z"), ["measured_at.out_of_range"]),
    "year 9999": (message(measured_at="9999-12-31T23:00:00Z"), ["measured_at.out_of_range"]),
    "eleven minutes ahead": (message(measured_at="2026-03-01T10:11:01Z"), ["measured_at.in_future"]),
    "nameless": (message(building_id=""), ["building_id.bad_length"]),
    "long name": (message(building_id="b" * 129), ["building_id.bad_length"]),
    "control character": (message(building_id="b\u0000"), ["building_id.bad_pattern"]),
    "line break in the device": (message(device_id="m\n1"), ["device_id.bad_pattern"]),
    "line break behind the building": (message(building_id="b1\n"), ["building_id.bad_pattern"]),
    "line break behind the device": (message(device_id="m1\n"), ["device_id.bad_pattern"]),
    "invalid utf-8": (message().replace(b"b1", b"b\xff\xfe"), ["invalid_utf8"]),
    "surrogate as bytes": (message().replace(b"b1", b"b\xed\xa0\x80"), ["invalid_utf8"]),
    "lone surrogate": (message(building_id="b\ud800"), ["not_json"]),
    "byte beyond the limit": (message(note="x" * (65_537 - len(message(note="")))), ["too_large"]),
    "one megabyte": (message(note="x" * 1_000_000), ["too_large"]),
}  # fmt: skip

RIGHT = {
    "plain": message(),
    "exact duplicate": message(),
    "correction": message(energy_usage_kwh=2),
    "unknown fields": message(firmware="1.2", nested={"energy_usage_kwh": [1, None, {"deep": True}]}),
    "nested hundred times": message(note=json.loads("[" * 100 + "]" * 100)),
    "all fields": message(schema_version=1, device_id="m1", temperature_c=-3.5, humidity_pct=100, occupancy=0),
    "optional nulls": message(
        schema_version=None, device_id=None, temperature_c=None, humidity_pct=None, occupancy=None
    ),
    "offset": message(measured_at="2026-03-01T14:30:00+05:30"),
    "offset without colon": message(measured_at="2026-03-01T04:00:00-0500"),
    "minutes alone": message(measured_at="2026-03-01T09:00Z"),
    "blank before the hour": message(measured_at="2026-03-01 09:00:00+00:00"),
    "nanoseconds": message(measured_at="2026-03-01T09:00:00.000000000Z"),
    "day of a change of clocks": message(measured_at="2025-10-26T02:30:00+01:00"),
    "a year late": message(measured_at="2025-03-01T09:00:00Z"),
    "ten minutes ahead": message(measured_at="2026-03-01T10:11:00Z"),
    "building never seen": message(building_id="Gebäude 9"),
    "solar": message(building_id="solar", energy_usage_kwh=-2.5),
    "exponent": raw("1.5e2"),
    "largest": message(note="x" * (65_536 - len(message(note="")))),
}

TYPED = ("building_id", "device_id", "measured_at", "temperature_c", "humidity_pct", "occupancy", "energy_usage_kwh")


def rows_of(run: Run, table: str = "received_readings") -> list[Row]:
    """The rows in the order of their offsets."""
    return run.lake.table(table).orderBy("kafka_partition", "kafka_offset").collect()


def test_each_kind_of_record_is_checked_against_every_rule_and_the_stream_continues(once: Run) -> None:
    put_buildings(
        once,
        {"building_id": "solar", "allows_negative_energy": True},
        {"building_id": "strict", "allows_negative_energy": False},
        {"building_id": "b1"},
    )
    wrong = [payload for payload, _ in WRONG.values()]
    topic = once.settings.kafka.readings_topic
    send(once.broker, topic, [*wrong, *RIGHT.values()], arrival=ARRIVAL)
    work(once, INGEST)
    rows = rows_of(once)
    assert len({row.kafka_partition for row in rows}) == 1
    assert [row.kafka_offset for row in rows] == list(range(len(WRONG) + len(RIGHT)))
    assert {(row.kafka_topic, row.kafka_timestamp) for row in rows} == {(topic, ARRIVAL.replace(tzinfo=None))}
    rejected, accepted = rows[: len(WRONG)], rows[len(WRONG) :]
    broken = {name: row.rejected_for for name, row in zip(WRONG, rejected, strict=True)}
    assert broken == {name: rules for name, (_, rules) in WRONG.items()}
    assert not any(row.accepted for row in rejected)
    assert {name: row.rejected_for for name, row in zip(RIGHT, accepted, strict=True)} == {name: [] for name in RIGHT}
    assert all(row.accepted for row in accepted)
    payloads = [(row.raw_payload, row.payload_bytes, row.payload_sha256) for row in rejected]
    assert payloads == [_payload_columns(payload) for payload, _ in WRONG.values()]
    undecodable = {
        row.rejected_for[0]: (row.building_id, row.device_id) for row in rejected if "." not in row.rejected_for[0]
    }
    assert undecodable.keys() >= {"invalid_utf8", "not_json"}
    assert set(undecodable.values()) == {(None, None)}
    several = rejected[list(WRONG).index("several at once")]
    assert _typed(several) == _read(("b1", "b1", "2026-03-01T10:12", None, None, None, -5.0))
    plain = ("b1", "b1", "2026-03-01T09:00", None, None, None, 1.5)
    typed = {
        "correction": (*plain[:6], 2.0),
        "all fields": ("b1", "m1", "2026-03-01T09:00", -3.5, 100.0, 0.0, 1.5),
        "day of a change of clocks": ("b1", "b1", "2025-10-26T01:30", *plain[3:]),
        "a year late": ("b1", "b1", "2025-03-01T09:00", *plain[3:]),
        "ten minutes ahead": ("b1", "b1", "2026-03-01T10:11", *plain[3:]),
        "building never seen": ("Gebäude 9", "Gebäude 9", *plain[2:]),
        "solar": ("solar", "solar", *plain[2:6], -2.5),
        "exponent": (*plain[:6], 150.0),
    }
    values = {name: _typed(row) for name, row in zip(RIGHT, accepted, strict=True)}
    assert values == {name: _read(typed.get(name, plain)) for name in RIGHT}
    assert {(row.raw_payload, row.payload_sha256) for row in accepted} == {(None, None)}
    assert [row.payload_bytes for row in accepted] == [len(payload) for payload in RIGHT.values()]


def _typed(row: Row) -> tuple[Any, ...]:
    return tuple(row[column] for column in TYPED)


def _read(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*values[:2], datetime.fromisoformat(values[2]), *values[3:])


def _payload_columns(payload: bytes | None) -> tuple[bytes | None, int | None, str | None]:
    """raw_payload, payload_bytes and payload_sha256 of a rejected record."""
    if payload is None:
        return None, None, None
    return payload[:RAW_PAYLOAD_BYTES], len(payload), hashlib.sha256(payload).hexdigest()


FORECAST = {
    "site": "s1",
    "issued_at": "2026-03-01T10:00:00Z",
    "target_hour": "2026-03-01T11:00:00Z",
    "temperature_c": 7,
}
OF_WEATHER = {
    "plain": (FORECAST, []),
    "unknown field": (FORECAST | {"wind": 3}, []),
    "for a past hour": (FORECAST | {"target_hour": "2026-02-01T00:00:00+01:00"}, []),
    "without site": (FORECAST | {"site": None}, ["site.missing"]),
    "without hours": (
        {"site": "s1", "temperature_c": "mild"},
        ["issued_at.missing", "target_hour.missing", "temperature_c.wrong_type"],
    ),
    "issued in the future": (FORECAST | {"issued_at": "2026-03-01T10:12:00Z"}, ["issued_at.in_future"]),
    "too hot": (FORECAST | {"temperature_c": 61, "humidity_pct": -1}, [
        "temperature_c.out_of_range", "humidity_pct.out_of_range",
    ]),
    "no object": ([FORECAST], ["not_an_object"]),
}  # fmt: skip


def test_weather_forecasts_are_checked_in_the_same_way(once: Run) -> None:
    payloads = [json.dumps(fields).encode() for fields, _ in OF_WEATHER.values()]
    send(once.broker, once.settings.kafka.weather_forecasts_topic, [*payloads, b"rain"], arrival=ARRIVAL)
    work(once, INGEST)
    rows = rows_of(once, "received_weather_forecasts")
    assert [row.rejected_for for row in rows] == [*(rules for _, rules in OF_WEATHER.values()), ["not_json"]]
    assert [row.accepted for row in rows] == [True] * 3 + [False] * 6
    assert [row.raw_payload for row in rows] == [None] * 3 + [*payloads[3:], b"rain"]
    future = ("s1", datetime(2026, 3, 1, 10), datetime(2026, 3, 1, 11), 7.0, None)
    past = (*future[:2], datetime(2026, 1, 31, 23), 7.0, None)
    columns = ("site", "issued_at", "target_hour", "temperature_c", "humidity_pct")
    assert [tuple(row[name] for name in columns) for row in rows[:3]] == [future, future, past]


def test_a_query_without_its_checkpoint_continues_after_the_last_offset_of_the_table(once: Run) -> None:
    topic = once.settings.kafka.readings_topic
    send(once.broker, topic, [message(), b"rubbish"], arrival=ARRIVAL)
    send(once.broker, topic, [message(), b"rubbish"], arrival=ARRIVAL, key=b"of another partition")
    work(once, INGEST)
    first = rows_of(once)
    shutil.rmtree(f"{once.settings.checkpoints_uri}/ingest")
    send(once.broker, topic, [message(energy_usage_kwh=2), b"more"], arrival=ARRIVAL + timedelta(hours=1))
    work(once, INGEST)
    every = rows_of(once)
    places = Counter((row.kafka_partition, row.kafka_offset) for row in every)
    spans = once.broker.offsets(topic)
    assert places == Counter((number, at) for number, (begins, ends) in spans.items() for at in range(begins, ends))
    assert [row for row in every if row.kafka_timestamp == ARRIVAL.replace(tzinfo=None)] == first
    assert len(first) == 4
    assert len(every) == 6


def test_a_recreated_topic_is_an_error_with_and_without_a_checkpoint(once: Run) -> None:
    topic = once.settings.kafka.readings_topic
    send(once.broker, topic, [message()] * 3, arrival=ARRIVAL)
    work(once, INGEST)
    recreate(once, topic)
    send(once.broker, topic, [message()], arrival=ARRIVAL)
    for _ in range(2):
        with pytest.raises(
            TopicRecreated, match=rf"^Topic {topic} was recreated: its id is .* a topic with a new name"
        ):
            work(once, INGEST)
        shutil.rmtree(f"{once.settings.checkpoints_uri}/ingest", ignore_errors=True)
    assert once.lake.table("received_readings").count() == 3
