"""Conditions on a column of times as few ranges, by which Delta skips files."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

DAY = timedelta(days=1)
MAX_RANGES = 32


def is_in_ranges(
    column: str, starts: Iterable[datetime], *, length: timedelta, before: timedelta = timedelta(0)
) -> Column:
    """Whether a time lies in [start - before, start + length) of one of the starts (naive UTC).

    Ranges that touch are joined. More than MAX_RANGES become one range over all of them, so that the condition also holds for
    times in between: filter the rows again where that matters.
    """
    ranges: list[list[datetime]] = []
    for start in sorted(starts):
        if ranges and start - before <= ranges[-1][1]:
            ranges[-1][1] = start + length
        else:
            ranges.append([start - before, start + length])
    if len(ranges) > MAX_RANGES:
        ranges = [[ranges[0][0], ranges[-1][1]]]
    condition = F.lit(False)
    for first, end in ranges:
        condition |= (F.col(column) >= F.lit(first)) & (F.col(column) < F.lit(end))
    return condition


def days_of(rows: DataFrame, column: str) -> list[datetime]:
    """The UTC days of a column of times, each as its midnight."""
    return [row.day for row in rows.select(F.date_trunc("day", column).alias("day")).distinct().collect()]
