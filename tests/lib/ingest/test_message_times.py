"""Which times ingest takes: those of one form that exist, and nothing else that a cast to a time would take."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from tests.jobs.test_ingest import ARRIVAL, message

from wattcast.contracts import contract
from wattcast.ingest.validation import received_rows
from wattcast.serving.schemas.parameters import parse_instant

PARTS = st.lists(
    st.sampled_from(["2026", "-", "03", "01", "T", " ", "09", ":", "30", "00", ".", "5", "Z", "+", "0530", "60", "UTC", "\n"]),
    max_size=14,
)  # fmt: skip
ANY_TIME = st.builds(
    "{:04}-{:02}-{:02}{}{:02}:{:02}{}{}".format,
    st.integers(1990, 2205), st.integers(0, 13), st.integers(0, 32), st.sampled_from("TTT t"), st.integers(0, 25),
    st.integers(0, 61), st.sampled_from(["", ":00", ":59", ":60", ":07.5", ":07.123456789", ":07.", ":7", ":07,5"]),
    st.sampled_from(["Z", "z", "", "+00:00", "-00:00", "+01", "+0530", "-12:00", "+18:00", "+18:01", "+23:59", "+05:60", " Z"]),
)  # fmt: skip
TEXTS = st.one_of(ANY_TIME, ANY_TIME, PARTS.map("".join), st.text(max_size=30))


def parsed(text: str) -> datetime | None:
    """The time of a text, character by character: neither by a pattern nor by a parser of a library."""
    zone_at = max(text.rfind(sign) for sign in "Z+-")
    clock, zone = text[:zone_at], text[zone_at:]
    date, separator, time = clock[:10], clock[10:11], clock[11:]
    whole, dot, fraction = time.partition(".")
    numbers = [date[:4], date[5:7], date[8:], *whole.split(":")]
    has_form = (
        date[4:5] == date[7:8] == "-" and separator in ("T", " ") and len(date) == 10 and len(numbers) in (5, 6)
        and all(_is_number(number, 4 if at == 0 else 2) for at, number in enumerate(numbers))
        and (not dot or (len(numbers) == 6 and any(_is_number(fraction, digits) for digits in range(1, 10))))
    )  # fmt: skip
    offset = _offset(zone)
    if not has_form or offset is None:
        return None
    year, month, day, hour, minute, second = (*map(int, numbers), 0)[:6]
    microsecond = int(fraction[:6].ljust(6, "0"))
    try:
        return datetime(year, month, day, hour, minute, second, microsecond, timezone(offset)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _offset(zone: str) -> timedelta | None:
    if zone == "Z":
        return timedelta(0)
    digits = zone[1:3] + (zone[4:] if zone[3:4] == ":" else zone[3:])
    if not _is_number(digits, 4) or int(digits[2:]) > 59 or int(digits) > 1800:
        return None
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return -offset if zone[0] == "-" else offset


def _is_number(text: str, digits: int) -> bool:
    return len(text) == digits and all(character in "0123456789" for character in text)


def ingested(spark: SparkSession, texts: list[str]) -> list[tuple[bool, datetime | None]]:
    """For each text, whether it breaks no rule about the form of `measured_at`, and the time."""
    values = [(bytearray(message(measured_at=text)), number) for number, text in enumerate(texts)]
    records = spark.createDataFrame(values, "value binary, offset bigint").select(
        "value", "offset", F.lit("t").alias("topic"), F.lit(0).alias("partition"), F.lit(ARRIVAL).alias("timestamp")
    )
    rows = received_rows(
        records, topic=contract("readings"), table=contract("received_readings"),
        metadata=spark.createDataFrame([], contract("buildings").schema),
    )  # fmt: skip
    forms = ("measured_at.without_zone", "measured_at.unreadable")
    return [
        (not set(forms) & set(row.rejected_for), row.measured_at and row.measured_at.replace(tzinfo=UTC))
        for row in rows.select("kafka_offset", "rejected_for", "measured_at").orderBy("kafka_offset").collect()
    ]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(TEXTS, min_size=60, max_size=120))
@example(["00:00:00Z", "2026-1-6T1:2:3Z", " 2026-03-01T09:00:00Z", "2026-03-01T09:00:00UTC+00:00", "2024-02-29T09:00Z"])
def test_ingest_takes_the_times_that_an_independent_parser_takes(spark: SparkSession, texts: list[str]) -> None:
    low, high = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
    texts = [text for text in texts if text.encode("utf-8", "ignore").decode() == text]
    for text, (has_form, time) in zip(texts, ingested(spark, texts), strict=True):
        expected = parsed(text)
        assert has_form == (expected is not None), text
        assert time == (expected if expected and low <= expected <= high else None), text


@settings(max_examples=300)
@given(TEXTS)
def test_the_api_takes_the_same_times(text: str) -> None:
    expected = parsed(text)
    if expected and datetime(2000, 1, 1, tzinfo=UTC) <= expected <= datetime(2200, 1, 1, tzinfo=UTC):
        assert parse_instant(text) == expected
    else:
        with pytest.raises(ValueError, match="time"):
            parse_instant(text)
