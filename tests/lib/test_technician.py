"""The commands of whoever looks after the meters: the same verdicts as those of ingest, in words."""

import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from rich.console import Console
from tests.jobs.test_ingest import ARRIVAL, RIGHT, WRONG, message
from tests.lib.test_devices import NOW, hourly, lake, rejected

from wattcast.contracts import contract
from wattcast.devices import Device, Devices
from wattcast.technician import _table, judged
from wattcast.verdicts import MOST_BYTES, MOST_PAYLOADS, TooMuch, payloads, reasons

LINES = {
    name: (payload, rules)
    for name, (payload, rules) in WRONG.items()
    if payload and len(payload.split()) and b"\n" not in payload
}
Ran = subprocess.CompletedProcess[bytes]


def wattcast(*arguments: str, state: Path, piped: bytes = b"", **variables: str) -> Ran:
    program = Path(sys.executable).with_name("wattcast")
    environment = os.environ | {"WATTCAST_STATE": str(state)} | variables
    return subprocess.run([program, *arguments], input=piped, env=environment, capture_output=True, timeout=300)


def building(name: str, *, allows_negative_energy: bool) -> tuple[Any, ...]:
    known = {"building_id": name, "allows_negative_energy": allows_negative_energy}
    return tuple(known.get(column) for column in contract("buildings").column_names)


def test_verdicts_are_those_of_ingest_for_every_kind_of_record(spark: SparkSession) -> None:
    buildings = [building("solar", allows_negative_energy=True), building("strict", allows_negative_energy=False)]
    found = judged(spark, [payload for payload, _ in WRONG.values()], ARRIVAL, buildings)
    assert dict(zip(WRONG, map(list, found), strict=True)) == {name: rules for name, (_, rules) in WRONG.items()}
    assert set(judged(spark, list(RIGHT.values()), ARRIVAL, buildings)) == {()}


def test_every_refused_record_has_a_reason_for_each_rule_that_it_breaks(spark: SparkSession) -> None:
    topic = contract("readings")
    for payload, rules in WRONG.values():
        told = reasons(rules, payload or b"", topic)
        assert len(told) == len(rules)
        for rule, reason in zip(rules, told, strict=True):
            name, _, kind = rule.partition(".")
            assert reason.startswith(name) if kind else reason[0].isupper(), rule
            assert reason.endswith(".")
            assert "breaks the rule" not in reason, rule
            assert len(reason) < 200


@pytest.mark.parametrize(
    ("fields", "rule", "reason"),
    [
        ({"humidity_pct": 101}, "humidity_pct.out_of_range", "humidity_pct is 101; it must lie between 0 and 100 %."),
        ({"temperature_c": "mild"}, "temperature_c.wrong_type", 'temperature_c is "mild"; it must be a number.'),
        ({}, "energy_usage_kwh.missing", "energy_usage_kwh is missing: Energy used in the interval; net of own generation "
         "where metadata allows it to be negative."),
        ({"schema_version": 2}, "schema_version.out_of_range", "schema_version is 2; it must lie at 1."),
        ({"measured_at": "2026-03-01T10:12:00Z"}, "measured_at.in_future",
         'measured_at is "2026-03-01T10:12:00Z": stamped more than 10 minutes after its own arrival.'),
        ({"building_id": "b" * 129}, "building_id.bad_length",
         f'building_id is "{"b" * 39}…; it must have 1 to 128 characters.'),
    ],
)  # fmt: skip
def test_a_reason_names_the_field_what_it_holds_and_the_limit(fields: dict[str, Any], rule: str, reason: str) -> None:
    assert reasons([rule], json.dumps(fields).encode(), contract("readings")) == [reason]


def test_a_mark_of_an_editor_and_an_array_of_readings_are_named(spark: SparkSession) -> None:
    for payload, sentence in (
        (b"\xef\xbb\xbf" + message(), "It begins with a byte order mark, which JSON has not."),
        (b"[" + message() + b"]", "Send each reading of an array as a record of its own."),
    ):
        (rules,) = judged(spark, [payload], ARRIVAL)
        (told,) = reasons(rules, payload, contract("readings"))
        assert told.endswith(sentence)


def test_the_command_judges_each_line_and_fails_if_one_is_refused(tmp_path: Path) -> None:
    lines = [*(payload for payload, _ in LINES.values()), *RIGHT.values()]
    file = tmp_path / "readings.jsonl"
    file.write_bytes(b"\n".join(lines))
    lake(tmp_path / "lake", [], buildings=[])
    done = wattcast("check-reading", str(file), "--arrived-at", "2026-03-01T10:01Z", "--json", state=tmp_path)
    assert done.returncode == 1, done.stderr
    told = [[each["rule"] for each in record["broken"]] for record in json.loads(done.stdout)["records"]]
    known = [*(rules for _, rules in LINES.values()), *([] for _ in RIGHT)]
    known[lines.index(RIGHT["solar"])] = ["energy_usage_kwh.negative"]  # this lake has no metadata that allow it
    assert told == known


def test_one_object_over_several_lines_is_one_record_and_is_accepted(tmp_path: Path) -> None:
    pretty = json.dumps(json.loads(message()), indent=2).encode()
    done = wattcast("check-reading", "-", state=tmp_path, piped=pretty)
    assert (done.returncode, done.stdout) == (0, b"record 1: accepted\n"), done.stderr


def test_lines_of_a_file_are_records_and_what_is_one_value_or_none_is_one() -> None:
    good = message()
    assert payloads(good + b"\n\n" + good + b"\r\n") == [good, good]
    assert payloads(good + b"\nrubbish") == [good, b"rubbish"]
    assert payloads(b'{"a":\n 1}\n') == [b'{"a":\n 1}\n']
    assert payloads(b"{\n\xff\x00\n") == [b"{\n\xff\x00\n"]
    assert payloads(b'{"a": 1,\n"b": [\n1\n]') == [b'{"a": 1,\n"b": [\n1\n]']
    assert payloads(b'{"a": 1,\n{"a": 2,\n') == [b'{"a": 1,', b'{"a": 2,']
    assert payloads(b"rubbish\nmore\n") == [b"rubbish", b"more"]
    assert payloads(b"") == [b""]
    assert len(payloads(b"[" * 100_000 + b"\n" + b"[" * 100_000)) == 1
    with pytest.raises(TooMuch, match="10,001 records"):
        payloads(b"{}\n" * (MOST_PAYLOADS + 1))


@given(st.binary(max_size=200))
def test_no_bytes_are_lost_but_line_ends(content: bytes) -> None:
    assert b"\n".join(payloads(content)).split() == content.split()


def test_what_cannot_be_checked_is_refused_by_one_sentence(tmp_path: Path) -> None:
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    refused = {
        (str(tmp_path / "nowhere"),): "cannot be read: No such file or directory.",
        (str(tmp_path),): "cannot be read: Is a directory.",
        (str(huge),): "has more than 32 MiB: check a part of it.",
        ("-", "--arrived-at", "noon"): "noon is no time of ISO 8601",
        ("-", "--arrived-at", "9999-12-31T23:00-10:00"): "does not lie in the years 1970 to 2199",
    }
    for arguments, sentence in refused.items():
        done = wattcast("check-reading", *arguments, state=tmp_path)
        assert done.returncode == 2
        assert sentence in done.stderr.decode()
        assert len(done.stderr.splitlines()) == 1


def test_devices_are_shown_as_a_table_and_as_json(tmp_path: Path) -> None:
    at = NOW.isoformat()
    lake(
        tmp_path / "lake",
        [*hourly("well"), *hourly("gone", until=datetime(2026, 3, 10, 6, 1, tzinfo=UTC)), rejected("well", "not_json")],
    )
    shown = wattcast("devices", "--json", "--state", "silent", state=tmp_path)
    told = json.loads(shown.stdout)
    (item,) = told["items"]
    assert (told["as_of"], item["device_id"], item["state"]) == ("2026-03-10T12:01:00.000000Z", "gone", "silent")
    assert item["last_seen_at"] == "2026-03-10T06:01:00.000000Z"
    table = wattcast("devices", "--as-of", at, "--building", "b1", state=tmp_path, COLUMNS="80").stdout.decode()
    assert "24 readings, 1 rejected, the last for not_json" in table
    assert "2 devices" in table
    unknown = wattcast("devices", "--building", "../b1", state=tmp_path)
    assert unknown.returncode == 2
    assert unknown.stderr.startswith(
        b"No record of a building ../b1 that names its device arrived in the 30 days before."
    )


def test_devices_can_be_read_in_eighty_columns_whatever_their_names() -> None:
    names = ("meter[/x]", "university-building-17-main-meter", "\x1b[31mred")
    rules = ("energy_usage_kwh.out_of_range", "temperature_c.wrong_type")
    shown = [
        Device(name, "university-building-17", NOW, NOW, 24, 2, rules, 0.31, 30.0, None, 2, 120.0, "rejected")
        for name in names
    ]
    console = Console(width=80, file=io.StringIO())
    console.print(_table(Devices(NOW, tuple(shown), 0), shown))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert sum("│ rejected │ 2026-03-10 12:01 │" in line for line in lines) == 3
    cells = [line.strip("│").split("│") for line in lines if line.startswith("│")]
    read = ["".join(row[column].strip() for row in cells) for column in (1, 4)]
    assert read[0] == r"meter[/x]university-building-17-main-meter\x1b[31mred"
    words = "24readings,2gapsof120minatmost,31%late,thesameenergyfor30h,2rejected,thelastfor" + ",".join(rules)
    assert read[1].replace(" ", "") == words * 3
    (heading,) = [line for line in lines if "last seen" in line]
    assert [name.strip() for name in heading.strip("┃").split("┃")] == [
        "building",
        "device",
        "state",
        "last seen",
        "last 24 h",
    ]


def test_devices_of_no_lake_and_of_an_unknown_state_are_refused_by_one_sentence(tmp_path: Path) -> None:
    for arguments, sentence in (
        ((), "Nothing has been received yet"),
        (("--state", "dead"), "There is no state dead"),
        (("--as-of", "x"), "no time"),
        (("--as-of", "0001-01-01"), "does not lie in the years 1970 to 2199"),
    ):
        done = wattcast("devices", *arguments, state=tmp_path)
        assert done.returncode == 2
        assert sentence in done.stderr.decode()
        assert len(done.stderr.splitlines()) == 1
