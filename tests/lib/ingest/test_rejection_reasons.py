"""Payloads of a file, and the reason for each rule that a record breaks."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.jobs.test_ingest import message

from wattcast.contracts import contract
from wattcast.ingest.rejection_reasons import MAX_RECORDS, TooManyRecords, records_of_file, rejection_reasons


@pytest.mark.parametrize(
    ("fields", "rule", "reason"),
    [
        ({"humidity_pct": 101}, "humidity_pct.out_of_range", "humidity_pct is 101; it must be between 0 and 100 %."),
        ({"temperature_c": "mild"}, "temperature_c.wrong_type", 'temperature_c is "mild"; it must be a number.'),
        ({}, "energy_usage_kwh.missing", "energy_usage_kwh is missing: Energy used in the interval; net of own generation "
         "where metadata allows it to be negative."),
        ({"schema_version": 2}, "schema_version.out_of_range", "schema_version is 2; it must be 1."),
        ({"measured_at": "2026-03-01T10:12:00Z"}, "measured_at.in_future",
         'measured_at is "2026-03-01T10:12:00Z": stamped more than 10 minutes after its own arrival.'),
        ({"building_id": "b" * 129}, "building_id.bad_length",
         f'building_id is "{"b" * 39}…; it must have 1 to 128 characters.'),
    ],
)  # fmt: skip
def test_reason_names_the_field_its_value_and_the_limit(fields: dict[str, Any], rule: str, reason: str) -> None:
    assert rejection_reasons([rule], json.dumps(fields).encode(), contract("readings")) == [reason]


def test_lines_of_a_file_are_records_unless_the_file_is_one_value() -> None:
    good = message()
    assert records_of_file(good + b"\n\n" + good + b"\r\n") == [good, good]
    assert records_of_file(good + b"\nrubbish") == [good, b"rubbish"]
    assert records_of_file(b'{"a":\n 1}\n') == [b'{"a":\n 1}\n']
    assert records_of_file(b"{\n\xff\x00\n") == [b"{\n\xff\x00\n"]
    assert records_of_file(b'{"a": 1,\n"b": [\n1\n]') == [b'{"a": 1,\n"b": [\n1\n]']
    assert records_of_file(b'{"a": 1,\n{"a": 2,\n') == [b'{"a": 1,', b'{"a": 2,']
    assert records_of_file(b"rubbish\nmore\n") == [b"rubbish", b"more"]
    assert records_of_file(b"") == [b""]
    assert len(records_of_file(b"[" * 100_000 + b"\n" + b"[" * 100_000)) == 1
    with pytest.raises(TooManyRecords, match="10,001 records"):
        records_of_file(b"{}\n" * (MAX_RECORDS + 1))


@given(st.binary(max_size=200))
def test_records_of_a_file_contain_all_its_bytes_except_line_ends(content: bytes) -> None:
    assert b"\n".join(records_of_file(content)).split() == content.split()
