"""Times: of messages and the command line, without a zone as Spark has them, and as int64 microseconds since 1970 UTC."""

import argparse
from datetime import UTC, datetime, timedelta

from wattcast.errors import REFUSED

HOUR = timedelta(hours=1)
HOUR_US = 3_600_000_000
EPOCH = datetime(1970, 1, 1)
# The form of every time in a message, for a match of the whole text: a date and a time of day to the minute, the second or a
# fraction of it, and Z or an offset. The syntax of Java, Python and JSON Schema alike. Whether the time exists is not checked.
MESSAGE_TIME = (
    "[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?"
    "(Z|[+-]((0[0-9]|1[0-7]):?[0-5][0-9]|18:?00))"
)
FIRST, END = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


class TimeRefused(argparse.ArgumentTypeError, ValueError):
    """A text that is not a valid time, with the reason; argparse prints the reason as it is."""

    exit_status = REFUSED


def instant(text: str) -> datetime:
    """The time of an ISO 8601 text, in UTC; a text without a zone is UTC.

    Raises:
        TimeRefused: the text is not ISO 8601, or the time lies before 1970 or after 2199, where adding days could overflow.
    """
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise TimeRefused(f"{text} is not a time in ISO 8601, such as 2026-03-01 or 2026-03-01T09:00:00Z.") from None
    aware = value if value.tzinfo else value.replace(tzinfo=UTC)
    if not FIRST <= aware < END:
        raise TimeRefused(f"{text} does not lie in the years 1970 to 2199.")
    return aware.astimezone(UTC)


def on_the_hour(text: str) -> datetime:
    """The time of an ISO 8601 text that is a whole hour, in UTC. Raises TimeRefused."""
    value = instant(text)
    if value != value.replace(minute=0, second=0, microsecond=0):
        raise TimeRefused(f"{text} is not on the hour.")
    return value


def naive_instant(text: str) -> datetime:
    """`instant` without a zone, as Spark has times. Raises TimeRefused."""
    return naive_utc(instant(text))


def naive_hour(text: str) -> datetime:
    """`on_the_hour` without a zone, as Spark has times. Raises TimeRefused."""
    return naive_utc(on_the_hour(text))


def now_utc() -> datetime:
    """The time of this machine in UTC, without a zone, as Spark has times."""
    return naive_utc(datetime.now(UTC))


def naive_utc(time: datetime) -> datetime:
    """A time in UTC, without a zone; a time that has no zone is UTC."""
    return time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo else time


def epoch_us(time: datetime) -> int:
    """Microseconds since 1970 UTC; a time without a zone is UTC."""
    return duration_us(naive_utc(time) - EPOCH)


def duration_us(duration: timedelta) -> int:
    """Whole microseconds."""
    return duration // timedelta(microseconds=1)
