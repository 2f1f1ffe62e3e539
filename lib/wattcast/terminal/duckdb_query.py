"""`wattcast sql` by DuckDB: rows with the texts that Spark gives their values."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any

from wattcast.lake.duckdb_lake import Answer, plain_answer
from wattcast.terminal.query_output import Row

MIN_FIXED, MAX_FIXED = 1e-3, 1e7  # Java writes numbers of this size without an exponent


@dataclass(frozen=True)
class DuckdbRows:
    """The rows of an answer, as `query_output` prints them; they can be read once."""

    answer: Answer

    @property
    def names(self) -> list[str]:
        return self.answer.names

    def texts(self, limit: int | None) -> Iterator[Row]:
        for row in self._rows(limit):
            yield [None if value is None else text(value) for value in row]

    def json_objects(self, limit: int | None) -> Iterator[str]:
        keys = [json.dumps(name, ensure_ascii=False) for name in self.names]
        for row in self._rows(limit):
            yield "{" + ",".join(f"{key}:{json_text(value)}" for key, value in zip(keys, row, strict=True)) + "}"

    def _rows(self, limit: int | None) -> Iterator[tuple[Any, ...]]:
        batches = (zip(*(column.to_pylist() for column in batch.columns), strict=True) for batch in self.answer.batches)
        return islice((row for rows in batches for row in rows), limit)


@contextmanager
def duckdb_rows(query: str, lake_uri: str) -> Iterator[DuckdbRows]:
    """The rows of a plain query; raises what `plain_answer` raises."""
    with plain_answer(query, lake_uri) as answer:
        yield DuckdbRows(answer)


def text(value: Any) -> str:
    """A value as Spark casts it to a string."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return double_text(value)
    if isinstance(value, datetime):
        fraction = f".{value.microsecond:06}".rstrip("0").rstrip(".")
        return f"{value:%Y-%m-%d %H:%M:%S}{fraction}"
    if isinstance(value, list):
        return f"[{', '.join('null' if item is None else text(item) for item in value)}]"
    return str(value)


def json_text(value: Any) -> str:
    """A value as Spark writes it in JSON."""
    if value is None:
        return "null"
    if isinstance(value, float):
        return double_text(value) if math.isfinite(value) else f'"{double_text(value)}"'
    if isinstance(value, datetime):
        return f'"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03}Z"'
    if isinstance(value, list):
        return f"[{','.join(map(json_text, value))}]"
    if isinstance(value, bool | int | Decimal):
        return text(value)
    return json.dumps(str(value), ensure_ascii=False)


def double_text(value: float) -> str:
    """A number as Java writes it: 12.5, 1.0E7, NaN, -Infinity."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value == 0 or MIN_FIXED <= abs(value) < MAX_FIXED:
        shown = repr(value)
        return shown if "e" not in shown else f"{Decimal(shown):f}"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    first, *rest = digits
    fraction = "".join(map(str, rest)) or "0"
    return f"{'-' if sign else ''}{first}.{fraction}E{int(exponent) + len(rest)}"
