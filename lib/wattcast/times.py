"""Times as they are written on the command line."""

import argparse
from datetime import UTC, datetime

FIRST, END = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


class TimeRefused(argparse.ArgumentTypeError, ValueError):
    """A text that is no time of use here, with the reason; argparse shows it as it is."""


def instant(text: str) -> datetime:
    """An ISO 8601 time, in UTC; UTC where it names no zone.

    Raises:
        TimeRefused: it is none, or lies before 1970 or after 2199: days are added to it and taken away.
    """
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise TimeRefused(f"{text} is no time of ISO 8601, such as 2026-03-01 or 2026-03-01T09:00:00Z.") from None
    aware = value if value.tzinfo else value.replace(tzinfo=UTC)
    if not FIRST <= aware < END:
        raise TimeRefused(f"{text} does not lie in the years 1970 to 2199.")
    return aware.astimezone(UTC)


def on_the_hour(text: str) -> datetime:
    """The same of a whole hour. Raises TimeRefused for another time, too."""
    value = instant(text)
    if value != value.replace(minute=0, second=0, microsecond=0):
        raise TimeRefused(f"{text} is not on the hour.")
    return value
