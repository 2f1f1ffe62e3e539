"""Values have the texts that Spark gives them."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from wattcast.lake.duckdb_lake import Answer
from wattcast.terminal.duckdb_query import DuckdbRows, json_text, text


@pytest.mark.parametrize(
    ("value", "as_text", "as_json"),
    [
        (1.0, "1.0", "1.0"),
        (0.001, "0.001", "0.001"),
        (-0.0, "-0.0", "-0.0"),
        (0.00012345, "1.2345E-4", "1.2345E-4"),
        (9_999_999.5, "9999999.5", "9999999.5"),
        (1e7, "1.0E7", "1.0E7"),
        (-123456789.5, "-1.234567895E8", "-1.234567895E8"),
        (float("nan"), "NaN", '"NaN"'),
        (float("-inf"), "-Infinity", '"-Infinity"'),
        (7, "7", "7"),
        (Decimal(12), "12", "12"),
        (True, "true", "true"),
        ('é "x"', 'é "x"', r'"é \"x\""'),
        (date(2026, 1, 2), "2026-01-02", '"2026-01-02"'),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02 00:00:00", '"2026-01-02T00:00:00.000Z"'),
        (datetime(2026, 1, 2, 3, 4, 5, 120_000), "2026-01-02 03:04:05.12", '"2026-01-02T03:04:05.120Z"'),
        (["a", None, "b"], "[a, null, b]", '["a",null,"b"]'),
        ([], "[]", "[]"),
    ],
)
def test_value_has_the_text_of_spark(value: object, as_text: str, as_json: str) -> None:
    assert (text(value), json_text(value)) == (as_text, as_json)


def test_rows_are_read_in_order_up_to_the_limit() -> None:
    batches = pa.table({"a": [1, 2, None], "b": ["x", None, "z"]}).to_batches(max_chunksize=2)
    assert list(DuckdbRows(Answer(["a", "b"], iter(batches))).texts(None)) == [["1", "x"], ["2", None], [None, "z"]]
    assert list(DuckdbRows(Answer(["a", "b"], iter(batches))).texts(1)) == [["1", "x"]]
    rows = DuckdbRows(Answer(["a", "count(1)"], iter(batches))).json_objects(2)
    assert list(rows) == ['{"a":1,"count(1)":"x"}', '{"a":2,"count(1)":null}']
